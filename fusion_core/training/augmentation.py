"""Changes crops of pairs at random, so that a network sees more kinds of images than it has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHANGED = 0.5  # share of crops that are shrunk, of images with less contrast, of those darkened
LARGEST_ZOOM = 1.6
_LEAST_CONTRAST = 0.2


def less_contrast(
    random: np.random.Generator, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw g and o of g x + o for both images of so many pairs, each (2, count)."""
    changed, lifted = random.random((2, 2, count)) < CHANGED
    contrast = np.where(changed, random.uniform(_LEAST_CONTRAST, 1, (2, count)), 1)
    offset = np.where(lifted, random.uniform(0, 1, (2, count)), 0) * (1 - contrast)
    return contrast, offset
