"""The part of a scene that holds data, as polygons of few points.

It is gathered while tiles are written, in cells of some pixels, so that it takes the same memory
for a scene of any size. A cell holds data if any of its pixels does, and the outline is grown
before it is simplified: it holds every such pixel, and at most five cells around them.
"""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes

from fusion_core.models.tiling.grid import Slices

CELLS = 512
"""Cells along the longer side of a scene, at most."""

MOST_POINTS = 256
"""Points of an outline, at most: 4 kB of well-known binary."""

_MOST_EDGES = 8192  # of cells; a scene with more is traced more coarsely, or would take seconds
_GROWTH = 2  # cells; by one, the steps of a tilted side would stay, and an outline have 100 points
_TOLERANCE = 1.8  # cells; the rest of its growth is for the curves of footprint.py

Cells = NDArray[np.bool_]


class ValidArea:
    """Gathers where a scene holds data.

    Args:
        height: The scene's height in pixels.
        width: Its width.
    """

    def __init__(self, height: int, width: int):
        self.height, self.width = height, width
        self.step = max(1, math.ceil(max(height, width) / CELLS))
        """Pixels along each side of a cell."""
        self.cells: Cells = np.zeros((-(-height // self.step), -(-width // self.step)), np.bool_)
        """Which cells hold data, as far as was told."""

    def add(self, valid: NDArray[np.bool_], part: Slices) -> None:
        """Take in where a part of the scene holds data.

        Args:
            valid: Whether its pixels do, (h, w).
            part: Its rows and columns.
        """
        found = valid
        for axis, pixels in enumerate(part):
            first, last = pixels.start // self.step, (pixels.stop - 1) // self.step
            begins = np.arange(first, last + 1) * self.step - pixels.start
            found = np.logical_or.reduceat(found, np.maximum(begins, 0), axis=axis)
        rows, columns = (pixels.start // self.step for pixels in part)
        self.cells[rows : rows + found.shape[0], columns : columns + found.shape[1]] |= found

    def outline(self) -> shapely.MultiPolygon:
        """Return the outline in pixels from the scene's upper left corner, columns first.

        It is traced more coarsely until it has no more than ``MOST_POINTS`` points. Areas may be
        several and have holes; holes of less than five cells are closed.
        """
        cells, step = self.cells, self.step
        whole = shapely.box(0, 0, self.width, self.height)
        while True:
            grown = _grown(cells)
            if _edges(grown) <= _MOST_EDGES:
                area = shapely.simplify(_traced(grown), _TOLERANCE)
                area = shapely.transform(area, lambda points, side=step: (points - _GROWTH) * side)
                area = polygons_of(shapely.intersection(area, whole))
                if shapely.get_num_coordinates(area) <= MOST_POINTS:
                    return area
            cells, step = _halved(cells), 2 * step


def polygons_of(geometry: shapely.Geometry) -> shapely.MultiPolygon:
    """Return the polygons of a geometry, without its points and lines."""
    parts = shapely.get_parts(geometry)
    if shapely.GeometryType.GEOMETRYCOLLECTION in shapely.get_type_id(parts):
        parts = shapely.get_parts(parts)
    found = shapely.get_parts(parts)
    return shapely.MultiPolygon(list(found[shapely.get_type_id(found) == 3]))


def _grown(cells: Cells) -> Cells:
    """Return cells with all that are around them, and so more on each side."""
    for _ in range(_GROWTH):
        padded = np.pad(cells, 2)
        tall = padded[:-2] | padded[1:-1] | padded[2:]
        cells = tall[:, :-2] | tall[:, 1:-1] | tall[:, 2:]
    return cells


def _traced(cells: Cells) -> shapely.MultiPolygon:
    """Return the outline of cells, in cells."""
    found = shapes(cells.astype(np.uint8), mask=cells, connectivity=4)
    return shapely.MultiPolygon([shapely.geometry.shape(polygon) for polygon, _ in found])


def _edges(cells: Cells) -> int:
    """Return how many neighbours of cells differ."""
    return int((cells[1:] != cells[:-1]).sum() + (cells[:, 1:] != cells[:, :-1]).sum())


def _halved(cells: Cells) -> Cells:
    """Return cells of twice the side."""
    even = np.pad(cells, [(0, side % 2) for side in cells.shape])
    height, width = (side // 2 for side in even.shape)
    return np.asarray(even.reshape(height, 2, width, 2).any(axis=(1, 3)))
