"""Where the scenes of a catalogue lie, by columns that others may have written.

A scene's outline is what its row says, else the box of its corners, as rows of older versions have
it. What is not on Earth is no place.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from fusion_core.scenes.footprint import longitudes

CORNERS = ("west", "south", "east", "north")

MOST_BYTES = 64 << 10
"""Of an outline; those of runs have a few kB."""

_POLYGON, _MULTI = (struct.pack("<BI", 1, kind) for kind in (3, 6))

Box = tuple[float, float, float, float]
"""West, south, east, north, in degrees; west > east over the 180th meridian."""


def places(rows: pa.Table) -> dict[str, pa.Array]:
    """Return outlines and the corners that go with them, null where there is no place on Earth.

    Args:
        rows: Rows with the columns ``outline`` and ``CORNERS``.

    Returns:
        These five columns; corners are those of the outline's box.
    """
    outlines = rows["outline"].to_pylist()
    boxes = _boxes_of(outlines)
    corners = zip(*(rows[name].to_pylist() for name in CORNERS), strict=True)
    for place, edges in enumerate(corners):
        if boxes[place] is None:
            boxes[place] = _box_of(*edges)
            outlines[place] = _outline_of(boxes[place])
    sides = zip(*(box or (None,) * 4 for box in boxes), strict=True) if boxes else [()] * 4
    return {
        "outline": pa.array(outlines, pa.binary()),
        **{name: pa.array(side, pa.float64()) for name, side in zip(CORNERS, sides, strict=True)},
    }


def _boxes_of(outlines: Sequence[bytes | None]) -> list[Box | None]:
    """Return the boxes of outlines; None where one is no polygon on Earth."""
    # Of other kinds of geometry some nest without end.
    known = [
        outline
        if outline and len(outline) <= MOST_BYTES and outline[:5] in (_POLYGON, _MULTI)
        else None
        for outline in outlines
    ]
    with np.errstate(invalid="ignore"):
        areas: NDArray[Any] = shapely.from_wkb(np.array(known, object), on_invalid="ignore")
        bounds = shapely.bounds(areas)  # NaN, which is within no limits, where there is none
    points, owners = shapely.get_coordinates(areas, return_index=True)
    placed = (np.abs(bounds) <= (180, 90, 180, 90)).all(axis=1)
    placed[owners[~np.isfinite(points).all(axis=1)]] = False
    boxes: list[Box | None] = [None] * len(outlines)
    for place in np.flatnonzero(placed):
        west, south, east, north = map(float, bounds[place])
        if (parts := shapely.get_parts(areas[place])).size > 1:
            west, east = longitudes(parts)
        boxes[place] = west, south, east, north
    return boxes


def _box_of(*edges: float | None) -> Box | None:
    west, south, east, north = edges
    if west is None or south is None or east is None or north is None:
        return None
    inside = all(abs(x) <= 180 and abs(y) <= 90 for x, y in ((west, south), (east, north)))
    return (west, south, east, north) if inside else None


def _outline_of(box: Box | None) -> bytes | None:
    """Return a box as well-known binary: two polygons where it crosses the 180th meridian."""
    if box is None:
        return None
    west, south, east, north = box
    if west <= east:
        return _polygon(west, south, east, north)
    halves = _polygon(west, south, 180.0, north) + _polygon(-180.0, south, east, north)
    return _MULTI + struct.pack("<I", 2) + halves


def _polygon(west: float, south: float, east: float, north: float) -> bytes:
    ring = (west, south, east, south, east, north, west, north, west, south)
    return _POLYGON + struct.pack("<II10d", 1, 5, *ring)
