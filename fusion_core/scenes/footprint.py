"""The footprint of a scene: its outline on the Earth."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as transform_points

_POINTS_A_SIDE = 16  # a side that is straight in the scene's projection is curved in degrees
_DIGITS = 7  # of a degree: about a centimetre
_HIGHEST = 93.0  # of latitude: pixels of a global grid may have their centres on the poles

Affine = tuple[float, float, float, float, float, float]
"""a to f of rasterio: x = a * column + b * row + c, y = d * column + e * row + f."""

_Ring = NDArray[np.float64]


def read_crs(wkt: str | None) -> CRS | None:
    """Read a coordinate reference system; None if there is none or its text can't be read."""
    try:
        with rasterio.Env():  # GDAL's complaints go to the log, not to standard error
            return CRS.from_wkt(wkt) if wkt else None
    except CRSError:
        return None


def footprint(
    crs_wkt: str | None, transform: Affine, width: int, height: int
) -> tuple[dict[str, Any] | None, list[float] | None]:
    """Return a grid's outline on the Earth as GeoJSON (RFC 7946), and its bounding box.

    Args:
        crs_wkt: The grid's coordinate reference system; None if unknown.
        transform: Transform of rasterio, that is from the corners of pixels, whether their values
            hold for areas or for points.
        width: Width of the grid in pixels.
        height: Its height.

    Returns:
        A Polygon, or a MultiPolygon where it crosses the 180th meridian, in degrees of WGS 84;
        and west, south, east, north, with west > east in that case. Both None where there is no
        reference system, or none of the Earth, or where an edge lies outside its projection.
    """
    crs = read_crs(crs_wkt)
    ring = None if crs is None else _outline(crs, transform, width, height)
    if ring is None:
        return None, None
    parts = [_tidy(part) for part in _parts(ring)]
    lows, highs = (np.stack([end(part, axis=0) for part in parts]) for end in (np.min, np.max))
    # The western part is the first, so the box of two parts runs from there over the meridian.
    bbox = [lows[0, 0], lows[:, 1].min(), highs[-1, 0], highs[:, 1].max()]
    rings = [[part.tolist()] for part in parts]
    geometry = (
        {"type": "Polygon", "coordinates": rings[0]}
        if len(rings) == 1
        else {"type": "MultiPolygon", "coordinates": rings}
    )
    return geometry, [float(edge) for edge in bbox]


def _outline(crs: CRS, transform: Affine, width: int, height: int) -> _Ring | None:
    """Return a closed ring of longitude and latitude without jumps, from a west in -180 to 180.

    The ring of a grid with a pole inside goes twice around the Earth, and closes over the pole.
    """
    steps = np.arange(_POINTS_A_SIDE) / _POINTS_A_SIDE
    start, end = np.zeros_like(steps), np.ones_like(steps)
    columns = np.concatenate([start, steps, end, 1 - steps, [0]]) * width
    rows = np.concatenate([steps, end, 1 - steps, start, [0]]) * height
    a, b, c, d, e, f = transform
    xs, ys = a * columns + b * rows + c, d * columns + e * rows + f
    try:
        with rasterio.Env():
            lon, lat = transform_points(crs, CRS.from_string("OGC:CRS84"), xs, ys)
    except Exception:  # rasterio passes GDAL's own errors on here, which share no public class
        return None
    if not (np.isfinite(lon).all() and (np.abs(lat) <= _HIGHEST).all()):
        return None
    ring = np.stack([np.unwrap(lon, period=360), np.clip(lat, -90, 90)], axis=1)
    turn = ring[-1, 0] - ring[0, 0]
    if abs(turn) > 180:
        pole = math.copysign(90, ring[:, 1].mean())
        ring = np.concatenate([ring, ring[1:] + np.array([turn, 0])])
        ring = np.concatenate([ring, [[ring[-1, 0], pole], [ring[0, 0], pole], ring[0]]])
    ring = ring.round(_DIGITS)
    ring[:, 0] -= 360 * np.floor((ring[:, 0].min() + 180) / 360)
    return ring


def _parts(ring: _Ring) -> list[_Ring]:
    """Return closed rings within -180 to 180, the western end of the scene first."""
    west, east = ring[:, 0].min(), ring[:, 0].max()
    if east - west > 540:
        return [_cut(_cut(ring, 180, west=False), 540, west=True) - [360, 0]]
    if east - west >= 360:
        south, north = ring[:, 1].min(), ring[:, 1].max()
        corners = [(-180, south), (180, south), (180, north), (-180, north), (-180, south)]
        return [np.array(corners, np.float64)]
    if east <= 180:
        return [ring]
    return [_cut(ring, 180, west=True), _cut(ring, 180, west=False) - [360, 0]]


def _cut(ring: _Ring, meridian: float, *, west: bool) -> _Ring:
    """Return the part of a ring on one side of a meridian, closed."""
    kept: list[_Ring] = []
    for start, end in pairwise(ring):
        inside = [point[0] <= meridian if west else point[0] >= meridian for point in (start, end)]
        if inside[0]:
            kept.append(start)
        if inside[0] != inside[1]:
            share = (meridian - start[0]) / (end[0] - start[0])
            kept.append(np.array([meridian, start[1] + share * (end[1] - start[1])]))
    return np.stack([*kept, kept[0]])


def _tidy(ring: _Ring) -> _Ring:
    """Return a ring counterclockwise, rounded, and without points that repeat."""
    x, y = (ring - ring[0]).T
    ring = ring if (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() >= 0 else ring[::-1]
    ring = ring.round(_DIGITS)
    moves = np.concatenate([[True], (np.diff(ring, axis=0) != 0).any(axis=1)])
    # A scene of a centimetre is a ring of one point, and GeoJSON wants four.
    return ring[moves] if moves.sum() >= 4 else ring
