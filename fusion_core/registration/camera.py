"""Makes one transform for a camera that never moves, of those of many of its pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion_core.registration.warp import Matrix

LEAST = 3
"""So many pairs have to agree, and more than half of those whose transform is sure."""

_NEAR = 0.5
"""Two transforms agree where pixels are this share of the limit apart in the mean."""


@dataclass(frozen=True)
class CameraTransform:
    """The transform of a camera.

    Attributes:
        matrix: From visible pixel coordinates to infrared ones; the identity where its pairs are
            aligned as they are.
        score: Share of its pairs that agree, 0 to 1, of those whose transform is sure.
        pairs: How many of its pairs agree.
        size: Height and width of its images in pixels, of which the matrix holds.
    """

    matrix: Matrix
    score: float
    pairs: int
    size: tuple[int, int]

    @property
    def moves(self) -> bool:
        """Whether it changes anything."""
        return not np.array_equal(self.matrix, np.eye(3))


def agreed(
    matrices: Sequence[Matrix], size: tuple[int, int], limit: float
) -> CameraTransform | None:
    """Find what most transforms say alike; what others say is left out.

    Args:
        matrices: Of pairs whose transform is sure; the identity of those that are aligned.
        size: Height and width of the images in pixels.
        limit: How many pixels an aligned pair may be off.

    Returns:
        The mean of the transforms near the one that most are near of; None where fewer than
        ``LEAST`` or than half of all are.
    """
    if len(matrices) < LEAST:
        return None
    places = np.stack([_places(matrix, size) for matrix in matrices])
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1).mean(axis=-1)
    near = apart <= _NEAR * limit
    middle = int(near.sum(axis=1).argmax())
    agreeing = near[middle]
    if agreeing.sum() < LEAST or 2 * agreeing.sum() <= len(matrices):
        return None
    mean = np.mean([one for one, agrees in zip(matrices, agreeing, strict=True) if agrees], axis=0)
    return CameraTransform(mean, float(agreeing.mean()), int(agreeing.sum()), size)


def _places(matrix: Matrix, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return where a transform takes nine points spread over an image, (9, 2)."""
    down, across = (np.linspace(0, side - 1, 3) for side in size)
    x, y = np.meshgrid(across, down)
    moved = matrix @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return np.asarray((moved[:2] / moved[2]).T, np.float64)
