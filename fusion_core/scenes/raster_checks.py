"""Refuses rasters that can't be fused, each with its reason, before any pixel is read."""

from __future__ import annotations

import math
import re

import numpy as np
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.enums import Interleaving
from rasterio.io import DatasetReader, MemoryFile

from fusion_core.errors import DecodeError
from fusion_core.images.samples import can_hold
from fusion_core.scenes.raster import Raster

TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
"""Data types that are fused."""

_UNKNOWN_EARTH = "unretrievable - using WGS84"
"""What GDAL calls the ellipsoid of a system of which it knows nothing."""

_BLOCK_OF_OURS = 512
_LARGEST_BLOCK = 1 << 30  # bytes

_HARMLESS = 1 << 30
_MOST_TIMES = 10_000
"""Of a file's bytes in pixels. Images are compressed to a hundredth at best, a file made to keep a
worker busy for days to less than a hundred thousandth."""


def check_raster(raster: Raster) -> None:
    """Check a raster's header.

    Raises:
        DecodeError: Its description names a problem, its pixels are of a type that isn't fused
            (complex, 64-bit integers, bands of several types), a band's scale is 0, its blocks
            don't fit in memory, its coordinate system can't be identified, its nodata value is
            none that its type can hold, or its header is damaged.
    """
    dataset = raster.dataset
    with raster.reading():
        # The others make sense only where the first finds nothing.
        problem = (
            raster.description.problem(scene=True)
            or _type_problem(dataset)
            or _scale_problem(dataset)
            or _block_problem(dataset)
            or _crs_problem(dataset.crs or dataset.gcps[1])
            or _nodata_problem(raster)
        )
    if problem is not None:
        raise DecodeError(f"{raster.path}: {problem}")


def check_worth(raster: Raster, height: int, width: int) -> None:
    """Check that a part of a raster that is to be read isn't far larger than the file's bytes.

    Args:
        raster: The raster.
        height: Rows that will be read.
        width: Columns.

    Raises:
        DecodeError: It is, as in a file that was made to keep a worker busy.
    """
    dataset = raster.dataset
    told = height * width * dataset.count * np.dtype(dataset.dtypes[0]).itemsize
    if told > max(_HARMLESS, _MOST_TIMES * raster.file_bytes):
        raise DecodeError(
            f"{raster.path}: its {raster.file_bytes} bytes tell of {told / 1e9:.1f} GB of pixels; "
            f"expected at most {_MOST_TIMES} times as many bytes, since no image is so empty. Cut "
            "it to where it holds data"
        )


def check_upright(raster: Raster) -> None:
    """Check that a raster's rows run east to west and its columns north to south.

    Raises:
        DecodeError: Its grid is rotated, sheared or without extent.
    """
    transform = raster.dataset.transform
    if transform.b or transform.d or not transform.a or not transform.e:
        raise DecodeError(
            f"{raster.path}: the grid is rotated or sheared, with the transform "
            f"{tuple(transform)[:6]}; expected rows along the x axis and columns along the y axis. "
            "Warp the visible scene to an upright grid first (gdalwarp)"
        )


def _type_problem(dataset: DatasetReader) -> str | None:
    types = set(dataset.dtypes)
    if len(types) > 1 or not types <= set(TYPES):
        return (
            f"the pixels are of type {', '.join(sorted(types))}; expected one of "
            f"{', '.join(TYPES)} for all bands. Convert it first"
        )
    return None


def _scale_problem(dataset: DatasetReader) -> str | None:
    declared = [*dataset.scales, *dataset.offsets]
    if all(map(math.isfinite, declared)) and all(dataset.scales):
        return None
    return (
        f"its bands declare the scales {dataset.scales} and offsets {dataset.offsets}; expected "
        "finite numbers, and no scale of 0. Correct them (gdal_edit -scale)"
    )


def _block_problem(dataset: DatasetReader) -> str | None:
    height, width = dataset.block_shapes[0]
    pixel = np.dtype(dataset.dtypes[0]).itemsize * dataset.count
    # Of a damaged JPEG 2000 file GDAL looks for the interleaving for ever.
    tiff = dataset.driver == "GTiff"
    sides = dataset.count if tiff and dataset.interleaving is not Interleaving.pixel else 1
    ours = (pixel * _BLOCK_OF_OURS**2, _BLOCK_OF_OURS, _BLOCK_OF_OURS)
    largest, height, width = max((pixel // sides * height * width, height, width), ours)
    if largest > _LARGEST_BLOCK:
        return (
            f"its {dataset.count} bands in blocks of {width}x{height} pixels take "
            f"{largest >> 20} MiB a block; expected at most {_LARGEST_BLOCK >> 20}. Cut it into "
            "tiles (gdal_translate -co TILED=YES), or choose fewer bands"
        )
    return None


def _crs_problem(crs: CRS | None) -> str | None:
    if crs is None:
        return None
    wkt = crs.to_wkt()
    if (crs.is_projected or crs.is_geographic) and _UNKNOWN_EARTH not in wkt:
        return None
    name = re.match(r'\w+\["([^"]*)"', wkt)
    if name is not None and name[1] not in ("", "unnamed", "unknown"):
        return None  # a local system, which matches itself
    return (
        "it has a coordinate system that can't be identified: its GeoTIFF keys name no known code "
        "and no parameters; expected an EPSG code or a full definition. Assign one (gdal_edit "
        "-a_srs)"
    )


def _nodata_problem(raster: Raster) -> str | None:
    dtype = np.dtype(raster.dataset.dtypes[0])
    if dtype.kind == "f" or raster.dataset.driver != "GTiff":  # others have no nodata value
        return None
    limits = np.iinfo(dtype)
    for text in _declared_nodata(raster):
        if not can_hold(dtype, float(text)):
            return (
                f"the nodata value is {text}, which {dtype} can't hold; expected a whole number "
                f"from {limits.min} to {limits.max}. Correct it (gdal_edit -a_nodata)"
            )
    return None


def _declared_nodata(raster: Raster) -> list[str]:
    """Return the nodata values of a file as they are written in it.

    rasterio keeps silent about a value that the type can't hold; GDAL's own description of the file
    does not.
    """
    with MemoryFile(ext=".vrt") as memory:  # a full disk is no fault of the file
        rasterio.shutil.copy(raster.dataset, memory.name, driver="VRT")
        return re.findall(r"<NoDataValue>(.*?)</NoDataValue>", memory.read().decode())
