"""Directions of edges: what an infrared and a visible picture of one place have in common.

A warm thing may be dark in the visible picture or bright, so neither values nor the signs of
gradients agree, but edges lie in the same places and directions. A pixel's direction is written as
a complex number of twice its angle, which an edge and its negative share; its length says how much
the edge stands out from its surroundings, so that a bright window counts as much as a dim one.

Orientation correlation is Fitch et al., "Orientation Correlation", BMVC 2002; twice the angle for
pictures of two kinds is common since, as in Haber and Modersitzki, "Intensity gradient based
registration and fusion of multi-modal images", MICCAI 2006, whose measure is its square.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Directions = NDArray[np.complex64]

_SAMPLES = 4

_SURROUNDINGS = 8
"""Radius in pixels of what an edge is compared with."""

_QUIET = 0.25
"""So much of the mean gradient of the whole picture is added to that of the surroundings, without
which noise in a flat sky would count as edges."""

_REACH = 3
"""Pixels around a hole whose gradients see it."""


def factor_for(shape: tuple[int, ...], side: int) -> int:
    """Return by how much to reduce a picture (H, W, …) for a longer side near ``side``.

    Of a picture that is a line, less: something has to be left of its shorter side.
    """
    return max(1, min(round(max(shape[:2]) / side), min(shape[:2])))


def reduced(pixels: NDArray[Any], factor: int) -> Plane:
    """Return means over squares of ``factor`` x ``factor`` pixels.

    Args:
        pixels: (H, W) or (H, W, C). What is left over at the right and below is cut off.
        factor: Side of a square. Of large ones about four pixels along each side are taken.

    Returns:
        (H // factor, W // factor), or with channels as before, float32.
    """
    if factor == 1:
        return np.asarray(pixels, np.float32)
    height, width = (side // factor * factor for side in pixels.shape[:2])
    total = np.zeros((height // factor, width // factor, *pixels.shape[2:]), np.float32)
    taken = range(0, factor, -(-factor // _SAMPLES))
    for row in taken:
        for column in taken:
            total += pixels[row:height:factor, column:width:factor]
    np.divide(total, len(taken) ** 2, out=total)
    return total


def pooled(directions: Directions, factor: int) -> Directions:
    """Return sums over squares, likewise: edges of one direction add up, others cancel out."""
    height, width = (side // factor * factor for side in directions.shape)
    total = np.zeros((height // factor, width // factor), np.complex64)
    for row in range(factor):
        for column in range(factor):
            total += directions[row:height:factor, column:width:factor]
    return total


def directions(plane: Plane, valid: NDArray[np.bool_] | None = None) -> Directions:
    """Return the directions of edges.

    Args:
        plane: Luminance, (H, W).
        valid: Where it shows something, (H, W); default: everywhere. Edges around the rest are
            left out.

    Returns:
        (H, W), complex: an edge whose gradient has the angle a is of the angle 2a, and of a length
        in [0, 1): m / (m + s), m being the gradient's and s that of the surroundings.
    """
    smooth = _smoothed(plane)
    across, down = np.zeros_like(smooth), np.zeros_like(smooth)
    across[1:-1, 1:-1] = smooth[1:-1, 2:] - smooth[1:-1, :-2]
    down[1:-1, 1:-1] = smooth[2:, 1:-1] - smooth[:-2, 1:-1]
    square = across * across + down * down
    length = np.sqrt(square)
    usual = box_mean(length, _SURROUNDINGS)
    usual += np.float32(_QUIET * float(length.mean()) + 1e-4)
    weight = 1 / (square + length * usual + np.float32(1e-12))
    if valid is not None:
        weight *= eroded(valid)
    found = np.empty(plane.shape, np.complex64)
    found.real = (across * across - down * down) * weight
    found.imag = 2 * across * down * weight
    return found


def reduced_mask(valid: NDArray[np.bool_], factor: int) -> NDArray[np.bool_]:
    """Return which squares show something all over, as ``reduced`` cuts them."""
    return reduced(valid, factor) > 1 - 1e-3


def eroded(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where a picture shows something and so do the pixels around, (H, W)."""
    return box_mean(valid.astype(np.float32), _REACH) > 1 - 1e-3


def box_mean(plane: Plane, radius: int) -> Plane:
    """Return means over squares around each pixel, of what of them lies inside."""
    return _running_mean(_running_mean(plane, radius).T, radius).T


def _running_mean(plane: Plane, radius: int) -> Plane:
    height, width = plane.shape
    sums = np.zeros((height + 1, width), np.float32)
    np.cumsum(plane, axis=0, out=sums[1:])
    rows = np.arange(height)
    first, last = np.maximum(rows - radius, 0), np.minimum(rows + radius + 1, height)
    found = sums[last] - sums[first]
    np.divide(found, (last - first)[:, None], out=found, casting="same_kind")
    return found


def _smoothed(plane: Plane) -> Plane:
    """Return a plane under the weights 1, 2, 1 in both directions."""
    padded = np.pad(plane, 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    both: Plane = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
    np.divide(both, 16, out=both)
    return both
