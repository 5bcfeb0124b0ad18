"""Measures of steadiness, against loops over pixels and cases worked by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fusion_core.video.consistency import (
    biswe,
    flow_d,
    ms2r,
    static,
    static_change,
    visible,
    warp,
)

Array = NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 6))


def plane(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.uint8]:
    return random.integers(0, 256, shape, dtype=np.uint8)


def flow(random: np.random.Generator, shape: tuple[int, int]) -> Array:
    return random.normal(0, 1.5, (*shape, 2))


def constant(shape: tuple[int, int], x: float, y: float) -> Array:
    return np.broadcast_to(np.array([x, y]), (*shape, 2)).copy()


def at(image: NDArray[Any], x: float, y: float) -> float:
    """The image at one place, by weights that fall from 1 to 0 within a pixel."""
    height, width = image.shape
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    return math.fsum(
        float(image[row, column]) * max(0.0, 1 - abs(column - x)) * max(0.0, 1 - abs(row - y))
        for row in range(height)
        for column in range(width)
    )


def naive_warp(image: NDArray[Any], motion: Array) -> list[list[float]]:
    return [
        [at(image, x + motion[y, x, 0], y + motion[y, x, 1]) for x in range(image.shape[1])]
        for y in range(image.shape[0])
    ]


def naive_error(current: NDArray[Any], other: NDArray[Any], motion: Array, mask: Any) -> float:
    warped = naive_warp(other, motion)
    values = [
        abs(float(current[p]) - warped[p[0]][p[1]]) for p in np.ndindex(*current.shape) if mask[p]
    ]
    return math.fsum(values) / len(values) if values else math.nan


@settings(max_examples=40)
@given(seed=SEEDS, shape=SHAPES)
def test_warping_agrees_with_loops(seed: int, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    image, motion = plane(random, shape), flow(random, shape)
    np.testing.assert_allclose(warp(image, motion), naive_warp(image, motion), atol=1e-9)
    both = np.stack([image, image[::-1]], axis=-1)
    np.testing.assert_array_equal(warp(both, motion)[..., 0], warp(image, motion))


def test_a_warp_shows_what_the_flow_points_to() -> None:
    image = np.array([[10, 20, 40]], np.uint8)
    assert warp(image, constant((1, 3), 1, 0)).tolist() == [[20, 40, 40]]
    assert warp(image, constant((1, 3), -0.5, 7)).tolist() == [[10, 15, 30]]


@settings(max_examples=30)
@given(seed=SEEDS, shape=SHAPES)
def test_what_is_visible_agrees_with_loops(seed: int, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    there, back = flow(random, shape), flow(random, shape)
    seen = visible(there, back, most=2.0)
    for y, x in np.ndindex(*shape):
        ends = [at(back[..., k], x + there[y, x, 0], y + there[y, x, 1]) for k in (0, 1)]
        assert seen[y, x] == (math.hypot(*(there[y, x] + ends)) < 2.0)


def test_a_pixel_is_visible_where_the_flow_comes_back_within_a_pixel() -> None:
    there = constant((1, 4), 1, 0)
    back = np.array([[[0, 0], [-1, 0], [-1, 0.5], [0, 0]]])
    assert visible(there, back).tolist() == [[True, True, False, False]]


@settings(max_examples=30)
@given(seed=SEEDS, shape=SHAPES)
def test_self_warping_and_flow_errors_agree_with_loops(seed: int, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    before, current, behind = frames = tuple(plane(random, shape) for _ in range(3))
    flows = flow(random, shape), flow(random, shape)
    masks = random.random(shape) < 0.7, random.random(shape) < 0.7
    expected = naive_error(current, before, flows[0], masks[0]) + naive_error(
        current, behind, flows[1], masks[1]
    )
    assert biswe(frames, flows, masks) == pytest.approx(expected, nan_ok=True)
    everywhere = np.ones(shape, bool)
    assert flow_d(before, current, flows[0]) == pytest.approx(
        naive_error(current, before, flows[0], everywhere)
    )


def test_a_video_that_moves_evenly_has_no_warping_error() -> None:
    before, current, behind = (np.arange(6)[None] * 20 + 10 * k for k in (2, 1, 0))
    flows = constant((1, 6), -0.5, 0), constant((1, 6), 0.5, 0)
    inside = np.array([[False, True, True, True, True, False]])
    assert biswe((before, current, behind), flows, (inside, inside)) == pytest.approx(0)
    brighter = current + 7
    assert biswe((before, brighter, behind), flows, (inside, inside)) == pytest.approx(14)
    assert math.isnan(biswe((before, current, behind), flows, (inside, inside & False)))


@settings(max_examples=30)
@given(seed=SEEDS, shape=SHAPES)
def test_motion_smoothness_agrees_with_loops(seed: int, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    fused, ir, vi = ((flow(random, shape), flow(random, shape)) for _ in range(3))
    sums = [0.0, 0.0]
    for place in np.ndindex(*shape, 2):
        change = fused[1][place] - fused[0][place]
        for k, (to, on) in enumerate((ir, vi)):
            sums[k] += abs(change - (on[place] - to[place]))
    expected = (sums[0] + sums[1]) / 2 / (shape[0] * shape[1] * 2)
    assert ms2r(fused, ir, vi) == pytest.approx(expected)


def test_motion_is_as_smooth_as_the_sources_where_it_changes_as_theirs() -> None:
    still, slow, fast = (constant((2, 3), x, 0) for x in (0, 1, 3))
    assert ms2r((slow, fast), (slow, fast), (still, constant((2, 3), 2, 0))) == 0
    # A change of 2 in x where the sources have none: half of all components.
    assert ms2r((slow, fast), (slow, slow), (still, still)) == 1
    assert ms2r((slow, fast), (slow, fast), (still, still)) == 0.5


@settings(max_examples=40)
@given(seed=SEEDS, shape=SHAPES, tolerance=st.integers(0, 3), radius=st.integers(0, 2))
def test_what_stands_still_agrees_with_loops(
    seed: int, shape: tuple[int, int], tolerance: int, radius: int
) -> None:
    random = np.random.default_rng(seed)
    before = [random.integers(0, 200, shape, dtype=np.uint8) for _ in range(3)]
    now = [one + (random.random(shape) < 0.15) * random.integers(0, 6, shape) for one in before]
    now = [one.astype(np.uint8) for one in now]
    moved = [[abs(int(now[k][p]) - int(before[k][p])) for p in np.ndindex(*shape)] for k in (0, 1)]
    quiet = np.array([max(pair) <= tolerance for pair in zip(*moved, strict=True)]).reshape(shape)
    still = [
        p
        for p in np.ndindex(*shape)
        if all(
            quiet[q]
            for q in np.ndindex(*shape)
            if abs(p[0] - q[0]) <= radius and abs(p[1] - q[1]) <= radius
        )
    ]
    sources = before[0], now[0], before[1], now[1]
    mask = static(*sources, tolerance=tolerance, radius=radius)
    assert [tuple(p) for p in np.argwhere(mask)] == still
    found = static_change(
        *(before[2], now[2]),
        **dict(zip(("ir_before", "ir", "vi_before", "vi"), sources, strict=True)),
        tolerance=tolerance,
        radius=radius,
    )
    changes = [abs(int(now[2][p]) - int(before[2][p])) for p in still]
    expected = sum(changes) / len(changes) if changes else math.nan
    assert found == pytest.approx(expected, nan_ok=True)


def test_the_fused_video_counts_where_both_sources_stand_still() -> None:
    before = np.full((1, 6), 100, np.uint8)
    ir, vi = before.copy(), before.copy()
    ir[0, 0], vi[0, 5] = 102, 103  # the one within the tolerance of 2, the other not
    fused = np.array([[99, 101, 103, 100, 0, 255]], np.uint8)
    sources = {"ir_before": before, "ir": ir, "vi_before": before, "vi": vi}
    change = static_change(before, fused, **sources, tolerance=2, radius=1)
    assert change == pytest.approx((1 + 1 + 3 + 0) / 4)
    assert static_change(before, fused, **sources, tolerance=2, radius=0) == pytest.approx(21)
    assert math.isnan(static_change(before, fused, **sources, tolerance=1, radius=3))
