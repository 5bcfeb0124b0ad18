from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from generated_scenes import PLACE, UTM, scene_bands, write_raster
from numpy.typing import NDArray
from rasterio import warp
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import Affine
from scene_fixture import opened

from fusion_core.models.tiling.grid import Slices
from fusion_core.scenes.aligned_raster import AlignedPixels, AlignedRaster
from fusion_core.scenes.grid import match_grids
from fusion_core.settings.scenes import SceneSettings

SIZE = (540, 560)
"""More than one block of a warped view along each side."""

PART = (slice(40, 90), slice(20, 77))


def settings(**changes: Any) -> SceneSettings:
    return SceneSettings(**{"size_mismatch": "resize_ir", **changes})


@contextmanager
def infrared(
    folder: Path, ir: Path, vi_size: tuple[int, int] = SIZE, vi: Any = None, **changes: Any
) -> Iterator[AlignedRaster]:
    """The infrared side of a pair whose visible scene lies at PLACE."""
    visible = write_raster(folder / "vi.tif", np.ones(vi_size, np.uint8), **(vi or {}))
    with opened(visible) as a, opened(ir) as b:
        chosen = settings(**changes)
        grid = match_grids(a, b, resize=chosen.size_mismatch == "resize_ir")
        side = AlignedRaster(b, grid, chosen, warped=not grid.same)
        yield side
        side.close()


def whole(side: AlignedRaster) -> Slices:
    return slice(0, side.grid.height), slice(0, side.grid.width)


def read_whole(folder: Path, ir: Path, **fields: Any) -> AlignedPixels:
    with infrared(folder, ir, **fields) as side:
        return side.read(whole(side))


def temperatures(size: tuple[int, int]) -> NDArray[np.uint16]:
    """Waves of 11 to 70 pixels, in two directions."""
    y, x = np.mgrid[: size[0], : size[1]]
    waves = np.sin(x / 9) + np.sin(y / 11) + np.sin((x + y) / 5) + np.sin((x - 2 * y) / 4)
    return np.asarray(12000 + 900 * waves, np.uint16)


GRIDS = {
    "coarser": (UTM, 30.0),
    "finer": (UTM, 6.1),
    "degrees": ("EPSG:4326", 1e-4),
    "zone 53": ("EPSG:32653", 20.0),
    "sinusoidal": ("+proj=sinu +lon_0=0 +R=6371007.181 +units=m", 20.0),
}
"""Coordinate system and pixel of an infrared image."""


def around(grid: str) -> tuple[tuple[int, int], dict[str, Any]]:
    """Return size and profile of an infrared image that covers the visible one by six pixels."""
    crs, pixel = GRIDS[grid]
    left, top = PLACE.c, PLACE.f
    corners = (left, top - 10 * SIZE[0], left + 10 * SIZE[1], top)
    west, south, east, north = warp.transform_bounds(UTM, crs, *corners)
    size = int((north - south) / pixel) + 12, int((east - west) / pixel) + 12
    place = Affine(pixel, 0, west - 5.7 * pixel, 0, -pixel, north + 5.3 * pixel)
    return size, {"crs": crs, "transform": place}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("resampling", ["bilinear", "cubic"])
def test_the_infrared_is_warped_as_a_warp_of_the_whole_image_does(
    tmp_path: Path, grid: str, resampling: str
) -> None:
    size, profile = around(grid)
    ir = temperatures(size)
    path = write_raster(tmp_path / "ir.tif", ir, **profile)
    found = read_whole(tmp_path, path, resampling=resampling)
    assert found.valid.shape == SIZE
    expected = np.zeros(SIZE, np.uint16)
    warp.reproject(
        ir,
        expected,
        src_transform=profile["transform"],
        src_crs=profile["crs"],
        dst_transform=PLACE,
        dst_crs=UTM,
        resampling=Resampling[resampling],
        tolerance=0,
    )
    inner = (slice(4, -4), slice(4, -4))
    assert found.valid[inner].all()
    assert (expected[inner] > 0).all()
    error = np.abs(found.luminance[inner] - expected[inner].astype(float))
    steps = np.abs(np.diff(expected[inner].astype(float), axis=1))
    # The view bends straight lines by at most an eighth of a pixel, reproject here not at all.
    assert np.percentile(error, 99) <= max(1.0, 0.25 * np.percentile(steps, 99))
    assert error.mean() <= 0.1 * steps.mean() + 0.5


@pytest.mark.parametrize("grid", GRIDS)
def test_a_window_is_the_crop_of_the_whole(tmp_path: Path, grid: str) -> None:
    size, profile = around(grid)
    path = write_raster(tmp_path / "ir.tif", temperatures(size), **profile)
    windows = [PART, (slice(500, 520), slice(500, 530)), (slice(0, 540), slice(300, 301))]
    with infrared(tmp_path, path) as side:
        every = side.read(whole(side))
    for window in windows:  # each by a view of its own, in which nothing was read before
        with infrared(tmp_path, path) as side:
            part = side.read(window)
        assert np.array_equal(part.bands, every.bands[:, window[0], window[1]])
        assert np.array_equal(part.luminance, every.luminance[window])
        assert np.array_equal(part.valid, every.valid[window])


def test_the_same_grid_is_read_as_it_is(tmp_path: Path) -> None:
    ir = temperatures((100, 120))
    path = write_raster(tmp_path / "ir.tif", ir)
    with infrared(tmp_path, path, vi_size=(100, 120)) as side:
        assert not side.warped
        assert np.array_equal(side.read(PART).bands[0], ir[PART])


@pytest.mark.parametrize("step", [1, 2, 3, 7])
@pytest.mark.parametrize("warped", [False, True])
def test_a_decimated_read_takes_pixels_that_are_there(
    tmp_path: Path, step: int, warped: bool
) -> None:
    ramp = np.add.outer(10 * np.arange(100), np.arange(120)).astype(np.uint16)
    moved = {"transform": Affine(10, 0, PLACE.c - 5, 0, -10, PLACE.f + 5)} if warped else {}
    path = write_raster(tmp_path / "ir.tif", ramp, **moved)
    with infrared(tmp_path, path, vi_size=(100, 120), resampling="nearest") as side:
        assert side.warped == warped
        few = side.decimated(step)
    assert few.luminance.shape == few.valid.shape == (-(-100 // step), -(-120 // step))
    assert few.valid[:-1, :-1].all()
    assert set(few.luminance[few.valid]) <= set(ramp.ravel())
    rows = few.luminance[:-1, 0] // 10
    assert np.abs(rows - step * np.arange(rows.size)).max() <= step


def test_files_without_a_place_are_matched_by_pixel(tmp_path: Path) -> None:
    ir = temperatures((100, 120))
    path = write_raster(tmp_path / "ir.tif", ir, crs=None, transform=None)
    found = read_whole(tmp_path, path, vi_size=(100, 120))
    assert np.array_equal(found.bands[0], ir)


@pytest.mark.parametrize("factor", [2, 4])
def test_another_size_is_scaled_to_the_visible_scene(tmp_path: Path, factor: int) -> None:
    """A ramp stays a ramp: bilinear scaling is exact inside."""
    height, width = 60, 70
    ramp = np.add.outer(200.0 * np.arange(height), 30.0 * np.arange(width)).astype(np.float32)
    path = write_raster(tmp_path / "ir.tif", ramp, crs=None, transform=None)
    size = (factor * height, factor * width)
    found = read_whole(tmp_path, path, vi_size=size)
    rows, columns = ((np.arange(side) + 0.5) / factor - 0.5 for side in size)
    expected = np.add.outer(200 * rows, 30 * columns)
    inner = (slice(factor, -factor), slice(factor, -factor))
    assert found.luminance[inner] == pytest.approx(expected[inner], abs=0.5)
    assert found.valid.all()


def placed_by_rpcs(path: Path, pixels: NDArray[Any]) -> Path:
    one = [1.0] + [0.0] * 19
    rpcs = rasterio.rpc.RPC(
        **{"height_off": 0.0, "height_scale": 100.0, "lat_off": 36.0, "lat_scale": 1.0},
        **{"line_den_coeff": one, "line_num_coeff": one, "line_off": 50.0, "line_scale": 50.0},
        **{"long_off": 139.0, "long_scale": 1.0, "samp_den_coeff": one, "samp_num_coeff": one},
        **{"samp_off": 60.0, "samp_scale": 60.0, "err_bias": None, "err_rand": None},
    )
    return write_raster(path, pixels, crs=None, transform=None, rpcs=rpcs)


def test_a_file_placed_by_polynomials_is_matched_by_pixel(tmp_path: Path) -> None:
    ir = temperatures((100, 120))
    path = placed_by_rpcs(tmp_path / "ir.tif", ir)
    with infrared(tmp_path, path, vi_size=(100, 120)) as side:
        assert side.grid.by_pixel
        assert np.array_equal(side.read(whole(side)).bands[0], ir)
    half = read_whole(tmp_path, path, vi_size=(200, 240))
    assert half.valid.all()
    assert half.luminance[50:150:2, 50:150:2] == pytest.approx(
        ir[25:75, 25:75].astype(float), rel=0.2
    )


def hole(size: tuple[int, int]) -> NDArray[np.bool_]:
    outside = np.zeros(size, bool)
    outside[30:50, 40:70] = True
    return outside


@pytest.mark.parametrize("how", ["declared", "setting", "mask band", "alpha", "nan"])
def test_pixels_without_data_are_known_however_they_are_told(tmp_path: Path, how: str) -> None:
    ir = temperatures((100, 120))
    missing = hole(ir.shape)
    path = tmp_path / "ir.tif"
    changes: dict[str, Any] = {}
    if how == "nan":
        write_raster(path, np.where(missing, np.nan, ir).astype(np.float32))
    elif how == "alpha":
        write_raster(path, np.stack([ir, np.where(missing, 0, 65535).astype(np.uint16)]))
        with rasterio.open(path, "r+") as dataset:
            dataset.colorinterp = (ColorInterp.gray, ColorInterp.alpha)
    elif how == "mask band":
        write_raster(path, ir)
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
            dataset.write_mask(~missing)
    else:
        ir[missing] = 7
        write_raster(path, ir, **({"nodata": 7} if how == "declared" else {}))
        changes = {"nodata": 7} if how == "setting" else {}
    found = read_whole(tmp_path, path, vi_size=ir.shape, **changes)
    assert np.array_equal(found.valid, ~missing)
    assert np.isfinite(found.luminance).all()


@pytest.mark.parametrize("how", ["declared", "setting", "mask band", "nan", "declared nan"])
def test_pixels_without_data_do_not_bleed_when_they_are_warped(tmp_path: Path, how: str) -> None:
    ir = temperatures((100, 120))
    low, missing = int(ir.min()), hole(ir.shape)
    path = tmp_path / "ir.tif"
    place = {"transform": Affine(10, 0, PLACE.c - 4, 0, -10, PLACE.f + 4)}
    changes: dict[str, Any] = {}
    if how.endswith("nan"):
        values = np.where(missing, np.nan, ir).astype(np.float32)
        write_raster(path, values, **place, **({"nodata": np.nan} if "declared" in how else {}))
    elif how == "mask band":
        write_raster(path, np.where(missing, 0, ir).astype(np.uint16), **place)
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
            dataset.write_mask(~missing)
    else:
        values = np.where(missing, 0, ir).astype(np.uint16)
        write_raster(path, values, **place, **({"nodata": 0} if how == "declared" else {}))
        changes = {"nodata": 0} if how == "setting" else {}
    found = read_whole(tmp_path, path, vi_size=ir.shape, **changes)
    assert not found.valid[32:48, 42:68].any()
    assert found.valid[:28].all()
    assert found.valid[55:99].all()
    assert found.luminance[found.valid].min() >= low


@pytest.mark.parametrize("warped", [False, True])
@pytest.mark.parametrize(("dtype", "nodata"), [("uint16", 0), ("int16", -9), ("float32", np.nan)])
def test_a_pixel_lacks_data_where_all_bands_do(
    tmp_path: Path, dtype: str, nodata: float, warped: bool
) -> None:
    bands = scene_bands(3, (60, 80), bands=5, nodata=None)[1].astype(dtype)
    bands[2, 10:20, 10:20] = nodata
    bands[:, 40:45, 30:40] = nodata
    path = write_raster(tmp_path / "ir.tif", bands, nodata=nodata)
    found = read_whole(tmp_path, path, vi_size=(59, 79) if warped else (60, 80))
    assert found.bands.shape[0] == 5
    assert not found.valid[40:45, 30:40].any()
    assert found.valid.sum() == found.valid.size - 50
    others = bands[[0, 1, 3, 4], 10:20, 10:20].astype(float).mean(axis=0)
    # Nothing is as dark as 0 in an unsigned type, so there it counts as a value.
    wanted = others * 0.8 if dtype == "uint16" else others
    assert found.luminance[10:20, 10:20] == pytest.approx(wanted, rel=1e-6)


# rasterio's bounds of turned grids still multiply in the old way.
@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_outside_the_infrared_a_warped_scene_has_no_data(tmp_path: Path) -> None:
    """The infrared is turned, so that corners of the box around it hold none of it."""
    ir = temperatures((100, 120))
    middle = PLACE @ (60, 50)
    place = Affine.translation(*middle) @ Affine.rotation(30) @ Affine.scale(10, -10)
    path = write_raster(tmp_path / "ir.tif", ir, transform=place @ Affine.translation(-60, -50))
    found = read_whole(tmp_path, path, vi_size=(100, 120))
    assert not found.valid[0, 0]
    assert found.valid[50, 60]
    assert 0.6 < found.valid.mean() < 0.95


@pytest.mark.parametrize("data", [2, 4, 5])
def test_opacity_beside_any_number_of_bands_says_where_there_are_data(
    tmp_path: Path, data: int
) -> None:
    bands = np.full((data + 1, 60, 80), 700, np.uint16)
    bands[-1] = 65535
    bands[-1, :9] = 0
    path = write_raster(tmp_path / "ir.tif", bands)
    with rasterio.open(path, "r+") as target:
        target.colorinterp = [*target.colorinterp[:data], ColorInterp.alpha]
    found = read_whole(tmp_path, path, vi_size=(60, 80))
    assert not found.valid[:9].any()
    assert found.valid[9:].all()


def test_a_mask_and_a_nodata_value_both_count(tmp_path: Path) -> None:
    bands = np.full((1, 60, 80), 700, np.uint16)
    bands[0, :, :9] = 0
    path = write_raster(tmp_path / "ir.tif", bands, nodata=0)
    mask = np.full((60, 80), 255, np.uint8)
    mask[:9] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as target:
        target.write_mask(mask)
    found = read_whole(tmp_path, path, vi_size=(60, 80))
    assert not found.valid[:9].any()
    assert not found.valid[:, :9].any()
    assert found.valid[9:, 9:].all()
