"""The grid that two images of a scene are fused on, and how the infrared is warped to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.transform import Affine

from fusion_core.errors import DecodeError, SizeMismatchError
from fusion_core.scenes.coverage import find_coverage
from fusion_core.scenes.place import Place, place_of, same_place
from fusion_core.scenes.raster import Raster
from fusion_core.scenes.warp_source import WarpSource, choose_source

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
        crs: Coordinate system, None where the visible scene has none.
        transform: From (column, row) corners to coordinates; of a scene that is placed by GCPs,
            the transform that stands for them.
        same: Whether the infrared lies on the visible scene's whole grid already.
        by_pixel: Whether the images are matched by pixel and not by coordinates.
        ir_rows: Rows of the infrared that lie in this part, roughly.
        source: How the infrared is read for the warp; None where it is as its file says.
        remark: What a reader of the fused scene should know of the match, if anything.
    """

    height: int
    width: int
    top: int
    left: int
    crs: CRS | None
    transform: Affine
    same: bool
    by_pixel: bool
    ir_rows: slice
    source: WarpSource | None = None
    remark: str | None = None

    def warp_options(self, ir: DatasetReader, height: int, width: int) -> dict[str, Any]:
        """Return the options with which WarpedVRT shows the infrared on this grid.

        Args:
            ir: The infrared image.
            height: Rows that the grid is shown with.
            width: Columns, likewise.
        """
        scale = Affine.scale(self.width / width, self.height / height)
        if not self.by_pixel:
            shrink = width / self.width, height / self.height
            return {
                "crs": self.crs,
                "transform": self.transform @ scale,
                "width": width,
                "height": height,
                **(self.source.options(shrink) if self.source else {}),
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
        SizeMismatchError: One has no place on the Earth, and the sizes differ.
        DecodeError: One is placed by control points that no upright or turned grid stands for.
    """
    visible, infrared = (place_of(side.dataset) for side in (vi, ir))
    if visible is None or infrared is None:
        return _by_pixel(vi, ir, (visible, infrared), resize=resize)
    same = same_place(visible, infrared)
    if not same:
        for raster, place in ((vi, visible), (ir, infrared)):
            _check_even(raster, place)
    transform = vi.dataset.transform if visible.transform is None else visible.transform
    whole = SceneGrid(
        height=visible.height,
        width=visible.width,
        top=0,
        left=0,
        crs=visible.crs,
        transform=transform,
        same=same,
        by_pixel=False,
        ir_rows=slice(0, infrared.height),
    )
    if same:
        return whole
    turned = infrared.turned()
    part = find_coverage(visible, turned, vi.path, ir.path)
    (top, bottom), (left, right) = part.rows, part.columns
    return replace(
        whole,
        height=bottom - top,
        width=right - left,
        top=top,
        left=left,
        ir_rows=part.lattice.rows_inside(),
        transform=transform @ Affine.translation(left, top) if top or left else transform,
        source=choose_source(visible, infrared, turned, part.lattice),
    )


def _by_pixel(
    vi: Raster, ir: Raster, places: tuple[Place | None, Place | None], *, resize: bool
) -> SceneGrid:
    """Return the whole grid of the visible scene, with the infrared pixel on pixel."""
    visible, infrared = vi.dataset, ir.dataset
    equal = visible.shape == infrared.shape
    if not (equal or resize):
        raise SizeMismatchError(
            f"{ir.path} is {infrared.width}x{infrared.height} and {vi.path} "
            f"{visible.width}x{visible.height}, and not both have a coordinate system; "
            "expected equal sizes, to be matched by pixel. Georeference them, or set "
            "size_mismatch to resize_ir if both show the same field of view"
        )
    remark = None
    if any(places):
        without = ir.path if places[0] else vi.path
        remark = f"matched by pixel, since {without} has no coordinate system"
    place = places[0]
    return SceneGrid(
        height=visible.height,
        width=visible.width,
        top=0,
        left=0,
        crs=place.crs if place else None,
        transform=place.transform if place and place.transform else visible.transform,
        same=equal,
        by_pixel=True,
        ir_rows=slice(0, infrared.height),
        remark=remark,
    )


def _check_even(raster: Raster, place: Place) -> None:
    if place.transform is None:
        raise DecodeError(
            f"{raster.path}: its {len(place.points)} ground control points lie on a curved grid, "
            "half a pixel and more from any straight one; expected a transform, or points on a "
            "straight grid. Place it on a grid first (gdalwarp)"
        )
