"""Draws the footprints of scenes on a plain map: degrees, a grid of meridians, and no tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import shapely
from markupsafe import Markup

from fusion_core.archive.stored_images import image_path
from fusion_core.reports.page.environment import shown
from fusion_core.scenes.stac_places import CORNERS, places

_WIDTH, _HEIGHT = 640, 400
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 45.0)
_FROM_RUN = "../../"  # from the folder of a run to the output
_LEAST, _UNSEEN = 4.0, 0.5  # pixels of the map
_MOST_PARTS, _MOST_CORNERS = 8, 100

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Footprint:
    """Where a fused scene lies on the earth.

    Attributes:
        pair_id: Its pair.
        west: And the other ends, in degrees; east of it may be smaller, beyond the antimeridian.
        image: Link from the run's page to the image.
        item: Likewise to its STAC item, if it has one.
        path: Path of the image below the output.
        outline: Polygon in degrees, as well-known binary; several beyond the antimeridian.
    """

    pair_id: str
    west: float
    south: float
    east: float
    north: float
    image: str
    item: str | None
    path: str
    outline: bytes

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self | None:
        """Return the footprint of a row of ``FOOTPRINT_COLUMNS``; None where it can't be one."""
        path = image_path(row)
        if path is None or not all(isinstance(row[name], float) for name in CORNERS):
            return None
        told = {name: pa.array([row[name]], pa.float64()) for name in CORNERS}
        placed = places(pa.table({"outline": pa.array([row["outline"]], pa.binary()), **told}))
        (outline,), *ends = (placed[name].to_pylist() for name in ("outline", *CORNERS))
        if outline is None:
            return None
        item = _link(f"{path.rpartition('.')[0]}.json") if row["item_url"] else None
        west, south, east, north = (end for (end,) in ends)
        links = (_link(path), item, path)
        return cls(str(row["pair_id"]), west, south, east, north, *links, outline)

    def polygons(self) -> list[shapely.Polygon]:
        """Return the polygons of its outline, in degrees; of more than a few their box."""
        outline = shapely.from_wkb(self.outline)
        parts = [part for part in shapely.get_parts(outline) if not part.is_empty]
        return parts if len(parts) <= _MOST_PARTS else [shapely.box(*outline.bounds)]


def footprint_map(footprints: Sequence[Footprint]) -> Markup:
    """Draw footprints, each a link to its image, and where on the earth that is.

    Args:
        footprints: One or more.
    """
    extent = _extent(footprints)
    west, south, east, north = extent
    scale = np.array([_WIDTH / (east - west), -_HEIGHT / (north - south)])
    parts = [*_graticule(extent)]
    for one in footprints:
        polygons = one.polygons()
        drawn = [
            _drawn(
                shapely.transform(polygon, lambda points: (points - (west, north)) * scale),
                most_corners=_MOST_CORNERS // len(polygons),
            )
            for polygon in polygons
        ]
        parts.append(
            Markup('<a href="{}">{}<title>{}</title></a>').format(
                one.image, Markup("").join(drawn), shown(one.pair_id)
            )
        )
    return Markup(
        '<svg class="map" viewBox="0 0 {} {}" role="group" aria-label="{}">{}</svg>'
    ).format(_WIDTH, _HEIGHT, _told(extent), Markup("").join(parts))


def _drawn(polygon: shapely.Polygon, *, most_corners: int) -> Markup:
    """Draw a polygon of the map; a small one, or one of too many corners, by its box."""
    left, top, right, bottom = polygon.bounds
    # Half a pixel is not seen, and corners are bytes of the page.
    simple = shapely.simplify(polygon, _UNSEEN)
    rings = [simple.exterior, *simple.interiors]
    corners = sum(len(ring.coords) for ring in rings)
    if min(right - left, bottom - top) < _LEAST or not 0 < corners <= most_corners:
        wide, high = max(right - left, _LEAST), max(bottom - top, _LEAST)
        x, y = (left + right - wide) / 2, (top + bottom - high) / 2
        return Markup('<rect class="footprint" x="{}" y="{}" width="{}" height="{}"/>').format(
            *(round(value, 1) for value in (x, y, wide, high))
        )
    path = "".join(
        f"M{' '.join(f'{x:.1f} {y:.1f}' for x, y in [*ring.coords][:-1])}Z" for ring in rings
    )
    return Markup('<path class="footprint" fill-rule="evenodd" d="{}"/>').format(path)


def _extent(footprints: Sequence[Footprint]) -> Box:
    """Return what the map shows: all footprints and some way around, in the map's shape."""
    boxes = [polygon.bounds for one in footprints for polygon in one.polygons()]
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    # Away from the equator a degree of longitude is shorter; the map keeps shapes at its middle.
    middle = math.radians(min(abs(south + north) / 2, 80.0))
    wide = max((east - west) * 1.2, (north - south) * 1.2 * _WIDTH / _HEIGHT / math.cos(middle))
    wide = min(max(wide, 0.02), 360.0)
    high = min(wide * math.cos(middle) * _HEIGHT / _WIDTH, 180.0)
    x, y = (west + east) / 2, (south + north) / 2
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def _graticule(extent: Box) -> Iterator[Markup]:
    west, south, east, north = extent
    step = next((one for one in _STEPS if (east - west) / one <= 8), _STEPS[-1])
    for k in range(math.ceil(west / step), math.floor(east / step) + 1):
        x = round((k * step - west) / (east - west) * _WIDTH, 1)
        yield Markup(
            '<path class="meridian" d="M{0} 0V{1}"/><text x="{2}" y="{3}">{4}</text>'
        ).format(x, _HEIGHT, x + 3, _HEIGHT - 4, _degrees(k * step, "E", "W"))
    for k in range(math.ceil(south / step), math.floor(north / step) + 1):
        y = round((north - k * step) / (north - south) * _HEIGHT, 1)
        yield Markup(
            '<path class="meridian" d="M0 {0}H{1}"/><text x="3" y="{2}">{3}</text>'
        ).format(y, _WIDTH, y - 3, _degrees(k * step, "N", "S"))


def _degrees(value: float, positive: str, negative: str) -> str:
    half = (value + 180) % 360 - 180 if positive == "E" and abs(value) > 180 else value
    side = positive if half > 0 else negative if half < 0 else ""
    return f"{round(abs(half), 2):g}°{side}"


def _told(extent: Box) -> str:
    west, south, east, north = extent
    return (
        f"Footprints between {_degrees(west, 'E', 'W')} and {_degrees(east, 'E', 'W')}, "
        f"{_degrees(south, 'N', 'S')} and {_degrees(north, 'N', 'S')}"
    )


def _link(path: str) -> str:
    return _FROM_RUN + quote(path)
