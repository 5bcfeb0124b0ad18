"""OpenVINO against torch: one network, the same images."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pooling_network import SMALL, WHOLE_REACH, pair_of, tiled, vivid

from fusion_core.demo.archive import make_pair
from fusion_core.errors import SettingsError
from fusion_core.images.codecs import decode
from fusion_core.images.colour import luminance
from fusion_core.models.engines.openvino_engine import OpenVinoEngine
from fusion_core.models.fuser import load_fuser
from fusion_core.models.memory import is_out_of_memory
from fusion_core.models.network_fuser import NetworkFuser

GREY_LEVEL = 1 / 255


def fuser_of(engine: Any, **switches: object) -> NetworkFuser:
    network = vivid(SMALL.model_copy(update=switches))
    return NetworkFuser(network, "cpu", "fp32", engine=engine)


@pytest.fixture(scope="module")
def eager() -> NetworkFuser:
    return fuser_of("eager")


@pytest.fixture(scope="module")
def openvino() -> NetworkFuser:
    return fuser_of("openvino")


def images(count: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    ir, vi = torch.rand(2, count, 1, height, width, generator=generator)
    return ir, vi


@pytest.mark.parametrize("count", [1, 3])
def test_images_of_all_sizes_are_those_of_torch(
    eager: NetworkFuser, openvino: NetworkFuser, count: int
) -> None:
    assert (eager.engine, openvino.engine) == ("eager", "openvino")
    for size in ((16, 16), (40, 56), (41, 57), (64, 33), (120, 90), (17, 200)):
        pair = images(count, *size)
        wanted = eager(*pair)
        assert wanted.std() > 0.005
        torch.testing.assert_close(openvino(*pair), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (3, 9), (8, 8), (8, 300)])
def test_images_smaller_than_the_grid_are_computed_by_torch(
    eager: NetworkFuser, openvino: NetworkFuser, size: tuple[int, int]
) -> None:
    pair = images(2, *size)
    assert torch.equal(openvino(*pair), eager(*pair))


def test_a_batch_is_as_each_of_it_alone(openvino: NetworkFuser) -> None:
    ir, vi = images(4, 40, 48)
    alone = [openvino(ir[k : k + 1], vi[k : k + 1]) for k in range(4)]
    torch.testing.assert_close(openvino(ir, vi), torch.cat(alone), atol=1e-6, rtol=0)


def test_what_is_pooled_over_a_preview_is_what_torch_pools(
    eager: NetworkFuser, openvino: NetworkFuser
) -> None:
    pair = images(1, 70, 90)
    wanted, found = (fuser.pool(*pair, 700, 900).preview for fuser in (eager, openvino))
    assert sorted(found.grids) == sorted(wanted.grids) == [2, 3]
    for level, grid in wanted.grids.items():
        torch.testing.assert_close(found.grids[level], grid, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.channel_weights, wanted.channel_weights)


def test_a_scene_in_tiles_is_as_torch_fuses_it(eager: NetworkFuser, openvino: NetworkFuser) -> None:
    ir, vi = pair_of(200, 264)
    whole = openvino(ir, vi)
    pooling = openvino.pool(ir, vi, 200, 264)
    shared = tiled(openvino, ir, vi, pooling, WHOLE_REACH)
    torch.testing.assert_close(shared, whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(whole, eager(ir, vi), atol=1e-5, rtol=0)
    alone = tiled(openvino, ir, vi, None, WHOLE_REACH)
    assert (alone - whole).abs().max() > 1e-3


class Watched:
    """A program that tells when it gives its memory back."""

    def __init__(self, program: Any, told: list[str], name: str) -> None:
        self.program, self.told, self.name = program, told, name

    def release_memory(self) -> None:
        self.told.append(self.name)
        self.program.release_memory()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.program, name)


def test_what_a_preview_took_is_given_back_before_the_tiles_and_theirs_is_kept() -> None:
    """``tests/benchmarks/test_large_scene.py`` bounds the sum, with the packaged network."""
    openvino, told = fuser_of("openvino"), list[str]()
    engine = openvino._engine
    assert isinstance(engine, OpenVinoEngine)
    for name in ("pooling", "tile"):
        engine._programs[name] = Watched(engine._program(name), told, name)
    ir, vi = pair_of(200, 264)
    pooling = openvino.pool(ir, vi, 200, 264)
    assert told == []
    tiled(openvino, ir, vi, pooling, WHOLE_REACH)
    assert told == ["pooling"]
    openvino.pool(ir, vi, 200, 264)
    assert told == ["pooling", "tile"]


@pytest.mark.parametrize("switches", [{"psim": False}, {"fim": False}, {"levels": 2}])
def test_networks_without_some_of_the_blocks_are_converted_too(
    switches: dict[str, object],
) -> None:
    eager, openvino = (fuser_of(engine, **switches) for engine in ("eager", "openvino"))
    ir, vi = pair_of(60, 72)
    torch.testing.assert_close(openvino(ir, vi), eager(ir, vi), atol=1e-5, rtol=0)
    if eager.cells:
        tile = eager.pool(ir, vi, 120, 144).tile(slice(0, 60), slice(0, 72))
        torch.testing.assert_close(openvino(ir, vi, tile), eager(ir, vi, tile), atol=1e-5, rtol=0)


def test_memory_that_is_given_back_changes_nothing(openvino: NetworkFuser) -> None:
    pair = images(1, 64, 64)
    before = openvino(*pair)
    openvino.give_back()
    assert torch.equal(openvino(*pair), before)


def test_an_image_is_not_written_over_by_the_next(openvino: NetworkFuser) -> None:
    first = openvino(*images(1, 48, 48))
    kept = first.clone()
    openvino(*(1 - side for side in images(1, 48, 48)))
    assert torch.equal(first, kept)


def test_threads_do_not_get_in_each_others_way(openvino: NetworkFuser) -> None:
    """As where one was given up that may go on one day."""
    pairs = [images(1, 40 + 8 * k, 64) for k in range(6)]
    wanted = [openvino(*pair) for pair in pairs]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda pair: openvino(*pair), pairs * 3))
    for one, other in zip(found, wanted * 3, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_it_computes_with_the_workers_threads_and_pins_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    engine = fuser_of("openvino", levels=2)._engine
    assert isinstance(engine, OpenVinoEngine)
    program = engine._program("whole")
    assert program.get_property("INFERENCE_NUM_THREADS") == 1
    assert program.get_property("ENABLE_CPU_PINNING") is False


def test_bf16_is_computed_or_refused_and_never_fp32_in_its_place() -> None:
    if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        half = NetworkFuser(vivid(), "cpu", "bf16", engine="openvino")
        pair = images(1, 64, 64)
        off = (half(*pair) - fuser_of("eager")(*pair)).abs()
        assert 0 < off.max() < 0.02
    else:
        with pytest.raises(SettingsError, match=r"precision is bf16, and OpenVINO computes in f32"):
            NetworkFuser(vivid(), "cpu", "bf16", engine="openvino")


def test_memory_that_ran_out_is_told_as_such_and_what_was_kept_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    openvino = fuser_of("openvino", levels=2)
    engine = openvino._engine
    assert isinstance(engine, OpenVinoEngine)
    given_back: list[bool] = []
    monkeypatch.setattr(engine, "give_back", lambda: given_back.append(True))
    with pytest.raises(Exception) as raised:  # noqa: PT011 (whatever it is, it must be understood)
        engine._run("whole", *(torch.empty(1, 1, 1, 1).expand(4000, 1, 8192, 8192),) * 2)
    assert is_out_of_memory(raised.value)
    assert given_back


def off_by(one: torch.Tensor, other: torch.Tensor) -> tuple[float, float]:
    off = (one - other).abs() / GREY_LEVEL
    return float(off.mean()), float(off.max())


def test_the_packaged_network_gives_the_same_pictures() -> None:
    eager, openvino = (load_fuser(device="cpu", precision="fp32", engine=engine)
                       for engine in ("eager", "openvino"))  # fmt: skip
    for seed in (1, 2):
        pair = make_pair(seed, 208, 192)
        sides = [torch.from_numpy(luminance(side))[None, None] for side in (pair.ir, pair.vi)]
        mean, largest = off_by(eager(*sides), openvino(*sides))
        assert largest < 1e-3
        assert mean < 1e-4


def real_pairs(data: Path) -> list[tuple[Path, Path]]:
    """The paths of 8 pairs of TNO, 20 of MSRS and 2 of RoadScene."""
    found = []
    for name, count in (("tno", 8), ("msrs", 20), ("roadscene", 2)):
        visible = {path.stem: path for path in (data / name / "vi").iterdir()}
        infrared = sorted((data / name / "ir").iterdir())
        found += [(path, visible[path.stem]) for path in infrared if path.stem in visible][:count]
    return found


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_all_engines_give_the_same_pictures_of_real_pairs(shared_data: Path) -> None:
    pairs = real_pairs(shared_data)
    assert len(pairs) == 30
    eager, openvino = (load_fuser(device="cpu", precision="fp32", engine=engine)
                       for engine in ("eager", "openvino"))  # fmt: skip
    found = []
    for paths in pairs:
        planes = [luminance(decode(path.read_bytes()).pixels) for path in paths]
        sides = [torch.from_numpy(np.ascontiguousarray(plane))[None, None] for plane in planes]
        found.append(off_by(eager(*sides), openvino(*sides)))
    means, largest = zip(*found, strict=True)
    print(f"grey levels off: mean {np.mean(means):.2e}, largest {max(largest):.2e}")
    assert max(largest) < 1e-3
    assert np.mean(means) < 1e-4
