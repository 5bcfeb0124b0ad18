"""What counts as a collar around a scene, on generated previews."""

from typing import Any

import numpy as np
import pytest
from generated_scenes import collar, texture
from numpy.typing import NDArray

from fusion_core.scenes.aligned_raster import AlignedPixels
from fusion_core.scenes.undeclared_fill import MIN_SHARE, UndeclaredFill, undeclared_fill

SIZE = (120, 150)
OUTSIDE = ~collar(SIZE)
EVERYWHERE = np.full(SIZE, True)

Mask = NDArray[np.bool_]


def preview(
    seed: int,
    fill: int | None = 0,
    where: Mask = OUTSIDE,
    *,
    bands: int = 1,
    dtype: Any = np.uint16,
    valid: Mask = EVERYWHERE,
) -> AlignedPixels:
    """A textured image of 10 to 110 in all bands, with ``fill`` where it lacks data."""
    values = np.stack([10 + 100 * texture(seed + k, SIZE) for k in range(bands)]).astype(dtype)
    if fill is not None:
        values[:, where] = fill
    return AlignedPixels(values, values.astype(np.float64).mean(axis=0), valid)


def found(
    ir: AlignedPixels, vi: AlignedPixels, searched: tuple[bool, bool] = (True, True)
) -> tuple[float | None, float | None] | None:
    result = undeclared_fill(ir, vi, searched=searched)
    return None if result is None else (result.ir, result.vi)


def box(top: int, bottom: int, left: int, right: int) -> Mask:
    where = np.zeros(SIZE, np.bool_)
    where[top:bottom, left:right] = True
    return where


def wedge(legs: int) -> Mask:
    """A triangle at the lower right corner."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.asarray((SIZE[0] - 1 - y) + (SIZE[1] - 1 - x) < legs)


def shifted(where: Mask, rows: int) -> Mask:
    """A collar of which the upper rim comes in further."""
    result = where.copy()
    result[:rows] = True
    return result


def test_the_collar_of_a_turned_scene_is_found_with_its_share() -> None:
    result = undeclared_fill(preview(1), preview(2), searched=(True, True))
    assert result == UndeclaredFill(0.0, 0.0, float(OUTSIDE.mean()))
    assert 0.2 < result.share < 0.4


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32"])
@pytest.mark.parametrize("end", ["min", "max"])
def test_either_end_of_any_type_of_whole_numbers_is_one(dtype: str, end: str) -> None:
    value = int(getattr(np.iinfo(dtype), end))
    sides = [preview(seed, value, dtype=dtype) for seed in (1, 2)]
    assert found(*sides) == (value, value)


@pytest.mark.parametrize(("dtype", "value"), [("uint16", 1), ("uint16", 5000), ("int16", 0)])
def test_a_value_within_the_type_is_none(dtype: str, value: int) -> None:
    assert found(*(preview(seed, value, dtype=dtype) for seed in (1, 2))) is None


@pytest.mark.parametrize("value", [0, 1])
def test_floating_point_has_no_end_to_search(value: int) -> None:
    assert found(*(preview(seed, value, dtype=np.float32) for seed in (1, 2))) is None


def test_each_image_has_a_collar_of_its_own_kind() -> None:
    """A black one around the infrared, a white one around an orthophoto."""
    white = preview(2, 255, bands=3, dtype=np.uint8)
    assert found(preview(1), white) == (0, 255)


def test_a_wedge_on_one_corner_is_a_collar() -> None:
    where = wedge(40)
    assert found(preview(1, 0, where), preview(2, 0, where)) == (0, 0)


@pytest.mark.parametrize(("legs", "expected"), [(22, (0, 0)), (14, None)])
def test_a_collar_below_the_least_share_stays_data(legs: int, expected: Any) -> None:
    where = wedge(legs)
    assert (where.mean() >= MIN_SHARE) == (expected is not None)
    assert found(preview(1, 0, where), preview(2, 0, where)) == expected


def test_the_same_value_in_the_middle_alone_is_data() -> None:
    where = box(30, 90, 30, 120)
    assert found(preview(1, 0, where), preview(2, 0, where)) is None


def test_the_same_value_in_the_middle_adds_nothing_to_a_collar() -> None:
    where = OUTSIDE | box(50, 60, 60, 90)
    result = undeclared_fill(preview(1, 0, where), preview(2), searched=(True, True))
    assert result == UndeclaredFill(0.0, 0.0, float(OUTSIDE.mean()))


def test_pixels_that_touch_by_a_corner_are_apart() -> None:
    """From a small wedge a chain of corners leads to a large square within the scene."""
    where = box(20, 100, 20, 130) | wedge(4)
    chain = np.arange(20)
    where[SIZE[0] - 1 - chain, SIZE[1] - 1 - chain] = True
    assert found(preview(1, 0, where), preview(2, 0, where)) is None


def test_a_black_sky_in_one_image_is_data() -> None:
    sky = box(0, 40, 0, 150)
    assert found(preview(1, None, dtype=np.uint8), preview(2, 0, sky, dtype=np.uint8)) is None


def test_black_and_saturated_areas_that_differ_are_data() -> None:
    sky = preview(1, 0, box(0, 40, 0, 150), dtype=np.uint8)
    lamp = preview(2, 255, box(0, 45, 40, 150), dtype=np.uint8)
    assert found(sky, lamp) is None
    assert found(lamp, sky) is None


@pytest.mark.parametrize(("rows", "expected"), [(1, (0, 0)), (12, None)])
def test_collars_may_differ_by_little(rows: int, expected: Any) -> None:
    """Thermal detectors sit beside the others, so their band ends a little elsewhere."""
    assert found(preview(1, 0, shifted(OUTSIDE, rows)), preview(2)) == expected
    assert found(preview(1), preview(2, 0, shifted(OUTSIDE, rows))) == expected


def test_an_image_that_declares_its_collar_vouches_for_the_others() -> None:
    declared = preview(1, 7, valid=~OUTSIDE)
    assert found(declared, preview(2), (False, True)) == (None, 0)
    assert found(preview(2), declared, (True, False)) == (0, None)


def test_holes_that_an_image_declares_within_do_not_count_against_a_collar() -> None:
    declared = preview(1, 7, valid=~(OUTSIDE | box(40, 70, 50, 100)))
    assert found(declared, preview(2), (False, True)) == (None, 0)


def test_an_image_that_declares_none_here_vouches_for_nothing() -> None:
    assert found(preview(1, None), preview(2), (False, True)) is None
    assert found(preview(1, 0), preview(2), (False, True)) is None
    assert found(preview(1), preview(2), (False, False)) is None


def test_dark_ground_beside_a_common_collar_is_data() -> None:
    """Each collar has to be matched itself, or a large common one would carry any small one."""
    lake = box(0, 45, 60, 70) & ~OUTSIDE
    assert MIN_SHARE < lake.mean() < 0.1 * OUTSIDE.mean()
    declared = preview(2, 7, valid=~OUTSIDE)
    assert found(preview(1, 0, lake, valid=~OUTSIDE), declared, (True, False)) is None


def test_dark_ground_where_the_other_image_ends_is_data() -> None:
    """An image that lacks far more than that says nothing of it."""
    declared = preview(1, 7, valid=~OUTSIDE)
    shore = OUTSIDE & box(0, 120, 0, 60)
    assert found(declared, preview(2, 0, shore), (False, True)) is None


def test_beyond_the_infrareds_own_edges_there_is_no_collar_to_match() -> None:
    """Turned to the scene's grid it lacks its corners anyway, and may have a collar within."""
    edges = wedge(60)
    collared = OUTSIDE & ~edges
    infrared = preview(1, 0, collared, valid=~edges)
    assert found(infrared, preview(2, 0, OUTSIDE | edges)) == (0, 0)
    assert found(preview(1, None, valid=~edges), preview(2, 0, edges)) == (None, 0)


def test_all_bands_must_have_the_value() -> None:
    tinted = preview(2, None, bands=3)
    tinted.bands[1, OUTSIDE] = 0
    assert found(preview(1), tinted) is None
    tinted.bands[:, OUTSIDE] = 0
    assert found(preview(1), tinted) == (0, 0)


@pytest.mark.parametrize("both", [False, True])
def test_a_constant_image_is_left_to_the_other_checks(both: bool) -> None:
    black = preview(1, 0, EVERYWHERE)
    assert found(black, preview(2, 0, EVERYWHERE if both else OUTSIDE)) is None
    assert found(black, preview(2, None, valid=~EVERYWHERE), (True, False)) is None


def test_a_labyrinth_ends_the_search_early() -> None:
    """A thousand turns: what lies deep within isn't reached, and is no collar either."""
    size = (1024, 1024)
    where = np.zeros(size, np.bool_)
    where[1::2, 1:-1] = True
    where[2::4, -2] = where[4::4, 1] = True
    where[1, 0] = True
    values = np.where(where, 0, 9)[None].astype(np.uint8)
    maze = AlignedPixels(values, values[0].astype(np.float64), np.full(size, True))
    result = undeclared_fill(maze, maze, searched=(True, True))
    assert result is not None
    assert result.share < 0.15 < 0.4 < where.mean()
