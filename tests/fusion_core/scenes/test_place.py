from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from earth_scenes import Patch, warmth_of, write_warmth
from generated_scenes import PLACE, UTM, write_raster
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine
from scene_fixture import opened

from fusion_core.errors import DecodeError, OverlapError, SizeMismatchError
from fusion_core.scenes.aligned_raster import AlignedPixels, AlignedRaster
from fusion_core.scenes.grid import SceneGrid, match_grids
from fusion_core.scenes.place import Place, place_of, project
from fusion_core.settings.scenes import SceneSettings

VISIBLE = Patch("EPSG:32633", 500000, 5.4e6, 1000, (72, 96))
Bend = Callable[[float, float], tuple[float, float]]


def straight(column: float, row: float) -> tuple[float, float]:
    return column, row


def bent(column: float, row: float) -> tuple[float, float]:
    """Off by forty pixels at the end of a row, and by five from the nearest straight one."""
    return column + 40 * (column / 96) ** 2, row


def place_by_points(
    path: Path, patch: Patch, bend: Bend = straight, turn: Affine | None = None
) -> Path:
    """Replace the transform of a file by control points on a lattice of its pixels."""
    height, width = patch.size
    transform = patch.transform if turn is None else turn
    points = [
        GroundControlPoint(row, column, *(transform @ bend(column, row)), 120.0)
        for row in np.linspace(0, height, 4)
        for column in np.linspace(0, width, 5)
    ]
    with rasterio.open(path) as plain:
        pixels = plain.read()
    write_raster(path, pixels, transform=None, crs=None)
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = points, rasterio.CRS.from_user_input(patch.crs)
    return path


def read_matched(vi: Path, ir: Path, **changes: Any) -> tuple[SceneGrid, AlignedPixels]:
    with opened(vi) as a, opened(ir) as b:
        grid = match_grids(a, b, resize=False)
        with closing(AlignedRaster(b, grid, SceneSettings(), warped=not grid.same)) as side:
            return grid, side.read((slice(0, grid.height), slice(0, grid.width)))


def files(folder: Path, visible: Patch, infrared: Patch) -> tuple[Path, Path]:
    return (
        write_raster(folder / "vi.tif", np.ones(visible.size, np.uint8), **visible.profile),
        write_warmth(folder / "ir.tif", infrared),
    )


HALF = Patch("EPSG:32633", 500000, 5.4e6, 2000, (36, 48))
ELSEWHERE = Patch("EPSG:32633", 700000, 5.2e6, 1000, (72, 96))
DEGREES = Patch("EPSG:4326", 14, 50, 0.02, (120, 200))


@pytest.mark.parametrize("infrared", [HALF, DEGREES], ids=["half the size", "degrees"])
@pytest.mark.parametrize("by_points", ["vi", "ir", "both"])
def test_ground_control_points_say_where_a_file_lies(
    tmp_path: Path, infrared: Patch, by_points: str
) -> None:
    vi, ir = files(tmp_path, VISIBLE, infrared)
    if by_points != "ir":
        place_by_points(vi, VISIBLE)
    if by_points != "vi":
        place_by_points(ir, infrared)
    grid, found = read_matched(vi, ir)
    assert (grid.height, grid.width) == VISIBLE.size
    assert not grid.by_pixel
    assert grid.crs.to_epsg() == 32633
    assert grid.transform.almost_equals(VISIBLE.transform, 1e-6)
    assert found.valid.all()
    assert found.luminance == pytest.approx(warmth_of(VISIBLE), abs=1)


def test_a_visible_grid_that_points_turn_is_fused_as_it_lies(tmp_path: Path) -> None:
    vi, ir = files(tmp_path, VISIBLE, DEGREES)
    turn = Affine.translation(520000, 5.4e6) @ Affine.rotation(20) @ Affine.scale(700, -700)
    place_by_points(vi, VISIBLE, turn=turn)
    grid, found = read_matched(vi, ir)
    assert (grid.height, grid.width) == VISIBLE.size
    assert grid.transform.almost_equals(turn, 1e-6)
    with opened(vi) as raster, opened(ir) as other:
        place, there = (place_of(side.dataset) for side in (raster, other))
    assert place is not None
    assert there is not None
    columns, rows = np.meshgrid(np.arange(96) + 0.5, np.arange(72) + 0.5)
    at = project(place, there, columns.ravel(), rows.ravel())
    lon, lat = (np.reshape(side, VISIBLE.size) for side in there.coordinates(*at))
    assert found.valid.all()
    spot = Patch("EPSG:4326", lon[30, 40] - 0.5e-6, lat[30, 40] + 0.5e-6, 1e-6, (1, 1))
    assert found.luminance[30, 40] == pytest.approx(warmth_of(spot)[0, 0], abs=1)


@pytest.mark.parametrize("by_points", ["vi", "ir"])
def test_far_apart_by_points_is_no_pair(tmp_path: Path, by_points: str) -> None:
    vi, ir = files(tmp_path, VISIBLE, ELSEWHERE)
    place_by_points(*((vi, VISIBLE) if by_points == "vi" else (ir, ELSEWHERE)))
    with pytest.raises(OverlapError, match=r"ir\.tif and vi\.tif don't overlap.* columns 200 to"):
        read_matched(vi, ir)


def test_the_same_points_are_the_same_grid_however_curved(tmp_path: Path) -> None:
    for bend in (straight, bent):
        vi, ir = files(tmp_path, VISIBLE, VISIBLE)
        for path in (vi, ir):
            place_by_points(path, VISIBLE, bend)
        grid, found = read_matched(vi, ir)
        assert (grid.same, grid.by_pixel, grid.remark) == (True, False, None)
        assert found.luminance == pytest.approx(warmth_of(VISIBLE), abs=0.01)


def test_points_that_say_what_a_transform_says_are_the_same_grid(tmp_path: Path) -> None:
    vi, ir = files(tmp_path, VISIBLE, VISIBLE)
    grid, _ = read_matched(place_by_points(vi, VISIBLE), ir)
    assert grid.same


@pytest.mark.parametrize("by_points", ["vi", "ir"])
def test_a_curved_grid_is_to_be_straightened_first(tmp_path: Path, by_points: str) -> None:
    vi, ir = files(tmp_path, VISIBLE, HALF)
    place_by_points(*((vi, VISIBLE, bent) if by_points == "vi" else (ir, HALF, bent)))
    with pytest.raises(DecodeError, match=rf"{by_points}\.tif: its 20 ground .*curved.*gdalwarp"):
        read_matched(vi, ir)


def test_points_on_both_sides_of_180_are_one_place(tmp_path: Path) -> None:
    visible = Patch("EPSG:4326", 178, 10, 0.04, (60, 100))
    vi, ir = files(tmp_path, visible, Patch("EPSG:4326", -180, 90, 0.5, (360, 720)))
    place_by_points(vi, visible)
    with rasterio.open(vi, "r+") as dataset:
        points, crs = dataset.gcps
        for point in points:
            point.x -= 360 * (point.x > 180)
        dataset.gcps = points, crs
    _, found = read_matched(vi, ir)
    assert found.valid.all()
    assert found.luminance == pytest.approx(warmth_of(visible), abs=3)


def test_points_on_a_line_or_without_a_system_say_nothing(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((9, 9), np.uint8), crs=None, transform=None)
    points = [GroundControlPoint(k, 2 * k, 5e5 + k, 4e6 + k) for k in range(4)]
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = points, rasterio.CRS.from_user_input(UTM)
    with rasterio.open(path) as dataset:
        assert place_of(dataset) is None


def test_two_points_place_an_upright_grid(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((9, 9), np.uint8), crs=None, transform=None)
    points = [GroundControlPoint(row, row, *(PLACE @ (row, row))) for row in (0, 9)]
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = points, rasterio.CRS.from_user_input(UTM)
    with rasterio.open(path) as dataset:
        place = place_of(dataset)
    assert place is not None
    assert place.grid.almost_equals(PLACE, 1e-6)


@pytest.mark.parametrize("placed", ["vi", "ir"])
def test_a_match_by_pixel_with_a_placed_file_is_remarked(tmp_path: Path, placed: str) -> None:
    vi, ir = files(tmp_path, VISIBLE, VISIBLE)
    other = ir if placed == "vi" else vi
    write_raster(other, np.ones(VISIBLE.size, np.uint8), crs=None, transform=None)
    grid, _ = read_matched(vi, ir)
    assert grid.by_pixel
    assert grid.remark == f"matched by pixel, since {other.name} has no coordinate system"
    write_raster(other, np.ones((5, 5), np.uint8), crs=None, transform=None)
    with pytest.raises(SizeMismatchError):
        read_matched(vi, ir)


def test_longitudes_turn_with_the_raster_and_its_datum_stays(tmp_path: Path) -> None:
    place = Place(
        crs=rasterio.CRS.from_epsg(4267),
        transform=Affine(0.1, 0, 170, 0, -0.1, 20),
        width=200,
        height=300,
    )
    turned = place.turned()
    assert turned.grid.almost_equals(Affine(0.1, 0, -10, 0, -0.1, 20), 1e-9)
    there = Place(crs=rasterio.CRS.from_epsg(32601), transform=PLACE, width=9, height=9)
    lines = np.linspace(0, 9, 4)
    found, plain = (np.stack(project(there, side, lines, lines)) for side in (turned, place))
    assert found[0] == pytest.approx(plain[0] + 3600, abs=1e-6)
    assert found[1] == pytest.approx(plain[1], abs=1e-6)
