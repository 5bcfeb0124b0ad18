"""SSIM's sum over the 7 x 7 windows of a tile, with the published range of 2."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion_core.metrics.kernels.compiling import compiled

_SIDE = 7
_COUNT = _SIDE * _SIDE
_C1 = (0.01 * 2.0) ** 2 * _COUNT**2
_C2 = (0.03 * 2.0) ** 2 * _COUNT * (_COUNT - 1)


@compiled
def similarity_sums(images: NDArray[np.uint8], counted: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Add up the similarity over the counted windows inside an image.

    Sums of whole numbers are exact, which a range of 2 demands; each factor of the similarity is
    scaled by n^2 or n (n - 1), for windows of n pixels.

    Args:
        images: A, B and F, (3, H, W), both sides 7 at least.
        counted: Which windows count, 1 or 0 by a window's first pixel, (H - 6, W - 6).

    Returns:
        (2 sources,).
    """
    width = images.shape[2] - _SIDE + 1
    columns = np.zeros((7, images.shape[2]), np.int32)
    windows = np.empty((7, width), np.int32)
    sums = np.zeros(2)
    for y in range(images.shape[1]):
        _add_row(images, y, 1, columns)
        if y >= _SIDE:
            _add_row(images, y - _SIDE, -1, columns)
        if y >= _SIDE - 1:
            _add_neighbours(columns, windows)
            for source in range(2):
                sums[source] += _similarity(windows, source, counted[y - _SIDE + 1])
    return sums


@compiled
def _add_row(images: NDArray[np.uint8], y: int, sign: int, columns: NDArray[np.int32]) -> None:
    """Add or take off a row's A, B, F, A^2 + F^2, B^2 + F^2, AF and BF."""
    by = np.int32(sign)
    for x in range(images.shape[2]):
        a, b, f = np.int32(images[0, y, x]), np.int32(images[1, y, x]), np.int32(images[2, y, x])
        columns[0, x] += by * a
        columns[1, x] += by * b
        columns[2, x] += by * f
        columns[3, x] += by * (a * a + f * f)
        columns[4, x] += by * (b * b + f * f)
        columns[5, x] += by * (a * f)
        columns[6, x] += by * (b * f)


@compiled
def _add_neighbours(columns: NDArray[np.int32], windows: NDArray[np.int32]) -> None:
    """Add up seven neighbours of each row."""
    for each in range(7):
        row, target = columns[each], windows[each]
        for x in range(len(target)):
            target[x] = (
                row[x] + row[x + 1] + row[x + 2] + row[x + 3] + row[x + 4] + row[x + 5] + row[x + 6]
            )


@compiled
def _similarity(windows: NDArray[np.int32], source: int, counted: NDArray[np.uint8]) -> float:
    """Add up the similarity of a row's counted windows with one source."""
    ones, fused = windows[source], windows[2]
    squares, products = windows[3 + source], windows[5 + source]
    total = 0.0
    for x in range(len(ones)):
        s, f = np.float64(ones[x]), np.float64(fused[x])
        means, mean_squares = s * f, s * s + f * f
        covariance = _COUNT * np.float64(products[x]) - means
        variances = _COUNT * np.float64(squares[x]) - mean_squares
        similarity = ((2 * means + _C1) * (2 * covariance + _C2)) / (
            (mean_squares + _C1) * (variances + _C2)
        )
        total += np.float64(counted[x]) * similarity
    return total
