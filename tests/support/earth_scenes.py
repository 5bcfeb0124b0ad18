"""Rasters of a smooth invented warmth of the Earth, anywhere on it and in any coordinate system."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from generated_scenes import write_raster
from numpy.typing import NDArray
from rasterio import warp
from rasterio.crs import CRS
from rasterio.transform import Affine

from fusion_core.images.gdal_errors import GdalError

Field = NDArray[np.float64]


@dataclass(frozen=True)
class Patch:
    """A grid on the Earth: coordinate system, west and north end, pixel, and size."""

    crs: str
    west: float
    north: float
    pixel: float
    size: tuple[int, int]

    @property
    def transform(self) -> Affine:
        return Affine(self.pixel, 0, self.west, 0, -self.pixel, self.north)

    @property
    def profile(self) -> dict[str, Any]:
        return {"crs": self.crs, "transform": self.transform}


def warmth(lon: Field, lat: Field) -> Field:
    """Waves of 18 degrees upon one of 360; they die away at the poles."""
    x, y = np.radians(lon), np.radians(lat)
    broad = 300 * np.cos(x - 0.6) * np.cos(y) + 100 * np.sin(y)
    return np.asarray(1000 + broad + 60 * np.sin(20 * y) + 60 * np.cos(20 * x) * np.cos(y) ** 4)


def warmth_of(patch: Patch) -> Field:
    """The warmth at the middles of a grid's pixels; NaN off the Earth."""
    height, width = patch.size
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    xs = patch.west + patch.pixel * columns
    ys = patch.north - patch.pixel * rows
    crs = CRS.from_user_input(patch.crs)
    if not crs.is_geographic:
        xs, ys = _degrees(crs, xs, ys)
    return warmth(xs, ys)


def write_warmth(path: Path, patch: Patch, dtype: str = "float32", **profile: Any) -> Path:
    """Write a grid's warmth, with zeros off the Earth."""
    values = np.nan_to_num(warmth_of(patch))
    return write_raster(path, values.astype(dtype), **{**patch.profile, **profile})


def _degrees(crs: CRS, xs: Field, ys: Field) -> tuple[Field, Field]:
    """Longitudes and latitudes, row by row, since one point without any fails its whole call."""
    found = np.full((2, *xs.shape), np.nan)
    with rasterio.Env():
        for row, places in enumerate(zip(xs, ys, strict=True)):
            try:
                found[:, row] = warp.transform(crs, "OGC:CRS84", *places)
            except GdalError:
                for column, place in enumerate(zip(*places, strict=True)):
                    try:
                        found[:, row, column] = np.ravel(
                            warp.transform(crs, "OGC:CRS84", *([side] for side in place))
                        )
                    except GdalError:
                        continue
    found[:, ~np.isfinite(found).all(axis=0)] = np.nan
    return found[0], found[1]
