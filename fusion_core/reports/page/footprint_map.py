"""Draws the footprints of scenes on a plain map: degrees, a grid of meridians, and no tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from markupsafe import Markup

from fusion_core.archive.stored_images import image_path
from fusion_core.reports.page.environment import shown

_WIDTH, _HEIGHT = 640, 400
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 45.0)
_FROM_RUN = "../../"  # from the folder of a run to the output

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
    """

    pair_id: str
    west: float
    south: float
    east: float
    north: float
    image: str
    item: str | None
    path: str

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self | None:
        """Return the footprint of a row of ``FOOTPRINT_COLUMNS``; None where it can't be one."""
        path = image_path(row)
        west, south, east, north = (row[name] for name in ("west", "south", "east", "north"))
        if path is None or not all(map(_is_degree, (west, south, east, north))):
            return None
        item = None
        if row["item_url"]:
            item = _link(f"{path.rpartition('.')[0]}.json")
        return cls(str(row["pair_id"]), west, south, east, north, _link(path), item, path)

    def boxes(self) -> Iterator[Box]:
        """Yield its boxes: two where it crosses the antimeridian."""
        if self.west <= self.east:
            yield self.west, self.south, self.east, self.north
        else:
            yield self.west, self.south, 180.0, self.north
            yield -180.0, self.south, self.east, self.north


def footprint_map(footprints: Sequence[Footprint]) -> Markup:
    """Draw footprints, each a link to its image, and where on the earth that is.

    Args:
        footprints: One or more.
    """
    west, south, east, north = _extent(footprints)
    scale_x, scale_y = _WIDTH / (east - west), _HEIGHT / (north - south)

    def box(ends: Box, *, least: float) -> tuple[float, ...]:
        left, bottom, right, top = ends
        width, height = (right - left) * scale_x, (top - bottom) * scale_y
        x, y = (left - west) * scale_x, (north - top) * scale_y
        grown = (max(least - width, 0) / 2, max(least - height, 0) / 2)
        return tuple(
            round(value, 1)
            for value in (x - grown[0], y - grown[1], max(width, least), max(height, least))
        )

    parts = [*_graticule((west, south, east, north))]
    for one in footprints:
        drawn = [
            Markup('<rect class="footprint" x="{}" y="{}" width="{}" height="{}"/>').format(
                *box(ends, least=4.0)
            )
            for ends in one.boxes()
        ]
        parts.append(
            Markup('<a href="{}">{}<title>{}</title></a>').format(
                one.image, Markup("").join(drawn), shown(one.pair_id)
            )
        )
    return Markup(
        '<svg class="map" viewBox="0 0 {} {}" role="group" aria-label="{}">{}</svg>'
    ).format(_WIDTH, _HEIGHT, _told((west, south, east, north)), Markup("").join(parts))


def _extent(footprints: Sequence[Footprint]) -> Box:
    """Return what the map shows: all footprints and some way around, in the map's shape."""
    boxes = [box for one in footprints for box in one.boxes()]
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


def _is_degree(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value) and abs(value) <= 360


def _link(path: str) -> str:
    return _FROM_RUN + quote(path)
