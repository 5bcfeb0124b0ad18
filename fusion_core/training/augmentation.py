"""Changes crops of pairs at random, so that a network sees more kinds of images than it has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]

CHANGED = 0.5  # share of crops that are shrunk, of images with less contrast, of those darkened
LARGEST_ZOOM = 1.6
_LEAST_CONTRAST = 0.2
_SMALLEST, _LARGEST = 0.15, 0.6  # radii of what is blackened, as shares of a crop's side
_MOST_BLACK = 0.85


def less_contrast(
    random: np.random.Generator, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw g and o of g x + o for both images of so many pairs, each (2, count)."""
    changed, lifted = random.random((2, 2, count)) < CHANGED
    contrast = np.where(changed, random.uniform(_LEAST_CONTRAST, 1, (2, count)), 1)
    offset = np.where(lifted, random.uniform(0, 1, (2, count)), 0) * (1 - contrast)
    return contrast, offset


def blackened(random: np.random.Generator, count: int, size: int, share: float) -> Bools:
    """Draw where crops are made black in both images, (count, size, size); nowhere in most of them.

    Collars of scenes, rims of lenses, and the air around a head: the inside or outside of an
    ellipse, or one side of a line, and never more than 85 % of a crop.

    Args:
        random: Where chance comes from.
        count: Number of crops.
        size: Their side in pixels.
        share: Share of crops of which a part is black.
    """
    black = np.zeros((count, size, size), dtype=bool)
    down, across = np.mgrid[:size, :size] / size
    for crop in black:
        if random.random() >= share:
            continue
        top, left, turn = random.random(3)
        high, wide = random.uniform(_SMALLEST, _LARGEST, 2)
        ellipse = ((down - top) / high) ** 2 + ((across - left) / wide) ** 2 < 1
        angle = 2 * np.pi * turn
        beyond = (down - 0.5) * np.cos(angle) + (across - 0.5) * np.sin(angle) > high - 0.3
        drawn = (ellipse, ~ellipse, beyond)[random.integers(3)]
        if drawn.mean() <= _MOST_BLACK:
            crop[:] = drawn
    return black
