from pathlib import Path

import numpy as np
import pytest
import torch

from fusion_core.errors import SettingsError, WeightsError
from fusion_core.models.fuser import load_fuser
from fusion_core.models.mini_config import MiniConfig
from fusion_core.models.mini_network import LEVELS, MiniFuse, image_levels
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.weights_file import load_weights, save_weights

SMALL = MiniConfig(half=6, quarter=8, eighth=8, filters=2, hidden=5)


def small_model() -> MiniFuse:
    torch.manual_seed(4)
    model = MiniFuse(SMALL)
    for parameter in (*model.gains.parameters(), *model.offsets.parameters()):
        torch.nn.init.normal_(parameter, std=0.3)  # as after a training
    return model.eval()


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(5)
    return torch.rand(1, 1, 64, 96), torch.rand(1, 1, 64, 96)


def test_it_has_as_many_weights_as_its_card_says() -> None:
    assert sum(p.numel() for p in MiniFuse().parameters()) == 143012


def test_an_untrained_network_begins_near_the_mean_of_both(
    pair: tuple[torch.Tensor, torch.Tensor],
) -> None:
    fused = MiniFuse().eval()(*pair).detach()
    assert fused.shape == pair[0].shape
    assert float((fused - (pair[0] + pair[1]) / 2).abs().mean()) < 0.1


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 50), (64, 96)])
def test_any_size_is_fused_within_the_range(size: tuple[int, int]) -> None:
    ir, vi = torch.rand(2, 1, *size), torch.rand(2, 1, *size)
    fused = NetworkFuser(small_model(), "cpu")(ir, vi)
    assert fused.shape == ir.shape
    assert 0 <= float(fused.min()) <= float(fused.max()) <= 1


def test_the_levels_of_images_are_those_that_numpy_finds() -> None:
    random = np.random.default_rng(3)
    ir, vi = random.random((2, 40, 52)).astype(np.float32)
    found = image_levels(*(torch.from_numpy(side)[None, None] for side in (ir, vi)))
    assert found.shape == (1, LEVELS, 1, 1)
    thinned = [side[::4, ::4].astype(np.float64) for side in (ir, vi)]
    expected: list[float] = []
    for side in thinned:
        shares = [np.maximum(0, 1 - 7 * abs(side - k / 7)).mean() for k in range(8)]
        expected += [side.mean(), side.std(), *shares]
    expected.append(np.corrcoef(*(side.ravel() for side in thinned))[0, 1])
    assert found.flatten().tolist() == pytest.approx(expected, abs=2e-3)
    assert sum(expected[2:10]) == pytest.approx(1)


def test_constant_images_have_levels_too() -> None:
    grey = torch.full((1, 1, 8, 8), 0.5)
    found = image_levels(grey, grey)
    assert bool(found.isfinite().all())
    assert found.flatten()[[0, 1, 20]].tolist() == [0.5, 0, 0]


def test_what_is_far_away_acts_by_the_levels_alone(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    ir, vi = torch.rand(1, 1, 32, 320), torch.rand(1, 1, 32, 320)
    model = small_model()
    other = ir.clone()
    other[..., :8, 256:] = 0.9

    class Known:
        def __init__(self, levels: torch.Tensor) -> None:
            self.levels = levels

        def attended(self, *_: object) -> torch.Tensor:
            raise AssertionError("it attends to nothing")

        def weights(self, *_: object) -> torch.Tensor:
            return self.levels

    known = Known(image_levels(ir, vi))
    with torch.inference_mode():
        near = slice(0, 256 - model.receptive_radius)
        same = model(other, vi, known)[..., near], model(ir, vi, known)[..., near]
        changed = model(other, vi)[..., near]
    assert torch.equal(*same)
    assert not torch.equal(changed, same[1])


def test_a_tile_of_a_scene_is_fused_as_the_scene_is() -> None:
    ir, vi = torch.rand(1, 1, 256, 320), torch.rand(1, 1, 256, 320)
    fuser = NetworkFuser(small_model(), "cpu")
    scene = fuser.pool(ir, vi, 256, 320)
    rows, columns = slice(0, 256), slice(64, 320)
    tile = fuser(ir[..., columns], vi[..., columns], scene.tile(rows, columns))
    whole = fuser(ir, vi, scene.tile(rows, slice(0, 320)))
    inner = slice(fuser.receptive_radius, -8)
    difference = (tile[..., inner] - whole[..., columns][..., inner]).abs().max()
    assert float(difference) < 1e-5


def test_its_weights_are_written_and_read(tmp_path: Path) -> None:
    url, model = str(tmp_path / "mini.safetensors"), small_model()
    save_weights(url, model, {"steps": 3})
    read, info = load_weights(url)
    assert info.network == SMALL
    assert isinstance(read, MiniFuse)
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in read.state_dict().items())
    assert load_fuser(url).name == "refinefuse-mini"


def test_weights_of_an_unknown_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mini.safetensors"
    save_weights(str(path), small_model(), {})
    path.write_bytes(path.read_bytes().replace(b'kind\\":\\"mini', b'kind\\":\\"maxi'))
    with pytest.raises(WeightsError, match="doesn't describe a network"):
        load_weights(str(path))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_it_computes_in_fp32_alone(precision: str) -> None:
    assert NetworkFuser(small_model(), "cpu").precision == "fp32"
    with pytest.raises(SettingsError, match=r"this network computes in fp32\. Use auto"):
        NetworkFuser(small_model(), "cpu", precision)  # type: ignore[arg-type]
