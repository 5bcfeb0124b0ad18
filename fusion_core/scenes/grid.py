"""The grid that two images of a scene are fused on, and how the infrared is warped to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from rasterio import warp
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine

from fusion_core.errors import OverlapError, SizeMismatchError
from fusion_core.scenes.raster import Raster

_PIXELS = CRS.from_wkt('LOCAL_CS["pixels",UNIT["metre",1]]')
"""Stands in where files are matched by pixel and one is scaled to the other's size."""


@dataclass(frozen=True, kw_only=True)
class SceneGrid:
    """The part of the visible scene's grid that is fused.

    Attributes:
        height: Rows.
        width: Columns.
        top: First row, in the visible scene.
        left: First column, likewise.
        crs: Coordinate system, None where the visible scene has none, or is placed by GCPs.
        transform: From (column, row) corners to coordinates.
        same: Whether the infrared lies on the visible scene's whole grid already.
        by_pixel: Whether the images are matched by pixel and not by coordinates.
    """

    height: int
    width: int
    top: int
    left: int
    crs: CRS | None
    transform: Affine
    same: bool
    by_pixel: bool

    def warp_options(self, ir: DatasetReader, height: int, width: int) -> dict[str, Any]:
        """Return the options with which WarpedVRT shows the infrared on this grid.

        Args:
            ir: The infrared image.
            height: Rows that the grid is shown with.
            width: Columns, likewise.
        """
        scale = Affine.scale(self.width / width, self.height / height)
        if not self.by_pixel:
            return {
                "crs": self.crs,
                "transform": self.transform @ scale,
                "width": width,
                "height": height,
            }
        stretch = Affine.scale(self.width / ir.width, self.height / ir.height)
        return {
            "src_crs": _PIXELS,
            "src_transform": stretch,
            "crs": _PIXELS,
            "transform": scale,
            "width": width,
            "height": height,
        }

    def covers(self, dataset: DatasetReader) -> float:
        """Return the share of a visible scene that this grid covers, 0 to 1."""
        return float(self.height * self.width / (dataset.height * dataset.width))


def match_grids(vi: Raster, ir: Raster, *, resize: bool) -> SceneGrid:
    """Find the grid on which two images of a scene are fused.

    Args:
        vi: The visible image, whose grid it is.
        ir: The infrared image.
        resize: Whether an infrared image that is matched by pixel may have another size.

    Raises:
        OverlapError: The footprints don't overlap.
        SizeMismatchError: One has no coordinate system, and the sizes differ.
    """
    visible, infrared = vi.dataset, ir.dataset
    equal = (visible.height, visible.width) == (infrared.height, infrared.width)
    crs, transform = visible.crs, visible.transform
    whole = partial(
        SceneGrid,
        height=visible.height,
        width=visible.width,
        top=0,
        left=0,
        crs=crs,
        transform=transform,
    )
    if crs is None or infrared.crs is None:
        if not (equal or resize):
            raise SizeMismatchError(
                f"{ir.path} is {infrared.width}x{infrared.height} and {vi.path} "
                f"{visible.width}x{visible.height}, and not both have a coordinate system; "
                "expected equal sizes, to be matched by pixel. Georeference them, or set "
                "size_mismatch to resize_ir if both show the same field of view"
            )
        return whole(same=equal, by_pixel=True)
    if equal and crs == infrared.crs and transform.almost_equals(infrared.transform, 1e-9):
        return whole(same=True, by_pixel=False)
    top, left, bottom, right = _overlap(vi, ir)
    return SceneGrid(
        height=bottom - top,
        width=right - left,
        top=top,
        left=left,
        crs=crs,
        transform=transform @ Affine.translation(left, top) if top or left else transform,
        same=False,
        by_pixel=False,
    )


def _overlap(vi: Raster, ir: Raster) -> tuple[int, int, int, int]:
    """Return the rows and columns of the visible scene that the infrared covers."""
    visible, infrared = vi.dataset, ir.dataset
    try:
        bounds = warp.transform_bounds(infrared.crs, visible.crs, *infrared.bounds, densify_pts=21)
    except (CRSError, RasterioError) as error:
        raise OverlapError(
            f"{ir.path} can't be brought to the coordinate system of {vi.path}: {error}. Expected "
            "systems with a known transformation; warp one of them first"
        ) from error
    west, south, east, north = bounds
    inverse = ~visible.transform
    corners = [inverse @ (x, y) for x in (west, east) for y in (south, north)]
    columns, rows = ([corner[k] for corner in corners] for k in (0, 1))
    if not all(math.isfinite(value) for value in columns + rows):
        raise OverlapError(
            f"{ir.path} has no place in the coordinate system of {vi.path}; expected footprints "
            "that overlap. Check which files were paired"
        )
    top, bottom = _part(min(rows), max(rows), visible.height, infrared.height)
    left, right = _part(min(columns), max(columns), visible.width, infrared.width)
    if top >= bottom or left >= right:
        raise OverlapError(
            f"the footprints of {ir.path} and {vi.path} don't overlap: the infrared spans columns "
            f"{min(columns):.0f} to {max(columns):.0f} and rows {min(rows):.0f} to "
            f"{max(rows):.0f} of the visible scene's {visible.width}x{visible.height} pixels. "
            "Check which files were paired"
        )
    return top, left, bottom, right


def _part(first: float, last: float, size: int, infrared_size: int) -> tuple[int, int]:
    """Return the pixels of a side that lie between two places.

    A side that is short by less than a pixel of either image counts as covered: grids of other
    resolutions hardly ever end at the same coordinate.
    """
    slack = max(1.0, (last - first) / infrared_size)
    start = 0 if first <= slack else math.ceil(first)
    stop = size if last >= size - slack else math.floor(last)
    return start, stop
