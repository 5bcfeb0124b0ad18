from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from earth_scenes import Patch, warmth_of
from generated_scenes import write_raster
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from scene_fixture import opened

from fusion_core.scenes.aligned_raster import AlignedPixels, AlignedRaster
from fusion_core.scenes.grid import match_grids
from fusion_core.settings.scenes import SceneSettings

WORLD = Patch("EPSG:4326", -180, 90, 0.5, (360, 720))
OVER_180 = Patch("EPSG:4326", 178, 10, 0.04, (60, 100))
BESIDE = Patch("EPSG:4326", 4, 50, 0.04, (60, 100))

# From 178 to 182 degrees east and 9 to 8 north, ...
HOLE = np.zeros(WORLD.size, bool)
HOLE[162:164, [*range(4), *range(716, 720)]] = True
# ... and from 4 to 8 east and 49 to 48 north.
HOLE[82:84, 368:376] = True


def read(folder: Path, visible: Patch, ir: Path, **changes: Any) -> AlignedPixels:
    path = write_raster(folder / "vi.tif", np.ones(visible.size, np.uint8), **visible.profile)
    with opened(path) as a, opened(ir) as b:
        grid = match_grids(a, b, resize=False)
        settings = SceneSettings(**changes)
        with closing(AlignedRaster(b, grid, settings, warped=not grid.same)) as side:
            assert side.grid.source is None or side.grid.source.ring is not None
            return side.read((slice(0, grid.height), slice(0, grid.width)))


def with_hole(path: Path, dtype: str, how: str) -> tuple[Path, dict[str, Any]]:
    values: NDArray[Any] = np.where(HOLE, 7, warmth_of(WORLD)).astype(dtype)
    fields = {"nodata": 7} if how == "declared" else {}
    bands = values[None]
    if how == "alpha":
        bands = np.stack([values, np.where(HOLE, 0, np.iinfo(dtype).max).astype(dtype)])
    write_raster(path, bands, **WORLD.profile, **fields)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        if how == "mask band":
            dataset.write_mask(~HOLE)
        if how == "alpha":
            dataset.colorinterp = (ColorInterp.gray, ColorInterp.alpha)
    return path, {"nodata": 7} if how == "setting" else {}


@pytest.mark.parametrize("visible", [OVER_180, BESIDE], ids=["cut open", "as it lies"])
@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float32"])
@pytest.mark.parametrize("how", ["declared", "setting", "mask band"])
def test_pixels_without_data_are_known_in_every_type_however_they_are_told(
    tmp_path: Path, visible: Patch, dtype: str, how: str
) -> None:
    path, changes = with_hole(tmp_path / "ir.tif", dtype, how)
    check_hole(read(tmp_path, visible, path, **changes), visible)


@pytest.mark.parametrize("visible", [OVER_180, BESIDE], ids=["cut open", "as it lies"])
@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32"])
def test_opacity_is_known_in_every_type(tmp_path: Path, visible: Patch, dtype: str) -> None:
    path, _ = with_hole(tmp_path / "ir.tif", dtype, "alpha")
    found = read(tmp_path, visible, path)
    assert len(found.bands) == 2
    check_hole(found, visible)


def check_hole(found: AlignedPixels, visible: Patch) -> None:
    # 25 rows and columns of the visible scene are a degree: the hole is rows 25 to 49.
    assert not found.valid[31:44, 10:90].any()
    assert found.valid[:18].all()
    assert found.valid[57:].all()
    expected = warmth_of(visible)
    off = np.abs(found.luminance - expected)
    assert off[:18].max() < 4
    assert off[57:].max() < 4
    assert off[found.valid].max() < 20  # a hole's edge takes the value of the pixel beside it
