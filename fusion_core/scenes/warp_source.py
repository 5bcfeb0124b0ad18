"""How the infrared is read for the warp: where it is said to lie, and where it is cut open.

GDAL takes coordinates as they are: a longitude of 190 is not in a grid from -180 to 180, and the
pixels on both sides of the 180th meridian are no neighbours in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT

from fusion_core.scenes.coverage import Lattice, look_up
from fusion_core.scenes.place import Place

_MISSED = 0.01  # of a pixel, that columns around the Earth may fail to meet by
_WIDE = 1 / 12  # of the way around the Earth: a gap in which its grid can be cut open

_MASKS_BY_ALPHA = ("uint8", "uint16")
"""Types of which GDAL takes a band of opacity for the mask of the others."""


@dataclass(frozen=True, kw_only=True)
class WarpSource:
    """How the infrared is read for the warp.

    Attributes:
        crs: Its coordinate system, which may count longitudes from its own middle.
        transform: From corners of its pixels to coordinates in that system.
        ring: The same grid around the Earth, cut open where the visible scene isn't, and not where
            the file happens to begin; None where it is read as it lies.
        scale: Visible pixels per infrared pixel, along the infrared's rows and columns; None where
            GDAL can tell. It can't where neighbours in the visible scene lie at opposite ends of
            the infrared: it takes those for far apart, and blurs.
    """

    crs: CRS
    transform: Affine
    ring: Place | None = None
    scale: tuple[float, float] | None = None

    def options(self, shrink: tuple[float, float]) -> dict[str, Any]:
        """Return the options for the warp of what ``opened`` gives.

        Args:
            shrink: The warped view's columns and rows, as shares of the scene's.
        """
        if self.ring is not None:
            return {}
        place = {"src_crs": self.crs, "src_transform": self.transform}
        if self.scale is None:
            return place
        across, down = (one * other for one, other in zip(self.scale, shrink, strict=True))
        return {**place, "XSCALE": across, "YSCALE": down}


def choose_source(vi: Place, ir: Place, turned: Place, lattice: Lattice) -> WarpSource | None:
    """Choose how the infrared is read; None if GDAL does right by what the file says.

    Args:
        vi: Where the visible scene lies.
        ir: Where the infrared lies.
        turned: The same, with longitudes counted from its middle.
        lattice: Where the visible scene lies in that.
    """
    plain = look_up(vi, ir, lattice.rows, lattice.columns)
    if not (ir.points or plain.torn or (lattice.inside & ~plain.inside).any()):
        return None
    if lattice.torn:
        ring = _ring(turned, lattice)
        scale = None if ring else lattice.shrink()
        return WarpSource(crs=turned.crs, transform=turned.grid, ring=ring, scale=scale)
    return WarpSource(crs=turned.crs, transform=turned.grid)


@contextmanager
def warped(
    dataset: DatasetReader,
    source: WarpSource | None,
    options: dict[str, Any],
    resampling: Resampling,
    nodata: float | None,
) -> Iterator[Any]:
    """Open a warped view of an infrared image.

    Args:
        dataset: The image.
        source: How it is read.
        options: Where the view lies, and how large it is.
        resampling: How it is resampled.
        nodata: The value that means no data, None where there is none.
    """
    alpha = nodata is None and ColorInterp.alpha not in dataset.colorinterp
    values = {"src_nodata": nodata, "nodata": nodata, "warp_mem_limit": 64}
    if source is None or source.ring is None:
        with WarpedVRT(
            dataset, **options, **values, resampling=resampling, add_alpha=alpha
        ) as view:
            yield _with_masks(view, nodata)
        return
    ring = source.ring
    with (
        WarpedVRT(
            dataset,
            **values,
            src_crs=source.crs,
            src_transform=source.transform,
            crs=ring.crs,
            transform=ring.transform,
            width=ring.width,
            height=ring.height,
            resampling=Resampling.nearest,  # the pixels are the file's own, in another order
            add_alpha=alpha,
        ) as opened,
        WarpedVRT(opened, **options, **values, resampling=resampling) as view,
    ):
        yield _with_masks(view, nodata)


class _AlphaMasks:
    """A warped view whose masks are its band of opacity: of most types GDAL passes over it."""

    def __init__(self, view: WarpedVRT, band: int):
        self._view, self._band = view, band

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    @property
    def mask_flag_enums(self) -> tuple[list[Any], ...]:
        """No flags for any band: not that all its pixels are valid, above all."""
        return tuple([] for _ in range(self._view.count))

    def read_masks(
        self, indexes: list[int], *, window: Any = None, out_shape: tuple[int, ...] | None = None
    ) -> NDArray[np.uint8]:
        """Return a mask for each of some bands, 255 where there is data."""
        shape = None if out_shape is None else out_shape[-2:]
        opacity = self._view.read(self._band, window=window, out_shape=shape)
        mask = np.where(opacity > 0, np.uint8(255), np.uint8(0))
        return np.repeat(mask[None], len(indexes), axis=0)


def _with_masks(view: WarpedVRT, nodata: float | None) -> Any:
    if nodata is not None or view.dtypes[0] in _MASKS_BY_ALPHA:
        return view
    return _AlphaMasks(view, view.colorinterp.index(ColorInterp.alpha) + 1)


def _ring(turned: Place, lattice: Lattice) -> Place | None:
    """Return a grid around the Earth, cut open where it is farthest from the visible scene.

    None where it isn't closed, or where there is no such place: at a pole, say.
    """
    grid = turned.grid
    if not turned.in_degrees or grid.b or grid.d:
        return None
    pixel = abs(grid.a)
    columns = round(360 / pixel)
    if columns > turned.width or abs(columns * pixel - 360) > _MISSED * pixel:
        return None
    held = np.sort(lattice.at[0][lattice.inside] % columns)
    gaps = np.diff(held, append=held[0] + columns)
    widest = int(gaps.argmax())
    if gaps[widest] < _WIDE * columns:
        return None
    first = int(held[widest] + gaps[widest] / 2) % columns
    cut = replace(turned, transform=grid @ Affine.translation(first, 0), width=columns)
    ring = cut.turned()
    return None if ring is cut else ring  # of a system that can't be turned
