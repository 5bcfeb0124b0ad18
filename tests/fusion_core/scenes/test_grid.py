from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated_scenes import PLACE, UTM, write_raster
from rasterio import warp
from rasterio.transform import Affine
from scene_fixture import opened

from fusion_core.errors import OverlapError, SizeMismatchError
from fusion_core.scenes.grid import SceneGrid, match_grids

VISIBLE = (80, 100)
"""Rows and columns of the visible scene at PLACE; its pixels are 10 m wide."""


def grid_of(
    folder: Path,
    ir_size: tuple[int, int] = VISIBLE,
    resize: bool = False,
    ir: dict[str, Any] | None = None,
    **vi: Any,
) -> SceneGrid:
    paths = [folder / f"{side}.tif" for side in ("vi", "ir")]
    write_raster(paths[0], np.ones(VISIBLE, np.uint8), **vi)
    write_raster(paths[1], np.ones(ir_size, np.uint8), **(ir or {}))
    with opened(paths[0]) as visible, opened(paths[1]) as infrared:
        return match_grids(visible, infrared, resize=resize)


def crop(grid: SceneGrid) -> tuple[int, int, int, int]:
    return grid.top, grid.left, grid.height, grid.width


def moved(columns: float, rows: float, pixel: float = 10.0) -> dict[str, Affine]:
    """A place whose corner lies so many visible columns and rows from the visible scene's."""
    a = Affine(pixel, 0, PLACE.c + 10 * columns, 0, -pixel, PLACE.f - 10 * rows)
    return {"transform": a}


def test_equal_grids_are_the_same(tmp_path: Path) -> None:
    grid = grid_of(tmp_path)
    assert (grid.same, grid.by_pixel, crop(grid)) == (True, False, (0, 0, *VISIBLE))
    assert grid.transform == PLACE
    assert grid.crs.to_epsg() == 32654


def test_a_grid_that_differs_by_rounding_is_the_same(tmp_path: Path) -> None:
    rounded = Affine(10.0, 0.0, PLACE.c + 1e-10, 0.0, -10.0, PLACE.f)
    assert grid_of(tmp_path, ir={"transform": rounded}).same


@pytest.mark.parametrize(
    ("ir", "ir_size"),
    [
        (moved(0.5, 0), VISIBLE),
        (moved(0, 0, 20.0), (40, 50)),
        (moved(-3, -3, 30.0), (40, 50)),
        ({"crs": "EPSG:32653", "transform": Affine(100, 0, 9e5, 0, -100, 4.06e6)}, (1000, 1000)),
    ],
    ids=["half a pixel off", "coarser", "larger", "another zone"],
)
def test_other_grids_over_the_whole_scene_are_warped_to_it(
    tmp_path: Path, ir: dict[str, Any], ir_size: tuple[int, int]
) -> None:
    grid = grid_of(tmp_path, ir_size, ir=ir)
    assert (grid.same, grid.by_pixel, crop(grid)) == (False, False, (0, 0, *VISIBLE))
    assert grid.transform == PLACE


@pytest.mark.parametrize(
    ("columns", "rows", "pixel", "ir_size", "expected"),
    [
        # Pixels of 10 m: the infrared's columns and rows are those of the visible scene.
        (30, 20, 10.0, VISIBLE, (20, 30, 60, 70)),
        (-30, -20, 10.0, VISIBLE, (0, 0, 60, 70)),
        (30, 20, 10.0, (10, 15), (20, 30, 10, 15)),
        # Only pixels that it covers as a whole: columns 31 to 44, rows 21 to 29.
        (30.5, 20.5, 10.0, (10, 14), (21, 31, 9, 13)),
        # Pixels of 30 m: 12 by 10 of them are 36 by 30 of the visible scene's.
        (12, 6, 30.0, (10, 12), (6, 12, 30, 36)),
        # 90 by 75 of 20 m from 15 columns and 10 rows on reach beyond the scene's end.
        (15, 10, 20.0, (75, 90), (10, 15, 70, 85)),
    ],
)
def test_a_part_is_what_the_infrared_covers(
    tmp_path: Path,
    columns: float,
    rows: float,
    pixel: float,
    ir_size: tuple[int, int],
    expected: tuple[int, int, int, int],
) -> None:
    grid = grid_of(tmp_path, ir_size, ir=moved(columns, rows, pixel))
    assert crop(grid) == expected
    top, left, *_ = expected
    assert grid.transform.almost_equals(moved(left, top)["transform"], 1e-9)
    assert not grid.same


@pytest.mark.parametrize(
    ("columns", "rows", "pixel", "ir_size", "expected"),
    [
        (0.9, 0.9, 10.0, VISIBLE, (0, 0, 80, 100)),
        (-0.9, -0.9, 10.0, VISIBLE, (0, 0, 80, 100)),
        (1.1, 1.1, 10.0, VISIBLE, (2, 2, 78, 98)),
        (0.9, 0.9, 5.0, (160, 200), (0, 0, 80, 100)),
        # A pixel of 30 m forgives up to three of 10.
        (2.9, 2.9, 30.0, (26, 33), (0, 0, 80, 100)),
        (3.1, 3.1, 30.0, (26, 33), (4, 4, 76, 96)),
    ],
)
def test_less_than_a_pixel_of_either_image_counts_as_covered(
    tmp_path: Path,
    columns: float,
    rows: float,
    pixel: float,
    ir_size: tuple[int, int],
    expected: tuple[int, int, int, int],
) -> None:
    assert crop(grid_of(tmp_path, ir_size, ir=moved(columns, rows, pixel))) == expected


def test_a_footprint_of_another_system_is_found_where_an_independent_warp_puts_it(
    tmp_path: Path,
) -> None:
    """The infrared's middle in degrees; its corners by pyproj's way through rasterio.warp."""
    x, y = PLACE @ (20, 16)
    far_x, far_y = PLACE @ (70, 60)
    (west, east), (north, south) = warp.transform(UTM, "EPSG:4326", [x, far_x], [y, far_y])
    size = (60, 60)
    place = Affine((east - west) / 60, 0, west, 0, (south - north) / 60, north)
    grid = grid_of(tmp_path, size, ir={"crs": "EPSG:4326", "transform": place})
    # The meridians are turned against the grid, here by half a degree: a pixel at most in 50.
    assert np.abs(np.subtract(crop(grid), (16, 20, 44, 50))).max() <= 2


@pytest.mark.parametrize(
    ("ir", "reason"),
    [
        (moved(101, 0), "spans columns 101 to 201 and rows 0 to 80 of .* 100x80 pixels"),
        (moved(0, -82), "spans columns 0 to 100 and rows -82 to -2 of"),
        ({"crs": "EPSG:32733"}, "don't overlap"),
        ({"crs": "EPSG:4326", "transform": Affine(1e-3, 0, 10, 0, -1e-3, 10)}, "don't overlap"),
        ({"crs": "EPSG:4326", "transform": Affine(1.0, 0, 139, 0, -1.0, 1000)}, r"ir\.tif"),
    ],
)
def test_disjoint_footprints_are_refused_with_where_they_are(
    tmp_path: Path, ir: dict[str, Any], reason: str
) -> None:
    with pytest.raises(OverlapError, match=reason):
        grid_of(tmp_path, ir=ir)


@pytest.mark.parametrize("without", ["ir", "vi", "both"])
def test_without_coordinates_equal_sizes_are_matched_by_pixel(tmp_path: Path, without: str) -> None:
    nowhere = {"crs": None, "transform": None}
    fields = {"ir": nowhere if without != "vi" else None, **(nowhere if without != "ir" else {})}
    grid = grid_of(tmp_path, **fields)
    assert (grid.same, grid.by_pixel, crop(grid)) == (True, True, (0, 0, *VISIBLE))
    assert (grid.crs is None) == (without != "ir")


def test_without_coordinates_other_sizes_need_the_setting(tmp_path: Path) -> None:
    nowhere = {"crs": None, "transform": None}
    with pytest.raises(SizeMismatchError, match=r"ir\.tif is 50x40 and vi\.tif 100x80.*resize_ir"):
        grid_of(tmp_path, (40, 50), ir=nowhere)
    grid = grid_of(tmp_path, (40, 50), resize=True, ir=nowhere)
    assert (grid.same, grid.by_pixel, crop(grid)) == (False, True, (0, 0, *VISIBLE))


def test_a_grid_knows_its_share_of_the_visible_scene(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, ir=moved(30, 20))
    with opened(tmp_path / "vi.tif") as visible:
        assert grid.covers(visible.dataset) == 60 * 70 / (80 * 100)
