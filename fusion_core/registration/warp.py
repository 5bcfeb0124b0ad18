"""Moves an infrared picture to where the visible one shows the same things."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""3 x 3, from visible pixel coordinates (x, y, 1) to infrared ones; pixel centres are integers."""

_LONGEST = (1 << 15) - 1  # OpenCV's maps hold 16 bits


def can_warp(height: int, width: int) -> bool:
    """Tell whether a picture of this size can be warped."""
    return max(height, width) < _LONGEST


def warped(
    pixels: NDArray[Any], matrix: Matrix, valid: NDArray[np.bool_] | None = None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Move a picture by a transform.

    Args:
        pixels: (H, W) or (H, W, C), uint8, uint16 or float32.
        matrix: From coordinates of the result to those of ``pixels``.
        valid: Where ``pixels`` show something, (H, W). Default: everywhere.

    Returns:
        What lies there, bilinear, of the same shape and type; and where it shows something, (H, W):
        where all that a pixel is made of lies inside and is valid. The rest is 0.
    """
    from fusion_core.registration.opencv import cv2

    height, width = pixels.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = np.full((height, width), 255, np.uint8)
    if valid is not None:
        shown[~valid] = 0
    moved = cv2.warpPerspective(pixels, matrix, (width, height), flags=flags)
    inside = cv2.warpPerspective(shown, matrix, (width, height), flags=flags) == 255
    moved[~inside] = 0
    return moved, inside


def grown(matrix: Matrix, factor: int) -> Matrix:
    """Return a transform of a pair that was reduced by ``factor`` as one of the pair itself.

    A reduced pixel's centre is that of a square of pixels, so it lies (factor - 1) / 2 behind the
    first of them.
    """
    middle = (factor - 1) / 2
    grow = np.array([[factor, 0, middle], [0, factor, middle], [0, 0, 1.0]])
    whole = grow @ matrix @ np.linalg.inv(grow)
    return np.asarray(whole / whole[2, 2], np.float64)


def shift_of(matrix: Matrix, height: int, width: int) -> tuple[float, float]:
    """Return where a transform takes a picture's centre, relative to it: x and y in pixels."""
    centre = np.array([(width - 1) / 2, (height - 1) / 2, 1.0])
    x, y, scale = matrix @ centre
    return float(x / scale - centre[0]), float(y / scale - centre[1])


def mean_distance(matrix: Matrix, height: int, width: int) -> float:
    """Return by how many pixels a transform moves a picture's pixels, in the mean."""
    rows, columns = np.mgrid[0 : height - 1 : 24j, 0 : width - 1 : 24j]
    points = np.stack([columns.ravel(), rows.ravel(), np.ones(columns.size)])
    x, y, scale = matrix @ points
    return float(np.hypot(x / scale - points[0], y / scale - points[1]).mean())
