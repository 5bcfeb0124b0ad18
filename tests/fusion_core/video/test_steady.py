"""What is carried from frame to frame, so that a fused clip doesn't flicker."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from fixed_budget import budget_for
from generated_scenes import texture
from pooling_network import vivid
from tiny import tiny_fuser
from torch import Tensor

from fusion_core.errors import MemoryExhaustedError
from fusion_core.models.fuser import load_fuser
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.pooling import PreviewPooling, ScenePooling, TilePooling
from fusion_core.models.tiling.room import Room
from fusion_core.video.steady import (
    POOL_EVERY,
    Plane,
    SteadyFuser,
    SteadyState,
    followed,
    held,
    thumbnail,
)

SIZE = (96, 128)
Pair = tuple[Plane, Plane]


def fuser_of(fuser: NetworkFuser, **how: bool) -> SteadyFuser:
    return SteadyFuser(Room(fuser), tile_size=512, **how)


def pooling_fuser() -> NetworkFuser:
    return NetworkFuser(vivid(), "cpu", "fp32")


def scene(seed: int = 3, shade: float = 1.0) -> Pair:
    ir, vi = (texture(seed + side, SIZE).astype(np.float32) * shade for side in range(2))
    return ir, vi


def busy_corner(count: int) -> list[Pair]:
    """Return frames that are still but for noise in a corner, which is another in each."""
    rng = np.random.default_rng(5)
    frames = []
    for _ in range(count):
        ir, vi = scene()
        for side in (ir, vi):
            side[:24, :32] = rng.random((24, 32)) > 0.5
        frames.append((ir, vi))
    return frames


def alone(fuser: NetworkFuser, pair: Pair) -> Plane:
    sides = (torch.from_numpy(side)[None, None] for side in pair)
    fused: Plane = fuser(*sides)[0, 0].numpy()
    return fused


def flicker(fused: list[Plane]) -> float:
    """Return the mean change from frame to frame, far from the corner."""
    changes = [np.abs(b - a)[76:, 84:].mean() for a, b in pairwise(fused)]
    return float(np.mean(changes))


def test_a_value_follows_by_as_much_as_the_sources_change() -> None:
    before = np.full((1, 4), 0.5, np.float32)
    steps = np.array([[0.0, 0.4, 1.25, 2.0]], np.float32) / 255
    fused = np.full((1, 4), 0.9, np.float32)
    share = np.array([[0.2, 0.2, 0.6, 1.0]])
    for ir, vi, way in ((before + steps, before, 1), (before, before - steps, -1)):
        kept = 0.5 + way * 0.25 * steps
        found = held(fused, (before, before, before), ir, vi)
        assert found == pytest.approx(kept + share * (0.9 - kept), abs=1e-5)
    both = held(fused, (before, before, before), before + steps, before + 2.1 / 255)
    assert both == pytest.approx(fused, abs=1e-6)


def pooled(grid: float, weight: float | None, kind: torch.dtype = torch.float32) -> ScenePooling:
    weights = None if weight is None else torch.full((1, 2, 1, 1), weight, dtype=kind)
    preview = PreviewPooling({1: torch.full((1, 4, 2, 2), grid, dtype=kind)}, weights)
    return ScenePooling(preview, preview_size=(8, 8), scene_size=(48, 64), multiple=16, margin=8)


def test_what_is_pooled_follows_by_a_sixteenth_in_fp32() -> None:
    first = followed(None, pooled(1.0, 3.0, torch.bfloat16))
    assert first.preview.grids[1].dtype == torch.float32
    assert first.preview.grids[1].unique().tolist() == [1.0]
    second = followed(first, pooled(2.0, 19.0, torch.bfloat16))
    assert second.preview.grids[1].unique().tolist() == [1 + 1 / 16]
    assert second.preview.channel_weights is not None
    assert second.preview.channel_weights.unique().tolist() == [4.0]
    carried = first
    for _ in range(5):
        carried = followed(carried, pooled(2.0, None))
    assert carried.preview.grids[1].numpy() == pytest.approx(2 - (15 / 16) ** 5, abs=1e-6)
    assert carried.preview.channel_weights is None
    assert (carried.preview_size, carried.scene_size) == ((8, 8), (48, 64))


def test_thumbnails_are_means_over_blocks() -> None:
    plane = np.random.default_rng(1).random((70, 96)).astype(np.float32)
    found = thumbnail(plane)
    assert found.shape == (35, 32)
    assert found[3, 5] == pytest.approx(plane[6:8, 15:18].mean())
    assert np.array_equal(thumbnail(plane[:20, :9]), plane[:20, :9])


def test_what_moves_in_a_corner_changes_the_rest_less_than_frame_by_frame() -> None:
    network, frames = pooling_fuser(), busy_corner(10)
    steady = fuser_of(network)
    results = [steady.fuse(*pair) for pair in frames]
    single = [alone(network, pair) for pair in frames]
    assert flicker(single) > 1e-4
    assert flicker([fused for fused, _ in results]) < 0.5 * flicker(single)
    assert not any(cut for _, cut in results)
    assert np.abs(results[0][0] - single[0]).mean() < 1e-3  # pooled from a preview
    assert steady.smallest is None


def loud(ir: Plane, vi: Plane) -> Plane:
    """Fuse as networks do that bring detail out."""
    return np.clip(2 * vi - ir, 0, 1)


class Loud:
    device, receptive_radius, bytes_per_pixel = "cpu", 0, 4

    def __call__(self, ir: Tensor, vi: Tensor) -> Tensor:
        return (2 * vi - ir).clamp(0, 1)


def test_noise_of_a_grey_level_is_mostly_held_back() -> None:
    rng, network = np.random.default_rng(2), Loud()
    frames = []
    for _ in range(6):
        noise = rng.uniform(-0.15, 0.15, (2, *SIZE)).astype(np.float32) / 255
        frames.append(tuple(side + one for side, one in zip(scene(), noise, strict=True)))
    steady = SteadyFuser(Room(network), tile_size=512)  # type: ignore[arg-type]
    smooth = [steady.fuse(*pair)[0] for pair in frames]  # type: ignore[misc]
    single = [loud(*pair) for pair in frames]  # type: ignore[call-arg]
    assert flicker(smooth) < 0.5 * flicker(single)


def test_the_network_pools_anew_after_so_many_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    network, count = pooling_fuser(), 0
    pool = network.pool

    def counted(*arguments: object) -> ScenePooling:
        nonlocal count
        count += 1
        return pool(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(network, "pool", counted)
    steady, small = fuser_of(network), tuple(side[:32, :32].copy() for side in scene())
    for number in range(2 * POOL_EVERY + 1):
        steady.fuse(*small)  # type: ignore[call-arg]
        assert count == 1 + number // POOL_EVERY


def test_a_frame_after_a_cut_is_what_it_would_be_as_the_first() -> None:
    network = pooling_fuser()
    shots = [*busy_corner(3), *[scene(20, 0.3)] * 2]
    steady = fuser_of(network)
    results = [steady.fuse(*pair) for pair in shots]
    assert [cut for _, cut in results] == [False, False, False, True, False]
    fresh = fuser_of(network)
    for (fused, _), pair in zip(results[3:], shots[3:], strict=True):
        assert np.array_equal(fused, fresh.fuse(*pair)[0])
    assert fresh.state.age == steady.state.age == 2


@pytest.mark.parametrize("side", [0, 1])
def test_a_cut_of_either_side_counts(side: int) -> None:
    first, second = scene(), scene()
    second[side][:] = 1 - second[side]
    steady = fuser_of(tiny_fuser())
    cuts = [steady.fuse(*pair)[1] for pair in (first, first, second, second, second)]
    assert cuts == [False, False, True, False, False]


def test_slow_fades_and_lasting_turmoil_are_no_cuts() -> None:
    fade = [scene(shade=1 - 0.08 * k) for k in range(10)]
    turmoil = [scene(), *[scene(20 + 2 * k) for k in range(6)]]
    found = []
    for frames in (fade, turmoil):
        steady = fuser_of(tiny_fuser())
        found.append([steady.fuse(*pair)[1] for pair in frames])
    assert not any(found[0])
    assert found[1][2:] == [False] * 5


def test_a_fuser_that_pools_nothing_is_held_alone() -> None:
    mean = load_fuser("mean")
    steady = SteadyFuser(Room(mean), tile_size=512)
    first, second = scene(), scene(shade=1 + 0.1 / 255)
    one, _ = steady.fuse(*first)
    two, _ = steady.fuse(*second)
    assert np.array_equal(one, (first[0] + first[1]) / 2)
    whole = (second[0] + second[1]) / 2
    kept = one + 0.25 * (second[0] - first[0] + second[1] - first[1])
    assert two == pytest.approx(kept + 0.2 * (whole - kept), abs=1e-6)
    assert (steady.state.target, steady.state.carried) == (None, None)


def test_unless_it_is_asked_for_each_frame_is_fused_by_itself() -> None:
    network = pooling_fuser()
    steady = fuser_of(network, steady=False)
    for pair in [*busy_corner(3), scene(20, 0.3)]:
        fused, cut = steady.fuse(*pair)
        assert np.array_equal(fused, alone(network, pair))
        assert not cut
    assert steady.state == SteadyState()


def cramped(room: int) -> NetworkFuser:
    """Return a fuser with room for so many pixels."""
    network = pooling_fuser()
    fuse = network._engine.fuse

    def refuse(ir: Tensor, vi: Tensor, *pooling: TilePooling | None) -> Tensor:
        if ir.numel() > room:
            raise torch.OutOfMemoryError("no room")
        return fuse(ir, vi, *pooling)

    network._engine.fuse = refuse  # type: ignore[method-assign]
    return network


def large() -> Pair:
    ir, vi = (texture(side, (160, 400)).astype(np.float32) for side in (3, 4))
    return ir, vi


def test_frames_that_memory_does_not_hold_are_fused_in_tiles_that_agree() -> None:
    whole, in_tiles = fuser_of(pooling_fuser()), fuser_of(cramped(60_000))
    for _ in range(2):
        one, other = whole.fuse(*large())[0], in_tiles.fuse(*large())[0]
        assert other == pytest.approx(one, abs=1e-5)
    assert (whole.smallest, in_tiles.smallest) == (None, 256)


def test_frames_that_are_not_expected_to_fit_are_fused_in_tiles() -> None:
    network = cramped(10**9)
    budget = budget_for(60_000 * network.bytes_per_pixel)
    steady = SteadyFuser(Room(network, budget), tile_size=256)
    steady.fuse(*large())
    assert steady.smallest == 256


def test_frames_are_not_tried_whole_where_memory_ran_out_for_that_in_another_worker() -> None:
    network, pixels = pooling_fuser(), list[int]()
    fuse = network._engine.fuse

    def noted(ir: Tensor, vi: Tensor, *pooling: TilePooling | None) -> Tensor:
        pixels.append(ir.numel())
        return fuse(ir, vi, *pooling)

    network._engine.fuse = noted  # type: ignore[method-assign]
    steady = SteadyFuser(Room(network), tile_size=512, whole=False)
    steady.fuse(*large())
    assert steady.smallest == 256
    assert max(pixels) < 60_000
    small = SteadyFuser(Room(network), tile_size=512, whole=False)
    small.fuse(*scene())  # of which there are no smaller tiles
    assert small.smallest is None


def test_frames_that_fit_nowhere_are_told() -> None:
    steady = fuser_of(cramped(1000))
    with pytest.raises(MemoryExhaustedError, match="a frame of 400x160 pixels in tiles"):
        steady.fuse(*large())
