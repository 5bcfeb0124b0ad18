"""VIF's sums over the windows of a tile, one scale after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusion_core.metrics.kernels.compiling import compiled

Array = NDArray[np.float64]
Mask = NDArray[np.uint8]

_STRIP = 256
"""Columns that are worked on at once: their 17 rows of eight maps stay in a CPU's cache."""

_FACTORS = 48
"""So many factors, each below 2^15, multiply up to less than the largest float64."""

_TINY = 1e-10
_NOISE_VARIANCE = 2.0


def information_sums(
    images: Array, windows: tuple[Array, ...], rows: int, columns: int, counted: Sequence[Mask]
) -> Array:
    """Add up the information of the windows that start in a tile's core, at all scales.

    Args:
        images: A, B and F in grey values about a centre, (3, H, W); core and halo.
        windows: Taps of each scale's window, the finest first.
        rows: Rows of the core.
        columns: Columns of the core.
        counted: Which windows count, 1 or 0 by a window's first pixel, for each scale that has any.

    Returns:
        (2 sources, kept and available), in nats.
    """
    sums = np.zeros((2, 2))
    for scale, taps in enumerate(windows):
        if scale:
            if min(images.shape[1:]) < len(taps):
                break
            images = _halved(images, taps)
            rows, columns = -(-rows // 2), -(-columns // 2)
        # Windows that start beyond the core belong to the next tile.
        height = min(rows, images.shape[1] - len(taps) + 1)
        width = min(columns, images.shape[2] - len(taps) + 1)
        if height < 1 or width < 1:
            break
        _add_scale(images, taps, np.ascontiguousarray(counted[scale][:height, :width]), sums)
    return sums


@compiled
def _halved(images: Array, taps: Array) -> Array:
    """Filter images (3, H, W) inside, and keep every second row and column."""
    count, size = len(images), len(taps)
    height = (images.shape[1] - size) // 2 + 1
    width = (images.shape[2] - size) // 2 + 1
    halved = np.zeros((count, height, width))
    row = np.empty(images.shape[2])
    for image in range(count):
        for y in range(height):
            for x in range(len(row)):
                row[x] = 0.0
            for k in range(size):
                tap, source = taps[k], images[image, 2 * y + k]
                for x in range(len(row)):
                    row[x] += tap * source[x]
            target = halved[image, y]
            for k in range(size):
                tap = taps[k]
                for x in range(width):
                    target[x] += tap * row[2 * x + k]
    return halved


@compiled
def _add_scale(images: Array, taps: Array, counted: Mask, sums: Array) -> None:
    """Add the information of the counted windows to ``sums``, strip by strip."""
    size = len(taps)
    height, width = counted.shape
    for left in range(0, width, _STRIP):
        inside = min(_STRIP, width - left)
        wide = inside + size - 1
        products = np.empty((size, 8, wide))  # of the last rows; a row's place is its number's rest
        columns, moments = np.empty((8, wide)), np.empty((8, inside))
        factors = np.ones((4, inside))
        for y in range(height + size - 1):
            _multiply(images, y, left, products[y % size])
            top = y - size + 1
            if top >= 0 and counted[top, left : left + inside].any():
                _filter_columns(products, top, taps, columns)
                _filter_rows(columns, taps, moments)
                for source in range(2):
                    _gather(moments, source, counted[top, left : left + inside], factors)
            if top % _FACTORS == _FACTORS - 1:
                _take_logarithms(factors, sums)
        _take_logarithms(factors, sums)


@compiled
def _multiply(images: Array, y: int, left: int, products: Array) -> None:
    """Write A, B, F, A^2, B^2, F^2, AF and BF of one row."""
    a, b, f = images[0, y, left:], images[1, y, left:], images[2, y, left:]
    for x in range(products.shape[1]):
        products[0, x] = a[x]
        products[1, x] = b[x]
        products[2, x] = f[x]
        products[3, x] = a[x] * a[x]
        products[4, x] = b[x] * b[x]
        products[5, x] = f[x] * f[x]
        products[6, x] = a[x] * f[x]
        products[7, x] = b[x] * f[x]


@compiled
def _filter_columns(products: Array, top: int, taps: Array, filtered: Array) -> None:
    """Filter eight maps downwards, from row ``top`` on; four taps at once load and store less."""
    size = len(taps)
    for each in range(8):
        target = filtered[each]
        for x in range(len(target)):
            target[x] = 0.0
        for k in range(0, size - 3, 4):
            t0, t1, t2, t3 = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
            r0 = products[(top + k) % size, each]
            r1 = products[(top + k + 1) % size, each]
            r2 = products[(top + k + 2) % size, each]
            r3 = products[(top + k + 3) % size, each]
            for x in range(len(target)):
                target[x] += t0 * r0[x] + t1 * r1[x] + (t2 * r2[x] + t3 * r3[x])
        for k in range(size - size % 4, size):
            tap, row = taps[k], products[(top + k) % size, each]
            for x in range(len(target)):
                target[x] += tap * row[x]


@compiled
def _filter_rows(maps: Array, taps: Array, filtered: Array) -> None:
    """Filter eight maps sideways, likewise.

    Neighbours are taken from shifted views, for an index that is a sum might be negative, and to
    look after that keeps the loop from being made of vectors.
    """
    size = len(taps)
    for each in range(8):
        target, source = filtered[each], maps[each]
        for x in range(len(target)):
            target[x] = 0.0
        for k in range(0, size - 3, 4):
            t0, t1, t2, t3 = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
            s0, s1, s2, s3 = source[k:], source[k + 1 :], source[k + 2 :], source[k + 3 :]
            for x in range(len(target)):
                target[x] += t0 * s0[x] + t1 * s1[x] + (t2 * s2[x] + t3 * s3[x])
        for k in range(size - size % 4, size):
            tap, shifted = taps[k], source[k:]
            for x in range(len(target)):
                target[x] += tap * shifted[x]


@compiled
def _gather(moments: Array, source: int, counted: Mask, factors: Array) -> None:
    """Multiply 1 + what a source's windows keep, and 1 + what they hold, into ``factors``."""
    mean, of_squares, of_products = moments[source], moments[3 + source], moments[6 + source]
    fused, fused_squares = moments[2], moments[5]
    kept, available = factors[2 * source], factors[2 * source + 1]
    for x in range(len(mean)):
        variance = of_squares[x] - mean[x] * mean[x]
        fused_variance = fused_squares[x] - fused[x] * fused[x]
        covariance = of_products[x] - mean[x] * fused[x]
        variance = variance if variance > _TINY else 0.0
        fused_variance = fused_variance if fused_variance > _TINY else 0.0
        covariance = covariance if covariance > 0.0 else 0.0
        # By Cauchy and Schwarz the minimum changes nothing but what rounding has made.
        square, most = covariance * covariance, variance * fused_variance
        square = square if square < most else most
        inverse = 1.0 / (variance + _TINY)
        explained = square * inverse
        noise = fused_variance - explained + _NOISE_VARIANCE
        times = np.float64(counted[x])
        kept[x] *= 1.0 + times * (explained * inverse * variance / noise)
        available[x] *= 1.0 + times * (variance / _NOISE_VARIANCE)


@compiled
def _take_logarithms(factors: Array, sums: Array) -> None:
    """Add the logarithms of the factors to ``sums``, and begin new ones."""
    for source in range(2):
        for what in range(2):
            row, total = factors[2 * source + what], 0.0
            for x in range(len(row)):
                total += math.log(row[x])
                row[x] = 1.0
            sums[source, what] += total
