"""Where a raster lies on the Earth: by a transform, or by ground control points."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import warp
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.io import DatasetReader
from rasterio.transform import Affine, from_gcps

from fusion_core.images.gdal_errors import GdalError, GdalNotSupportedError

Points = NDArray[np.float64]

_FITS = 0.5  # of a pixel: how far control points may lie from a transform that stands for them
_OVER_THE_POLE = 93.0  # of latitude: global grids may have the centres of pixels on the poles
_FULL_TURN = 360.0
_PRIME_MERIDIAN = re.compile(r'PRIMEM\["[^"]*",([-+.\deE]+)(,AUTHORITY\["[^"]*","[^"]*"\])?\]')
_CODE = re.compile(r',AUTHORITY\["[^"]*","[^"]*"\]\]$')


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a raster lies on the Earth.

    Attributes:
        crs: Its coordinate system.
        transform: From (column, row) corners to coordinates; None where control points give the
            place, and none but a curve leads through them.
        points: The ground control points, none where the file has a transform itself.
        width: Columns of the raster.
        height: Its rows.
    """

    crs: CRS
    transform: Affine | None
    points: tuple[GroundControlPoint, ...] = ()
    width: int
    height: int

    @property
    def grid(self) -> Affine:
        """The transform of a raster that has one."""
        assert self.transform is not None
        return self.transform

    @property
    def in_degrees(self) -> bool:
        """Whether coordinates are longitudes, which are the same after a full turn."""
        return bool(self.crs.is_geographic) and 'UNIT["degree"' in self.crs.to_wkt()

    def coordinates(self, columns: Points, rows: Points) -> tuple[Points, Points]:
        """Return the coordinates of places in the raster."""
        return _applied(self.grid, columns, rows)

    def pixels(self, xs: Points, ys: Points) -> tuple[Points, Points]:
        """Return the columns and rows of coordinates."""
        return _applied(~self.grid, xs, ys)

    def turned(self) -> Place:
        """Return the same place with longitudes counted from the raster's middle.

        They run from -180 to 180 then, wherever on the Earth the raster lies: one that holds the
        180th meridian is in one piece. Other systems than of degrees stay as they are, and so do
        three-dimensional ones, in which PROJ passes over a prime meridian of ours.
        """
        if self.transform is None or not self.in_degrees:
            return self
        middle, _ = self.grid @ (self.width / 2, self.height / 2)
        # By a full turn where there is nothing to turn: only between systems that differ do
        # PROJ and GDAL bring longitudes into -180 to 180.
        turn = middle if abs(middle) > 1e-6 else _FULL_TURN
        wkt, count = _PRIME_MERIDIAN.subn(
            lambda found: f'PRIMEM["turned",{float(found[1]) + turn!r}]', self.crs.to_wkt()
        )
        if count != 1:
            return self
        crs = CRS.from_wkt(_CODE.sub("]", wkt))
        return replace(self, crs=crs, transform=Affine.translation(-middle, 0) @ self.transform)


def place_of(dataset: DatasetReader) -> Place | None:
    """Return where a raster lies, None where nothing says so.

    RPCs don't count, since they want the ground's height, nor do control points on one line.
    """
    size = {"width": dataset.width, "height": dataset.height}
    if dataset.crs is not None:
        return Place(crs=dataset.crs, transform=dataset.transform, **size)
    points, crs = dataset.gcps
    if not points or crs is None:
        return None
    place = Place(crs=crs, transform=None, points=tuple(points), **size)
    ties = np.array([(p.col, p.row, p.x, p.y) for p in points], np.float64)
    columns, rows, xs, ys = ties.T
    if place.in_degrees:  # on both sides of the 180th meridian, perhaps
        xs = xs[0] + (xs - xs[0] + _FULL_TURN / 2) % _FULL_TURN - _FULL_TURN / 2
    transform = _fitted(columns, rows, xs, ys) if np.isfinite(ties).all() else None
    if transform is None or transform.is_degenerate:
        return None
    found = _applied(~transform, xs, ys)
    fits = np.hypot(found[0] - columns, found[1] - rows).max() < _FITS
    return replace(place, transform=transform) if fits else place


def same_place(one: Place, other: Place) -> bool:
    """Tell whether two rasters lie on one grid, pixel on pixel."""
    if (one.width, one.height, one.crs) != (other.width, other.height, other.crs):
        return False
    if one.transform is None or other.transform is None:
        ties = [
            [(p.row, p.col, p.x, p.y, p.z) for p in place.points] if place.points else None
            for place in (one, other)
        ]
        return ties[0] is not None and ties[0] == ties[1]
    return bool(one.transform.almost_equals(other.transform, 1e-9))


def project(source: Place, target: Place, columns: Points, rows: Points) -> tuple[Points, Points]:
    """Find where places in one raster lie in another.

    Returns:
        Columns and rows in the target, NaN where there is no such place.

    Raises:
        CRSError: There is no way from one coordinate system to the other.
    """
    xs, ys = source.coordinates(columns, rows)
    if source.in_degrees:
        ys = np.where(np.abs(ys) <= _OVER_THE_POLE, np.clip(ys, -90, 90), ys)
    if source.crs != target.crs:
        xs, ys = _transformed(source.crs, target.crs, xs, ys)
    return target.pixels(xs, ys)


def _transformed(source: CRS, target: CRS, xs: Points, ys: Points) -> tuple[Points, Points]:
    """Transform coordinates, NaN where they have no place: rasterio gives all or nothing."""
    try:
        with rasterio.Env():  # GDAL's complaints go to the log, not to standard error
            found = np.array(warp.transform(source, target, xs, ys))[:2]
        found[:, ~np.isfinite(found).all(axis=0)] = np.nan
        return found[0], found[1]
    except GdalNotSupportedError as error:
        raise CRSError(f"{error}") from error
    except GdalError:
        if len(xs) == 1:
            return np.full(1, np.nan), np.full(1, np.nan)
    middle = len(xs) // 2
    halves = [_transformed(source, target, xs[k], ys[k]) for k in (np.s_[:middle], np.s_[middle:])]
    x, y = (np.concatenate(sides) for sides in zip(*halves, strict=True))
    return x, y


def _fitted(columns: Points, rows: Points, xs: Points, ys: Points) -> Affine | None:
    """Return the transform that is nearest to control points, None where they give none."""
    if len(xs) == 2:  # an upright grid, as GDAL has it
        points = [GroundControlPoint(*tie) for tie in zip(rows, columns, xs, ys, strict=True)]
        return Affine(*tuple(from_gcps(points))[:6])
    # Centred, or squares of coordinates of millions of metres would leave no digits.
    base = np.stack([columns - columns.mean(), rows - rows.mean()], axis=1)
    if np.linalg.matrix_rank(base) < 2:
        return None
    (a, b), (d, e) = (np.linalg.lstsq(base, side - side.mean(), rcond=None)[0] for side in (xs, ys))
    middle = columns.mean(), rows.mean()
    c = xs.mean() - a * middle[0] - b * middle[1]
    f = ys.mean() - d * middle[0] - e * middle[1]
    return Affine(*(float(value) for value in (a, b, c, d, e, f)))


def _applied(transform: Affine, first: Points, second: Points) -> tuple[Points, Points]:
    a, b, c, d, e, f = tuple(transform)[:6]
    return a * first + b * second + c, d * first + e * second + f
