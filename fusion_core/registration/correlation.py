"""Correlates two pictures' directions block by block, and searches for one motion of all blocks.

A turn moves blocks differently, so each block is correlated by itself, over all shifts at once; for
every turn that is tried, the blocks' correlations are added up where that turn takes them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion_core.registration.orientation import Directions, Plane

GRID = (3, 4)
"""Blocks down and across."""

_PEAK = 4
"""Cells around the highest correlation that belong to it."""


@dataclass(frozen=True)
class Peak:
    """The motion under which two pictures agree best, in cells of their directions.

    Attributes:
        x: By how much the first picture's content lies to the right of the second's, at the centre.
        y: By how much it lies below it, likewise.
        turn: By what angle it is turned, in radians; positive from x to y, clockwise as drawn.
        score: In [0, 1]: how far the highest correlation stands above all others. 0: another place
            is as good; 0.5: it is twice as far above the mean as the next best.
    """

    x: float
    y: float
    turn: float
    score: float


_NOISE = 5.0
"""A peak stands so many times 1 / sqrt(N) above the mean, at least. Of noise in N cells, the
correlation has the standard deviation 0.7 / sqrt(N), and the highest that is tried is near 3.2."""

NOTHING = Peak(0.0, 0.0, 0.0, 0.0)


def find_peak(first: Directions, second: Directions, turns: NDArray[np.float32]) -> Peak:
    """Search for the motion from the second picture's content to the first's.

    Args:
        first: Directions, (H, W).
        second: Likewise.
        turns: Angles to try, in radians, evenly spaced and increasing, 0 among them.

    Returns:
        The motion. Shifts are tried up to an eighth of the longer side.
    """
    reach = max(first.shape) // 8
    energy = float(np.vdot(first, first).real * np.vdot(second, second).real)
    if reach <= _PEAK or energy <= 0:
        return NOTHING
    blocks, centres = _block_correlations(first, second, reach)
    volume = _sums(blocks / np.float32(np.sqrt(energy)), centres, turns, reach)
    turn, row, column = (int(k) for k in np.unravel_index(int(volume.argmax()), volume.shape))
    at_the_end = {row, column} & {0, 2 * reach} or (len(turns) > 1 and turn in (0, len(turns) - 1))
    spacing = float(turns[1] - turns[0]) if len(turns) > 1 else 0.0
    return Peak(
        x=column - reach + _vertex(volume[turn, row], column),
        y=row - reach + _vertex(volume[turn, :, column], row),
        turn=float(turns[turn]) + spacing * _vertex(volume[:, row, column], turn),
        score=0.0 if at_the_end else _score(volume, (turn, row, column), second.size),
    )


def _block_correlations(
    first: Directions, second: Directions, reach: int
) -> tuple[Plane, NDArray[np.float32]]:
    """Correlate blocks of the second picture with the first around them.

    Returns:
        By block and shift down and across, from -reach to reach, Re sum first(p + d) conj
        second(p) over the block's p, (N, 2 reach + 1, 2 reach + 1); and the blocks' centres, x and
        y from that of the picture, (N, 2).
    """
    height, width = second.shape
    rows, columns = GRID
    high, wide = -(-height // rows), -(-width // columns)
    around = np.zeros((rows * high + 2 * reach, columns * wide + 2 * reach), np.complex64)
    around[reach : reach + height, reach : reach + width] = first
    whole = np.zeros((rows * high, columns * wide), np.complex64)
    whole[:height, :width] = second
    near = np.zeros((rows * columns, high + 2 * reach, wide + 2 * reach), np.complex64)
    inner = np.zeros_like(near)
    for number, (top, left) in enumerate(
        (row * high, column * wide) for row in range(rows) for column in range(columns)
    ):
        near[number] = around[top : top + near.shape[1], left : left + near.shape[2]]
        inner[number, :high, :wide] = whole[top : top + high, left : left + wide]
    spectrum = np.fft.fft2(near) * np.fft.fft2(inner).conj()
    found = np.fft.ifft2(spectrum)[:, : 2 * reach + 1, : 2 * reach + 1].real
    centres = np.array(
        [
            ((column + 0.5) * wide - width / 2, (row + 0.5) * high - height / 2)
            for row in range(rows)
            for column in range(columns)
        ],
        np.float32,
    )
    return found.astype(np.float32), centres


def _sums(
    blocks: Plane, centres: NDArray[np.float32], turns: NDArray[np.float32], reach: int
) -> Plane:
    """Add the blocks up for every turn, (T, 2 reach + 1, 2 reach + 1)."""
    size = 2 * reach + 1
    padded = np.pad(blocks, ((0, 0), (reach, reach), (reach, reach)))
    volume = np.zeros((len(turns), size, size), np.float32)
    for plane, turn in zip(volume, turns, strict=True):
        moves = np.rint(turn * np.stack([centres[:, 0], -centres[:, 1]], 1)).astype(int)
        for block, (down, across) in zip(padded, np.clip(moves, -reach, reach), strict=True):
            top, left = reach + down, reach + across
            plane += block[top : top + size, left : left + size]
    return volume


def _score(volume: Plane, place: tuple[int, int, int], cells: int) -> float:
    """Return how far a peak stands above all that lies beyond it, in [0, 1]."""
    turn, row, column = place
    far = np.ones(volume.shape[1:], np.bool_)
    far[max(0, row - _PEAK) : row + _PEAK + 1, max(0, column - _PEAK) : column + _PEAK + 1] = False
    mean = float(volume[turn][far].mean())
    rise = float(volume[turn, row, column]) - mean
    if rise < _NOISE / math.sqrt(cells):
        return 0.0
    return min(1.0, max(0.0, 1 - (float(volume.max(axis=0)[far].max()) - mean) / rise))


def _vertex(values: Plane, at: int) -> float:
    """Return where the parabola through a maximum and its neighbours has its own, from there."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, here, after = (float(value) for value in values[at - 1 : at + 2])
    bend = before - 2 * here + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend
