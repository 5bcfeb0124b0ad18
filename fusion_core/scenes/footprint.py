"""The footprint of a scene: the outline of its grid on the Earth, or of what holds data in it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as transform_points

from fusion_core.scenes.valid_area import polygons_of

_POINTS_A_SIDE = 16  # a side that is straight in the scene's projection is curved in degrees
_STRAIGHT = 1 / 8192  # of an area's height in degrees: less than 1/8 of a cell of valid_area.py
_EARTH = shapely.box(-180, -90, 180, 90)
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
    crs_wkt: str | None,
    transform: Affine,
    width: int,
    height: int,
    area: shapely.MultiPolygon | None = None,
) -> tuple[dict[str, Any] | None, list[float] | None]:
    """Return an outline on the Earth as GeoJSON (RFC 7946), and its bounding box.

    Args:
        crs_wkt: The grid's coordinate reference system; None if unknown.
        transform: Transform of rasterio, that is from the corners of pixels, whether their values
            hold for areas or for points.
        width: Width of the grid in pixels.
        height: Its height.
        area: The part of it that is outlined, in columns and rows; its sides bend where that can
            be seen in 512 cells. Default: all of it, with bends throughout.

    Returns:
        A Polygon, or a MultiPolygon where it crosses the 180th meridian or the area has several
        parts, in degrees of WGS 84; and west, south, east, north, with west > east in the former
        case. Both None where there is no reference system, or none of the Earth, or where an edge
        lies outside its projection.
    """
    crs = read_crs(crs_wkt)
    if crs is None:
        return None, None
    whole = area is None
    if area is None:
        corners = [(0, 0), (0, height), (width, height), (width, 0)]
        area = shapely.MultiPolygon([shapely.Polygon(corners)])
    parts = _placed(crs, transform, area, np.array([width, height]))
    if not parts:
        return None, None
    if not whole:
        parts = _straightened(parts)
    west, east = longitudes(parts)
    # Those of a scene over the 180th meridian begin with what lies west of it.
    parts.sort(key=lambda part: ((part.bounds[0] - west) % 360, part.bounds[1]))
    bounds = shapely.bounds(parts)
    bbox = [west, bounds[:, 1].min(), east, bounds[:, 3].max()]
    geometry = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    return json.loads(shapely.to_geojson(geometry)), [float(edge) for edge in bbox]


def longitudes(parts: Sequence[shapely.Polygon]) -> tuple[float, float]:
    """Return the ends of the shortest way from west to east that passes all parts."""
    spans = sorted((west, east) for west, _, east, _ in shapely.bounds(parts))
    reached, gaps = spans[0][1], [(0.0, -1)]
    for k, (west, east) in enumerate(spans[1:], 1):
        gaps.append((west - reached, k))
        reached = max(reached, east)
    around = spans[0][0] + 360 - reached
    widest, first = max(gaps)
    if first < 0 or around >= widest:
        return spans[0][0], reached
    return spans[first][0], max(east for _, east in spans[:first])


def _placed(
    crs: CRS, transform: Affine, area: shapely.MultiPolygon, sides: NDArray[np.int64]
) -> list[shapely.Polygon]:
    """Return the polygons of an area of a grid on the Earth; none where one has no place there."""
    unit = shapely.transform(area, lambda points: points / sides)
    parts: list[shapely.Polygon] = []
    for polygon in shapely.get_parts(shapely.segmentize(unit, 1 / _POINTS_A_SIDE)):
        placed = []
        for ring in (polygon.exterior, *polygon.interiors):
            found = _on_earth(crs, transform, shapely.get_coordinates(ring) * sides)
            if found is None:
                return []
            placed.append(_within_180(found))
        outer, *holes = placed
        if holes:
            solid = shapely.make_valid(outer)
            outer = shapely.difference(solid, shapely.union_all(shapely.make_valid(holes)))
        parts += _tidy(outer)
    if len(parts) > 1 and not shapely.MultiPolygon(parts).is_valid:
        parts = _tidy(shapely.union_all(shapely.make_valid(parts)))
    return parts


def _straightened(parts: Sequence[shapely.Polygon]) -> list[shapely.Polygon]:
    """Return polygons without the points that straight sides don't need."""
    bounds = shapely.bounds(parts)
    height = bounds[:, 3].max() - bounds[:, 1].min()
    return _tidy(shapely.MultiPolygon(list(shapely.simplify(parts, height * _STRAIGHT))))


def _on_earth(crs: CRS, transform: Affine, pixels: _Ring) -> _Ring | None:
    """Return a closed ring of longitude and latitude without jumps.

    That of a ring around a pole ends a turn away from its start, and closes over the pole.
    """
    a, b, c, d, e, f = transform
    columns, rows = pixels.T
    xs, ys = a * columns + b * rows + c, d * columns + e * rows + f
    try:
        with rasterio.Env():
            lon, lat = transform_points(crs, CRS.from_string("OGC:CRS84"), xs, ys)
    except Exception:  # rasterio passes GDAL's own errors on here, which share no public class
        return None
    if not (np.isfinite(lon).all() and (np.abs(lat) <= _HIGHEST).all()):
        return None
    ring = np.stack([np.unwrap(lon, period=360), np.clip(lat, -90, 90)], axis=1).round(_DIGITS)
    turn = round((ring[-1, 0] - ring[0, 0]) / 360) * 360
    ring[-1] = ring[0] + [turn, 0]
    if turn:
        pole = math.copysign(90, ring[:, 1].mean())
        ring = np.concatenate([ring, [[ring[-1, 0], pole], [ring[0, 0], pole], ring[0]]])
    return ring


def _within_180(ring: _Ring) -> shapely.Geometry:
    """Return what a ring encloses within -180 to 180."""
    west, east = ring[:, 0].min(), ring[:, 0].max()
    turns = range(math.floor((west + 180) / 360), max(1, math.ceil((east + 180) / 360)))
    moved = [shapely.Polygon(ring - [360 * turn, 0]) for turn in turns]
    if len(moved) == 1:  # as it is, for what is a centimetre wide has no inside
        return moved[0]
    return shapely.union_all(shapely.intersection(shapely.make_valid(moved), _EARTH))


def _tidy(geometry: shapely.Geometry) -> list[shapely.Polygon]:
    """Return polygons with rounded corners, counterclockwise around what they hold."""
    rounded = shapely.transform(geometry, lambda points: points.round(_DIGITS))
    if not rounded.is_valid and (valid := polygons_of(shapely.make_valid(rounded))):
        rounded = valid
    return list(shapely.get_parts(shapely.orient_polygons(polygons_of(rounded))))
