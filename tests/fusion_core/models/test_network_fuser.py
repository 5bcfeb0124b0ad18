from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fusion_core.errors import SettingsError, WeightsError
from fusion_core.models.device import resolve_precision
from fusion_core.models.fuser import load_fuser
from fusion_core.models.network import RefineFuse
from fusion_core.models.network_config import NetworkConfig
from fusion_core.models.network_fuser import MARGIN, NetworkFuser
from fusion_core.models.weights_file import save_weights

SMALL = NetworkConfig(widths=(6, 6, 8, 8), decoder_width=6, token_grid=4)


def small_model() -> RefineFuse:
    torch.manual_seed(2)
    return RefineFuse(SMALL)


def random_pair(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (7, 8), (16, 24), (33, 17)])
def test_any_size_comes_back_as_it_went_in(size: tuple[int, int], precision: str) -> None:
    ir, vi = random_pair(2, 1, *size)
    fused = NetworkFuser(small_model(), "cpu", precision)(ir, vi)  # type: ignore[arg-type]
    assert fused.shape == ir.shape
    assert fused.dtype == torch.float32
    assert 0 <= float(fused.min()) <= float(fused.max()) <= 1


def test_the_network_sees_reflected_surroundings_and_they_are_cropped() -> None:
    ir, vi = random_pair(1, 1, 16, 24)
    padded = [functional.pad(image, [MARGIN] * 4, mode="reflect") for image in (ir, vi)]
    expected = small_model()(*padded)[..., MARGIN:-MARGIN, MARGIN:-MARGIN].detach()
    assert torch.equal(NetworkFuser(small_model(), "cpu", "fp32")(ir, vi), expected)


def test_a_result_does_not_depend_on_its_batch() -> None:
    ir, vi = random_pair(5, 1, 20, 12)
    run = NetworkFuser(small_model(), "cpu", "fp32")
    alone = torch.cat([run(ir[i : i + 1], vi[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(run(ir, vi), alone, atol=1e-5, rtol=0)


def test_bf16_stays_near_fp32() -> None:
    ir, vi = random_pair(1, 1, 40, 40)
    exact = NetworkFuser(small_model(), "cpu", "fp32")(ir, vi)
    assert (NetworkFuser(small_model(), "cpu", "bf16")(ir, vi) - exact).abs().max() < 0.02


@pytest.mark.parametrize(
    ("ir", "vi"),
    [((1, 1, 8, 8), (1, 1, 8, 9)), ((1, 3, 8, 8), (1, 3, 8, 8)), ((1, 1, 0, 8), (1, 1, 0, 8)),
     ((1, 8, 8), (1, 8, 8))],
)  # fmt: skip
def test_other_shapes_are_refused(ir: tuple[int, ...], vi: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected two equal shapes"):
        NetworkFuser(small_model(), "cpu", "fp32")(torch.zeros(ir), torch.zeros(vi))


def test_precision_is_chosen_by_what_the_cpu_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    for native, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda n=native: n)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert resolve_precision("auto", "cpu") == expected
    assert resolve_precision("fp16", "cuda:0") == "fp16"


def test_precisions_that_can_not_be_used_are_refused() -> None:
    with pytest.raises(SettingsError, match="fp16 on a CPU"):
        NetworkFuser(small_model(), "cpu", "fp16")
    with pytest.raises(SettingsError, match="expected auto, fp32"):
        resolve_precision("fp8", "cpu")  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(SettingsError, match=f"device is '{device}'"):
        NetworkFuser(small_model(), device)


def test_auto_device_is_cpu_without_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert NetworkFuser(small_model(), "auto").device == "cpu"


def test_the_model_hash_is_that_of_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / "w.safetensors")
    sha256 = save_weights(path, small_model(), {})
    assert load_fuser(path, "cpu").model_hash == sha256
    assert len(NetworkFuser(small_model(), "cpu").model_hash) == 64
    with pytest.raises(WeightsError):
        load_fuser(str(tmp_path / "absent"))
