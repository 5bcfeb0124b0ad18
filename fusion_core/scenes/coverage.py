"""The part of a visible scene that an infrared image covers.

The visible scene's places are looked up in the infrared, as the warp does it. The other way round,
the infrared's outline says little: that of a global grid is no outline in a zone of UTM, and the
corners of a geostationary disk lie off the Earth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import CRSError

from fusion_core.errors import OverlapError
from fusion_core.scenes.place import Place, Points, project

_LINES = 65  # along each side of the visible scene, at which it is looked up
_SEEDS = 9  # along each side of the infrared, that are looked for in the visible scene
_HAIR = 1e-3  # of a pixel, for rounding


@dataclass(frozen=True)
class Lattice:
    """Places of the visible scene, and where they lie in the infrared.

    Attributes:
        rows: Their rows.
        columns: Their columns.
        at: Columns and rows in the infrared, (2, rows, columns); NaN where there is no such place.
        inside: Which of them the infrared holds, (rows, columns).
        width: Columns of the infrared.
    """

    rows: Points
    columns: Points
    at: NDArray[np.float64]
    inside: NDArray[np.bool_]
    width: int

    @property
    def torn(self) -> bool:
        """Whether neighbours in the visible scene lie at opposite ends of the infrared."""
        return any(
            bool((np.abs(moves[0]) > self.width / 2).any()) for moves, _ in self._neighbours()
        )

    def pixel_sides(self) -> tuple[float, float]:
        """Return how many of the visible scene's rows and columns an infrared pixel takes."""
        lengths = (np.hypot(*moves) / steps for moves, steps in self._usual())
        height, width = (1 / _middle(side) for side in lengths)
        return height, width

    def rows_inside(self) -> slice:
        """Return the infrared's rows from the first to the last of the places that it holds."""
        held = self.at[1][self.inside]
        return slice(max(0, math.floor(held.min())), math.ceil(held.max()))

    def shrink(self) -> tuple[float, float]:
        """Return visible pixels per infrared pixel along the infrared's rows and columns."""
        down, across = ([_middle(np.abs(m) / s) for m in moves] for moves, s in self._usual())
        return 1 / math.hypot(down[0], across[0]), 1 / math.hypot(down[1], across[1])

    def _usual(self) -> list[tuple[NDArray[np.float64], Points]]:
        kept = (np.abs(moves[0]) <= self.width / 2 for moves, _ in self._neighbours())
        return [
            (moves[:, keep], steps[keep])
            for keep, (moves, steps) in zip(kept, self._neighbours(), strict=True)
        ]

    def _neighbours(self) -> list[tuple[NDArray[np.float64], Points]]:
        """Return moves in the infrared, (2, n), from row to row and from column to column.

        Of neighbours that it holds both, with how many visible pixels those lie apart.
        """
        found = []
        for axis, lines in enumerate((self.rows, self.columns)):
            ends = np.moveaxis(self.inside, axis, 0)
            both = ends[1:] & ends[:-1]
            moves = np.diff(np.moveaxis(self.at, axis + 1, 1), axis=1)
            steps = np.broadcast_to(np.diff(lines)[:, None], both.shape)
            found.append((moves[:, both], steps[both]))
        return found


@dataclass(frozen=True)
class Coverage:
    """The rows and columns of a visible scene that an infrared image covers.

    Attributes:
        rows: First row, and end of the rows.
        columns: First column, and end of the columns.
        lattice: Where the visible scene lies in the infrared.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    lattice: Lattice


def find_coverage(vi: Place, ir: Place, vi_name: str, ir_name: str) -> Coverage:
    """Find the part of a visible scene that an infrared image covers.

    A side that is short by less than a pixel of either image counts as covered: grids of other
    resolutions hardly ever end at the same coordinate.

    Args:
        vi: Where the visible scene lies.
        ir: Where the infrared lies, with longitudes as they are counted from its middle.
        vi_name: What the visible scene is called.
        ir_name: What the infrared is called.

    Raises:
        OverlapError: It covers nothing, or there is no way between their coordinate systems.
    """
    try:
        spread = _spread(vi, ir)
        lattice = _lattice(vi, ir, *spread)
    except CRSError as error:
        raise OverlapError(
            f"{ir_name} can't be brought to the coordinate system of {vi_name}: {error}. "
            "Expected systems with a known transformation; warp one of them first"
        ) from error
    if lattice.inside.any():
        height, width = lattice.pixel_sides()

        def holds(rows: Points, columns: Points) -> bool:
            return bool(_inside(ir, *project(vi, ir, *np.broadcast_arrays(columns, rows))).any())

        rows, columns = lattice.rows, lattice.columns
        held = [np.asarray(lattice.inside.any(axis)) for axis in (1, 0)]
        down = _side(rows, held[0], lambda row: holds(row, columns), height)
        across = _side(columns, held[1], lambda column: holds(rows, column), width)
        if down[0] < down[1] and across[0] < across[1]:
            return Coverage(down, across, lattice)
    raise OverlapError(_apart(vi, *spread, vi_name, ir_name))


def _spread(vi: Place, ir: Place) -> tuple[Points, Points]:
    """Return the rows and columns of the visible scene where places of the infrared lie."""
    sides = (np.linspace(0, side, _SEEDS) for side in (ir.width, ir.height))
    columns, rows = project(ir, vi.turned(), *(line.ravel() for line in np.meshgrid(*sides)))
    known = np.isfinite(columns) & np.isfinite(rows)
    return rows[known], columns[known]


def _lattice(vi: Place, ir: Place, seed_rows: Points, seed_columns: Points) -> Lattice:
    """Look up the visible scene in lines, and in those of the infrared's places.

    An infrared image of a few pixels would fall through lines that are spread evenly.
    """
    seen = (seed_rows >= 0) & (seed_rows <= vi.height)
    seen &= (seed_columns >= 0) & (seed_columns <= vi.width)
    rows = np.union1d(np.linspace(0, vi.height, _LINES), seed_rows[seen])
    columns = np.union1d(np.linspace(0, vi.width, _LINES), seed_columns[seen])
    return look_up(vi, ir, rows, columns)


def look_up(vi: Place, ir: Place, rows: Points, columns: Points) -> Lattice:
    """Look up rows and columns of the visible scene in the infrared.

    Raises:
        CRSError: There is no way between their coordinate systems.
    """
    places = np.meshgrid(columns, rows)
    at = np.stack(project(vi, ir, *(line.ravel() for line in places)))
    at = at.reshape(2, len(rows), len(columns))
    return Lattice(rows, columns, at, _inside(ir, *at), ir.width)


def _inside(place: Place, columns: Points, rows: Points) -> NDArray[np.bool_]:
    found = (columns >= -_HAIR) & (columns <= place.width + _HAIR)
    return np.asarray(found & (rows >= -_HAIR) & (rows <= place.height + _HAIR))


def _side(
    lines: Points, held: NDArray[np.bool_], holds: Callable[[Points], bool], pixel: float
) -> tuple[int, int]:
    """Return the first pixel of a side that is covered, and the end of those.

    Args:
        lines: Where the side was looked up.
        held: On which of those lines the infrared holds anything.
        holds: Tells the same of any line.
        pixel: How much of the side a pixel of the infrared takes.
    """
    size, slack = lines[-1], max(1.0, pixel)
    low, high = np.flatnonzero(held)[[0, -1]]
    first = lines[0] if low == 0 else _edge(lines[low - 1], lines[low], holds)
    last = size if high == len(lines) - 1 else _edge(lines[high + 1], lines[high], holds)
    start = 0 if first <= slack else math.ceil(first - _HAIR)
    stop = int(size) if last >= size - slack else math.floor(last + _HAIR)
    return start, stop


def _edge(outside: float, within: float, holds: Callable[[Points], bool]) -> float:
    """Return where the infrared ends between two lines."""
    while abs(outside - within) > _HAIR / 10:
        middle = (outside + within) / 2
        outside, within = (outside, middle) if holds(np.array([middle])) else (middle, within)
    return within


def _middle(values: NDArray[np.float64]) -> float:
    """Return the median, infinity where there is none; never nothing, to be divided by."""
    return max(float(np.median(values)), 1e-12) if len(values) else math.inf


def _apart(vi: Place, rows: Points, columns: Points, vi_name: str, ir_name: str) -> str:
    if not len(rows):
        return (
            f"{ir_name} has no place in the coordinate system of {vi_name}; expected footprints "
            "that overlap. Check which files were paired"
        )
    return (
        f"the footprints of {ir_name} and {vi_name} don't overlap: the infrared spans columns "
        f"{columns.min():.0f} to {columns.max():.0f} and rows {rows.min():.0f} to "
        f"{rows.max():.0f} of the visible scene's {vi.width}x{vi.height} pixels. "
        "Check which files were paired"
    )
