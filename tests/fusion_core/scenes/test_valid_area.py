"""The outline of what holds data: it holds every such pixel, little else, and has few points."""

import numpy as np
import pytest
import shapely
from generated_scenes import collar
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fusion_core.models.tiling.grid import cut_tiles
from fusion_core.scenes.valid_area import CELLS, MOST_POINTS, ValidArea

Mask = NDArray[np.bool_]


def gathered(valid: Mask, tile: int = 0) -> ValidArea:
    """What is gathered of a scene in tiles of some size, or in one piece."""
    area = ValidArea(*valid.shape)
    whole = slice(0, valid.shape[0]), slice(0, valid.shape[1])
    parts = [one.final for one in cut_tiles(*valid.shape, tile, 8)] if tile else [whole]
    for part in parts:
        area.add(valid[part], part)
    return area


def outlined(valid: Mask) -> shapely.MultiPolygon:
    outline = gathered(valid).outline()
    assert outline.is_valid
    shapely.prepare(outline)
    assert shapely.box(0, 0, *valid.shape[::-1]).covers(outline)
    return outline


def corners_of(valid: Mask) -> NDArray[np.object_]:
    """The corners of all pixels that hold data and have a neighbour that doesn't."""
    padded = np.pad(valid, 1)
    inside = padded[:-2] & padded[2:]
    rows, columns = np.nonzero(valid & ~(inside[:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]))
    return np.concatenate([shapely.points(columns + i, rows + j) for i in (0, 1) for j in (0, 1)])


def rings(outline: shapely.MultiPolygon) -> list[int]:
    """How many holes each part has."""
    return sorted(len(part.interiors) for part in outline.geoms)


@pytest.mark.parametrize("size", [(700, 1300), (1025, 513), (90, 60)])
@pytest.mark.parametrize("tile", [128, 330])
def test_cells_are_the_same_whatever_the_tiles(size: tuple[int, int], tile: int) -> None:
    valid = np.random.default_rng(1).random(size) < 0.1
    area = gathered(valid, tile)
    assert max(area.cells.shape) <= CELLS
    step = area.step
    padded = np.pad(valid, [(0, -side % step) for side in size])
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    assert np.array_equal(area.cells, blocks.any(axis=(1, 3)))
    assert np.array_equal(area.cells, gathered(valid).cells)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (300, 340), (1025, 1500)])
def test_a_scene_without_a_collar_has_the_outline_of_its_grid(size: tuple[int, int]) -> None:
    outline = outlined(np.ones(size, np.bool_))
    assert outline.equals(shapely.box(0, 0, size[1], size[0]))
    assert shapely.get_num_coordinates(outline) == 5


@pytest.mark.parametrize("size", [(300, 340), (1000, 1200)])
def test_a_tilted_scene_is_outlined_without_its_collar(size: tuple[int, int]) -> None:
    valid = collar(size)
    outline = outlined(valid)
    assert shapely.covers(outline, corners_of(valid)).all()
    assert outline.area < 1.03 * valid.sum()
    assert shapely.get_num_coordinates(outline) < 10
    assert not outline.contains(shapely.Point(5, 5))


def test_two_areas_and_a_hole_stay_so() -> None:
    valid = np.zeros((1100, 900), np.bool_)
    valid[50:400, 60:800] = True
    valid[150:300, 200:500] = False
    valid[700:1000, 300:500] = True
    valid[800:802, 400:402] = False  # too small to be seen
    outline = outlined(valid)
    assert rings(outline) == [0, 1]
    assert shapely.covers(outline, corners_of(valid)).all()
    assert not outline.contains(shapely.Point(350, 225))
    assert not outline.contains(shapely.Point(400, 550))
    assert outline.area < 1.12 * valid.sum()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 0.99])
def test_an_outline_has_few_points_however_the_pixels_are_strewn(share: float) -> None:
    valid = np.random.default_rng(2).random((230, 200)) < share
    outline = outlined(valid)
    assert shapely.get_num_coordinates(outline) <= MOST_POINTS
    assert shapely.covers(outline, corners_of(valid)[::9]).all()


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.lists(st.tuples(*(st.floats(0, 1),) * 4), min_size=1, max_size=6),
)
def test_no_pixel_with_data_is_left_out(
    size: tuple[int, int], boxes: list[tuple[float, float, float, float]]
) -> None:
    valid = np.zeros(size, np.bool_)
    for top, left, bottom, right in boxes:
        rows = sorted(int(side * (size[0] - 1)) for side in (top, bottom))
        columns = sorted(int(side * (size[1] - 1)) for side in (left, right))
        valid[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = True
    assert shapely.covers(outlined(valid), corners_of(valid)).all()
