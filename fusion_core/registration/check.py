"""Estimates by how much an infrared picture is off the visible one, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusion_core.registration.correlation import find_peak
from fusion_core.registration.orientation import (
    Plane,
    directions,
    factor_for,
    pooled,
    reduced,
    reduced_mask,
)

Verdict = Literal["aligned", "shifted", "unsure"]

SIDE = 256
"""Pictures are looked at when reduced to about so many pixels along the longer side."""

_POOL = 2
"""Directions are added up over so many reduced pixels along each side, unless"""

_SMALL = 160
"""the longer side has fewer than that."""

SMALLEST = 128
"""Nothing is said of pictures whose longer side has fewer pixels: they show too few edges."""

NARROWEST = 16
"""Pixels of the shorter side of a reduced pair below which no shift can be told."""

SURE = 0.15
"""Least score of an estimate that is believed. Pairs of different scenes reach it in about one of
ten cases, pairs of one scene fail it in one of fifty; the package's page has the table."""

LIMIT = 0.008
"""Share of the longer side that a pair may be off unless a setting says otherwise. Published
"aligned" pairs are off by up to that: parallax, and what their makers' registration left."""

_LEAST = 3.0  # pixels, which small pictures may be off too

_TURNS = np.deg2rad(np.arange(-10.5, 10.6, 1.5)).astype(np.float32)
_NO_TURN = np.zeros(1, np.float32)


@dataclass(frozen=True)
class Shift:
    """Where infrared content lies relative to the visible, in pixels of the visible picture.

    Attributes:
        x: How far to the right at the picture's centre; negative is to the left.
        y: How far down there; negative is up.
        turn: How far it is turned around the centre, in radians; positive is clockwise as drawn.
        offset: How far it is off over the whole picture: the root mean square of the distances.
        score: How sure that is, in [0, 1]; see ``SURE``.
    """

    x: float
    y: float
    turn: float
    offset: float
    score: float

    @property
    def sure(self) -> bool:
        """Whether the estimate is to be believed."""
        return self.score >= SURE

    def scaled(self, factor: float) -> Shift:
        """Return the same in a pair that is ``factor`` times as large."""
        x, y, offset = (factor * value for value in (self.x, self.y, self.offset))
        return replace(self, x=x, y=y, offset=offset)

    def verdict(self, limit: float) -> Verdict:
        """Say what that means for a pair that may be off by ``limit`` pixels."""
        if not self.sure:
            return "unsure"
        return "shifted" if self.offset > limit else "aligned"

    def matrix(self, height: int, width: int) -> NDArray[np.float64]:
        """Return the 3 x 3 matrix from visible pixel coordinates (x, y, 1) to infrared ones."""
        across, down = (width - 1) / 2, (height - 1) / 2
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        return np.array(
            [
                [cos, -sin, across - cos * across + sin * down + self.x],
                [sin, cos, down - sin * across - cos * down + self.y],
                [0.0, 0.0, 1.0],
            ]
        )


def limit_for(height: int, width: int, limit: float | None = None) -> float:
    """Return how many pixels a pair may be off: the setting, or the default for its size."""
    return max(_LEAST, LIMIT * max(height, width)) if limit is None else limit


def estimate_shift(
    ir: Plane, vi: Plane, valid: NDArray[np.bool_] | None = None, *, turned: bool = True
) -> Shift:
    """Estimate by how much an infrared picture is off the visible one.

    The directions of edges are correlated (``orientation``, ``correlation``) in a reduced pair.
    Shifts up to an eighth of the longer side and turns up to 9 degrees are found.

    Args:
        ir: Infrared luminance, (H, W) in [0, 1].
        vi: Visible luminance, likewise.
        valid: Where both show something, (H, W). Default: everywhere.
        turned: Whether the infrared picture may be turned; else a mere shift is searched for.

    Returns:
        The estimate. Its score is 0 where a picture is flat, smaller than ``SMALLEST``, narrower
        than ``NARROWEST`` once it is reduced, or agrees best with the other at the end of what is
        tried.
    """
    height, width = vi.shape
    if max(height, width) < SMALLEST:
        return Shift(0.0, 0.0, 0.0, 0.0, 0.0)
    factor = factor_for(vi.shape, SIDE)
    if min(height, width) // factor < NARROWEST:
        return Shift(0.0, 0.0, 0.0, 0.0, 0.0)
    seen = None if valid is None else reduced_mask(valid, factor)
    pool = _POOL if max(height, width) // factor >= _SMALL else 1
    first, second = (pooled(directions(reduced(plane, factor), seen), pool) for plane in (ir, vi))
    peak = find_peak(first, second, _TURNS if turned else _NO_TURN)
    cell = factor * pool
    x, y = peak.x * cell, peak.y * cell
    spread = peak.turn**2 * (height**2 + width**2) / 12
    return Shift(x, y, peak.turn, math.sqrt(x * x + y * y + spread), peak.score)
