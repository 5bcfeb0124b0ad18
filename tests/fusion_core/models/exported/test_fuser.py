import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import plain_network, tiny_model, tiny_program
from torch import Tensor, nn
from torch.export import Dim

from fusion_core.errors import SettingsError, WeightsError
from fusion_core.models.exported.fuser import ExportedFuser
from fusion_core.models.fuser import load_fuser

DYNAMIC = {2: Dim.DYNAMIC, 3: Dim.DYNAMIC}


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(6)
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_program(tmp_path_factory.mktemp("program"), sizes=DYNAMIC)


@pytest.fixture(scope="module")
def fuser(path: str) -> ExportedFuser:
    made = load_fuser(path, "cpu")
    assert isinstance(made, ExportedFuser)
    return made


@pytest.mark.parametrize("size", [(16, 24), (64, 48), (4, 100)])
def test_it_computes_what_the_network_does(fuser: ExportedFuser, size: tuple[int, int]) -> None:
    ir, vi = pair(1, 1, *size)
    network = plain_network()
    expected = network(ir, vi).detach().clamp(0, 1)
    torch.testing.assert_close(fuser(ir, vi), expected, atol=1e-6, rtol=0)
    assert float(expected.std()) > 0.1


def test_it_computes_what_torchs_own_loader_gives(fuser: ExportedFuser, path: str) -> None:
    ir, vi = pair(1, 1, 20, 30)
    expected = torch.export.load(path).module()(ir, vi).detach().clamp(0, 1)
    torch.testing.assert_close(fuser(ir, vi), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 33), (3, 3)])
def test_any_size_is_padded_by_reflection_and_cropped(
    fuser: ExportedFuser, size: tuple[int, int]
) -> None:
    ir, vi = pair(3, 1, *size)
    fused = fuser(ir, vi)
    assert fused.shape == ir.shape
    assert fused.dtype == torch.float32
    assert 0 <= float(fused.min()) <= float(fused.max()) <= 1
    alone = [fuser(ir[k : k + 1], vi[k : k + 1]) for k in range(3)]
    assert torch.equal(fused, torch.cat(alone))


def test_padding_is_the_images_reflection(fuser: ExportedFuser) -> None:
    ir, vi = pair(1, 1, 17, 33)
    larger = [torch.cat((side, side[..., -2:-1, :]), -2) for side in (ir, vi)]
    larger = [torch.cat((side, side[..., -2:-1]), -1) for side in larger]
    assert torch.equal(fuser(ir, vi), fuser(*larger)[..., :17, :33])


def test_a_fixed_size_takes_smaller_images_alone(tmp_path: Path) -> None:
    made = load_fuser(tiny_program(tmp_path), "cpu")
    ir, vi = pair(1, 1, 16, 24)
    expected = plain_network()(ir, vi).detach().clamp(0, 1)
    torch.testing.assert_close(made(ir, vi), expected, atol=1e-6, rtol=0)
    assert made(*pair(2, 1, 5, 6)).shape == (2, 1, 5, 6)
    with pytest.raises(WeightsError, match=r"can't take 25x16.*heights 16 and widths 24"):
        made(*pair(1, 1, 16, 25))


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch's own, both
@pytest.mark.filterwarnings("ignore:No complete tensor found:UserWarning")
def test_our_own_network_can_be_exported_too(tmp_path: Path) -> None:
    network, (ir, vi) = tiny_model().eval(), pair(1, 1, 16, 24)
    program = torch.export.export(network, (ir, vi)).run_decompositions({})
    torch.export.save(program, tmp_path / "ours.pt2")
    made = load_fuser(str(tmp_path / "ours.pt2"), "cpu")
    torch.testing.assert_close(made(ir, vi), network(ir, vi).detach(), atol=1e-6, rtol=0)


def test_name_hash_and_precision_are_those_of_the_file(fuser: ExportedFuser, path: str) -> None:
    assert fuser.name == "plain"
    assert fuser.model_hash == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert fuser.precision == load_fuser(path, "cpu", "fp32").precision == "fp32"
    with pytest.raises(SettingsError, match="was exported in fp32"):
        load_fuser(path, "cpu", "bf16")
    with pytest.raises(SettingsError, match="device is 'abacus'"):
        load_fuser(path, "abacus")
    with pytest.raises(ValueError, match="expected two equal shapes"):
        fuser(*pair(1, 3, 8, 8))


class Half(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5, dtype=torch.bfloat16))

    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        return (ir + vi).to(torch.bfloat16) * self.weight


def test_a_program_in_bf16_gives_fp32(tmp_path: Path) -> None:
    made = load_fuser(tiny_program(tmp_path, Half()), "cpu", "bf16")
    ir, vi = pair(1, 1, 16, 24)
    fused = made(ir, vi)
    assert (made.precision, fused.dtype) == ("bf16", torch.float32)
    torch.testing.assert_close(fused, (ir + vi) / 2, atol=0.01, rtol=0)


class Small(nn.Module):
    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        return torch.maximum(ir, vi)[..., 1:]


class NotANumber(nn.Module):
    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        return (ir - 2).log() + vi


class Whole(nn.Module):
    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        return (ir + vi).to(torch.int64)


class Loud(nn.Module):
    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        return 300 * (ir - vi)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Small(), r"gave \(1, 1, 16, 23\) for 24x16"),
        (NotANumber(), "expected finite floating"),
        (Whole(), r"whole numbers \(torch\.int64\)"),
    ],
)
def test_a_result_that_is_no_image_is_refused(
    network: nn.Module, message: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=message):
        load_fuser(tiny_program(tmp_path, network), "cpu")(*pair(1, 1, 16, 24))


def test_results_are_clamped(tmp_path: Path) -> None:
    ir, vi = pair(1, 1, 16, 24)
    fused = load_fuser(tiny_program(tmp_path, Loud()), "cpu")(ir, vi)
    assert torch.equal(fused, (300 * (ir - vi)).clamp(0, 1))


def test_an_operator_that_fails_is_named(fuser: ExportedFuser, monkeypatch: Any) -> None:
    # Larger weights than the operators were exported for fail at the first that meets them.
    broken = {name: torch.cat([value] * 2) for name, value in fuser._tensors.items() if value.ndim}
    broken = fuser._tensors | broken
    monkeypatch.setattr(fuser, "_tensors", broken)
    with pytest.raises(
        WeightsError, match=r"plain failed at torch\.ops\.aten\.linear\.default on 24x16"
    ):
        fuser(*pair(1, 1, 16, 24))


def test_values_are_forgotten_once_used(fuser: ExportedFuser, monkeypatch: Any) -> None:
    kept: list[int] = []
    bound = type(fuser._program.steps[0]).run

    def counted(self: Any, values: Any, device: Any) -> None:
        bound(self, values, device)
        kept.append(sum(isinstance(value, Tensor) for value in values.values()))

    monkeypatch.setattr(type(fuser._program.steps[0]), "run", counted)
    fuser(*pair(1, 1, 16, 24))
    assert kept[-1] == 1 + sum(name not in used(fuser) for name in fuser._tensors)
    assert max(kept) < len(fuser._tensors) + 6


def used(fuser: ExportedFuser) -> set[str]:
    return {name for step in fuser._program.steps for name in step.forget}


def test_dropout_is_off(path: str) -> None:
    first, second = (load_fuser(path, "cpu")(*pair(1, 1, 16, 24)) for _ in range(2))
    assert torch.equal(first, second)
