"""Qabf's and AG's sums over the pixels of a tile, by the published definitions."""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import Polynomial
from numpy.polynomial.chebyshev import Chebyshev
from numpy.typing import NDArray

from fusion_core.metrics.edges import (
    ANGLE_CENTRE,
    ANGLE_GAIN,
    ANGLE_SLOPE,
    STRENGTH_CENTRE,
    STRENGTH_GAIN,
    STRENGTH_SLOPE,
)
from fusion_core.metrics.kernels.compiling import compiled

Array = NDArray[np.float64]
Mask = NDArray[np.uint8]

_HALF_TURN = math.pi
_ANGLE_START, _ANGLE_FALL = ANGLE_SLOPE * (1 - ANGLE_CENTRE), ANGLE_SLOPE / (math.pi / 2)
_STRENGTH_START = STRENGTH_SLOPE * STRENGTH_CENTRE
_GAIN = STRENGTH_GAIN * ANGLE_GAIN
_FAR = 30.0
"""Where a sigmoid differs from 0 or 1 by 1e-13."""


def _arctangent() -> tuple[float, ...]:
    """Return p with atan(t) = t p(t^2) for t in 0..1, to 1e-9; so that loops become vectors."""

    def over_t(square: Array) -> Array:
        t = np.sqrt(np.maximum(square, 1e-12))
        return np.arctan(t) / t

    fitted = Chebyshev.interpolate(over_t, 12, domain=[0, 1])
    return tuple(float(c) for c in fitted.convert(kind=Polynomial).coef)


_ATAN = np.array(_arctangent())


@compiled
def edge_strength_sums(
    padded: NDArray[np.uint8],
    edges: Mask,
    gradients: Mask,
    ends: tuple[bool, bool, bool, bool],
) -> Array:
    """Add up what Qabf and AG are made of.

    Args:
        padded: A, B and F with one pixel around the core, black where the image ends, (3, h + 2,
            w + 2).
        edges: Which pixels' edges count, 1 or 0, (h, w).
        gradients: Which pixels' gradients count, likewise; all whose edges do are among them.
        ends: Whether the image ends left of the core, right of it, above it, below it.

    Returns:
        Edge strength kept, edge strength there was, both over both sources, and the sum of
        sqrt((dx^2 + dy^2) / 2) of F with differences as of ``numpy.gradient``.
    """
    height, width = padded.shape[1] - 2, padded.shape[2] - 2
    left, right, top, bottom = ends
    rows = np.empty((3, 3, width + 2))
    gx, gy = np.empty((3, width)), np.empty((3, width))
    squares, halves = np.empty((3, width)), np.empty((3, width))
    sums = np.zeros(3)
    for y in range(height):
        if not gradients[y].any():
            continue
        for each in range(3):
            for k in range(3):
                for x in range(width + 2):
                    rows[each, k, x] = padded[each, y + k, x]
            _sobel(rows[each], gx[each], gy[each], squares[each])
            _orient(gx[each], gy[each], halves[each])
        _turn_flat(squares[2], gy[2], halves[2])
        for source in range(2):
            _add_edges(gx, gy, squares, halves, edges[y], source, sums)
        first, second, times = rows[2, 0], rows[2, 2], 1.0
        if bottom and y == height - 1:
            second, times = rows[2, 1], 2.0
        elif top and y == 0:
            first, times = rows[2, 1], 2.0
        sums[2] += _gradients(first, second, times, rows[2, 1], gradients[y], left, right)
    sums[0] *= _GAIN
    return sums


@compiled
def _sobel(rows: Array, gx: Array, gy: Array, squares: Array) -> None:
    # Shifted views: an index that is a sum might be negative, which no vector can look after.
    above, here, below = rows[0], rows[1], rows[2]
    above_middle, below_middle = above[1:], below[1:]
    above_right, here_right, below_right = above[2:], here[2:], below[2:]
    for x in range(len(gx)):
        across = (above[x] - above_right[x]) + (below[x] - below_right[x])
        gx[x] = across + 2 * (here[x] - here_right[x])
        down = (below[x] - above[x]) + (below_right[x] - above_right[x])
        gy[x] = down + 2 * (below_middle[x] - above_middle[x])
        squares[x] = gx[x] * gx[x] + gy[x] * gy[x]


@compiled
def _orient(gx: Array, gy: Array, halves: Array) -> None:
    """Find the half of the plane that gradients point to: gx > 0, or gx = 0 and gy > 0, is 1."""
    for x in range(len(gx)):
        right = 1.0 if gx[x] > 0 else (-1.0 if gx[x] < 0 else 0.0)
        up = 1.0 if gy[x] > 0 else (-1.0 if gy[x] < 0 else 0.0)
        halves[x] = right if right != 0.0 else up


@compiled
def _turn_flat(squares: Array, gy: Array, halves: Array) -> None:
    """Give a flat fused image the angle pi/2: a gradient (0, 1) in place of (0, 0)."""
    for x in range(len(gy)):
        flat = squares[x] == 0
        gy[x] = 1.0 if flat else gy[x]
        halves[x] = 1.0 if flat else halves[x]


@compiled
def _add_edges(
    gx: Array, gy: Array, squares: Array, halves: Array, counted: Mask, source: int, sums: Array
) -> None:
    """Add the edge strength of a row of a source that is kept, without gain, and all of it."""
    ax, ay, fx, fy = gx[source], gy[source], gx[2], gy[2]
    turn, fused_turn, ours, fused = halves[source], halves[2], squares[source], squares[2]
    kept = there = 0.0
    for x in range(len(ax)):
        strength, fused_strength = math.sqrt(ours[x]), math.sqrt(fused[x])
        less = strength if strength < fused_strength else fused_strength
        more = fused_strength if strength < fused_strength else strength
        # Where strengths are equal, the code behind the tables takes the strength itself.
        ratio = less / (1.0 if ours[x] == fused[x] else more)
        dot = (ax[x] * fx[x] + ay[x] * fy[x]) * (turn[x] * fused_turn[x])
        cross = abs(ay[x] * fx[x] - ax[x] * fy[x])
        angle = _angle(cross, dot)
        share = _sigmoid(STRENGTH_SLOPE * ratio - _STRENGTH_START)
        strength *= np.float64(counted[x])
        kept += strength * share * _sigmoid(_ANGLE_START - _ANGLE_FALL * angle)
        there += strength
    sums[0] += kept
    sums[1] += there


@compiled
def _angle(cross: float, dot: float) -> float:
    """Return atan2(cross, dot) for cross >= 0, to 1e-9."""
    along = abs(dot)
    less = cross if cross < along else along
    more = along if cross < along else cross
    t = less / (more if more > 0.0 else 1.0)
    square, p = t * t, _ATAN[12]
    for k in range(11, -1, -1):
        p = p * square + _ATAN[k]
    angle = t * p
    angle = _HALF_TURN / 2 - angle if cross > along else angle
    turned: float = _HALF_TURN - angle if dot < 0.0 else angle
    return turned


@compiled
def _sigmoid(value: float) -> float:
    """Return 1 / (1 + exp(-value)), to 1e-9, by steps that a loop takes for many values at once."""
    near = min(max(-value, -_FAR), _FAR) / 1024
    # exp(v) = exp(v / 1024)^1024, and of so little a few terms of the series are enough.
    power = 1 + near * (1 + near / 2 * (1 + near / 3 * (1 + near / 4 * (1 + near / 5))))
    for _ in range(10):
        power *= power
    return 1.0 / (1.0 + power)


@compiled
def _gradients(
    first: Array,
    second: Array,
    times: float,
    here: Array,
    counted: Mask,
    left: bool,
    right: bool,
) -> float:
    """Add up sqrt((dx^2 + dy^2) / 2) of a row's counted pixels.

    Args:
        first: The row from which the vertical difference is taken, with a pixel on either side.
        second: The row to which it is taken.
        times: 1 for the row above and that below, 2 where one of them is missing.
        here: The row itself.
        counted: Which pixels count, 1 or 0.
        left: Whether the image ends left of it.
        right: Whether it ends right of it; no image of one column has this difference.
    """
    last, total = len(here) - 3, 0.0
    above, below, beside = first[1:], second[1:], here[2:]
    for x in range(last + 1):
        across, down = beside[x] - here[x], times * (below[x] - above[x])
        total += np.float64(counted[x]) * math.sqrt(across * across + down * down)
    if left and counted[0]:
        total += _one_sided(first, second, times, here, 0, 1)
    if right and counted[last]:
        total += _one_sided(first, second, times, here, last, last)
    return total / math.sqrt(8.0)


@compiled
def _one_sided(first: Array, second: Array, times: float, here: Array, x: int, start: int) -> float:
    """Return by how much pixel ``x`` is more with the difference of ``start`` and the next one."""
    down = times * (second[x + 1] - first[x + 1])
    wrong, across = here[x + 2] - here[x], 2 * (here[start + 1] - here[start])
    return math.sqrt(across * across + down * down) - math.sqrt(wrong * wrong + down * down)
