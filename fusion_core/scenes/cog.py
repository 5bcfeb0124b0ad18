"""The files of a fused scene: working files for the tiles, then a cloud-optimised GeoTIFF."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.rpc import RPC
from rasterio.windows import Window

from fusion_core.errors import EncodeError, ScratchError
from fusion_core.images.gdal_errors import GdalError
from fusion_core.metrics.greyscale import unit_to_grey255
from fusion_core.metrics.scaling import Scaling
from fusion_core.models.tiling.grid import Slices
from fusion_core.scenes.grid import SceneGrid
from fusion_core.settings.scenes import Compression

BLOCK = 512
"""Side of the blocks of a COG, in pixels."""

_FILES, _GREYS = 2.8, 3
_STALE = ("STATISTICS_", "OVR_RESAMPLING_ALG")


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn GDAL's errors at one of our files, called ``what``, into ScratchError."""
    try:
        yield
    except (RasterioError, GdalError, OSError) as error:
        raise ScratchError(
            f"{what} can't be written: {error.__cause__ or error}. Expected room in the worker's "
            "temporary folder for four times the scene's pixels; free some, or set TMPDIR"
        ) from error


def check_room(folder: Path, source: DatasetReader, grid: SceneGrid) -> None:
    """Check that a folder has room for the files of a scene.

    A full disk shows late, and GDAL may take blocks that it couldn't write for empty ones.

    Raises:
        ScratchError: There is less room.
    """
    values = source.count * np.dtype(source.dtypes[0]).itemsize
    # The working file, as much for a COG that can't be compressed and its overviews, grey values.
    needed = int(grid.height * grid.width * (_FILES * values + _GREYS))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ScratchError(
            f"the worker's temporary folder {folder.parent} has {free / 1e9:.1f} GB free; expected "
            f"{needed / 1e9:.1f} GB for a scene of {grid.width}x{grid.height} pixels. Free some, "
            "or set TMPDIR"
        )


def create_work(
    path: Path, source: DatasetReader, grid: SceneGrid, nodata: float | None
) -> DatasetWriter:
    """Create the file that tiles are written to, with the visible source's metadata.

    Args:
        path: The file's path.
        source: The visible image.
        grid: The part of its grid that is fused.
        nodata: The value that means no data, None where there is none.
    """
    georeference: dict[str, Any] = {"crs": grid.crs, "transform": grid.transform}
    points, points_crs = source.gcps
    if points:
        georeference = {"gcps": _moved_points(points, grid), "crs": points_crs}
    elif grid.crs is None and source.transform.is_identity:
        georeference = {}
    with writing("the fused scene"):
        work = rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=grid.height,
            width=grid.width,
            count=source.count,
            dtype=source.dtypes[0],
            nodata=nodata,
            tiled=True,
            blockxsize=BLOCK,
            blockysize=BLOCK,
            bigtiff="IF_SAFER",
            **georeference,
        )
        copy_metadata(work, source)
        if source.rpcs is not None:
            work.rpcs = _moved_rpcs(source.rpcs, grid)
    return work


def create_greys(path: Path, grid: SceneGrid) -> DatasetWriter:
    """Create the file that is scored: infrared and visible grey, and where both hold data."""
    with writing("the grey values for the metrics"):
        return rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=grid.height,
            width=grid.width,
            count=3,
            dtype="uint8",
            tiled=True,
            blockxsize=BLOCK,
            blockysize=BLOCK,
            bigtiff="IF_SAFER",
        )


def has_mask_band(source: DatasetReader) -> bool:
    """Tell whether a file holds a mask beside its bands."""
    flags = source.mask_flag_enums[0]
    return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags


def window_of(part: Slices) -> Window:
    """Return rows and columns as a window of rasterio."""
    rows, columns = part
    return Window.from_slices((rows.start, rows.stop), (columns.start, columns.stop))


def make_cog(work: Path, cog: Path, compression: Compression) -> None:
    """Convert a finished working file to a cloud-optimised GeoTIFF with overviews.

    Raises:
        EncodeError: It can't be written, or its georeference, shape or types would not be those of
            the working file.
    """
    options = {"predictor": "YES"} if compression != "none" else {}
    with writing("the fused scene"):
        rasterio.shutil.copy(
            work,
            cog,
            driver="COG",
            compress=compression.upper(),
            blocksize=BLOCK,
            bigtiff="IF_SAFER",
            overview_resampling="AVERAGE",
            num_threads="2",
            **options,
        )
        with rasterio.open(work) as before, rasterio.open(cog) as after:
            for name in ("crs", "transform", "gcps", "rpcs", "shape", "count", "dtypes"):
                wanted, found = getattr(before, name), getattr(after, name)
                if name == "gcps":  # their ids are made up anew
                    wanted, found = (len(points) for points, _ in (wanted, found))
                if wanted != found:
                    raise EncodeError(
                        f"the fused scene's {name} would be {found}; expected {wanted}. GeoTIFF "
                        "can't hold it: reproject the visible scene"
                    )


def grey255(values: NDArray[Any], scaling: Scaling) -> NDArray[np.uint8]:
    """Return values as the 8-bit grey that metrics are defined on: scaled, rounded half up."""
    return unit_to_grey255(scaling.unit(values))


def _moved_points(points: list[GroundControlPoint], grid: SceneGrid) -> list[GroundControlPoint]:
    """Return ground control points at the rows and columns that the fused part has for them."""
    return [
        GroundControlPoint(p.row - grid.top, p.col - grid.left, p.x, p.y, p.z, p.id, p.info)
        for p in points
    ]


def _moved_rpcs(rpcs: RPC, grid: SceneGrid) -> RPC:
    """Return polynomials that count rows and columns from the fused part's corner."""
    moved = copy.copy(rpcs)
    moved.line_off -= grid.top
    moved.samp_off -= grid.left
    return moved


def copy_metadata(work: DatasetWriter, source: DatasetReader) -> None:
    """Copy a source's metadata, and that of its bands."""
    # GDAL's COG keeps no domain IMAGERY, so what it holds of the acquisition moves to the tags.
    tags = source.tags(ns="IMAGERY") | source.tags()
    work.update_tags(**_lasting(tags))
    work.colorinterp = source.colorinterp
    work.scales, work.offsets = source.scales, source.offsets
    for k in range(source.count):
        work.update_tags(k + 1, **_lasting(source.tags(k + 1)))
        if source.descriptions[k]:
            work.set_band_description(k + 1, source.descriptions[k])
        if source.units[k]:
            work.set_band_unit(k + 1, source.units[k])


def _lasting(tags: dict[str, str]) -> dict[str, str]:
    """Leave out tags that are true of the source's pixels only."""
    return {name: value for name, value in tags.items() if not name.startswith(_STALE)}
