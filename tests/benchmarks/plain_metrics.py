"""The seven metrics as one writes them down with NumPy and SciPy, in float64: the thing to beat.

Each formula by itself, each source by itself. ``gaussian`` is what filters with VIF's windows:
``windowed`` as the published evaluators do it, or ``separable``, which is the same value
some five times as fast.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, uniform_filter
from scipy.signal import convolve2d

Array = NDArray[np.float64]
Filter = Callable[[Array, Array], Array]


def windowed(image: Array, taps: Array) -> Array:
    """Filter with a two-dimensional window, only where it is inside the image."""
    return convolve2d(image, np.outer(taps, taps), mode="valid")


def separable(image: Array, taps: Array) -> Array:
    """Filter columns, then rows, and leave out where the window is not inside the image."""
    reach = len(taps) // 2
    return correlate1d(correlate1d(image, taps, 0), taps, 1)[reach:-reach, reach:-reach]


def plain_scores(a: Array, b: Array, f: Array, gaussian: Filter = separable) -> dict[str, float]:
    """Score one fused image; all three (H, W) float64 of grey values 0..255."""
    return {
        "vif": vifp(a, f, gaussian) + vifp(b, f, gaussian),
        "ag": ag(f),
        "scd": correlation(f - b, a) + correlation(f - a, b),
        "qabf": qabf(a, b, f),
        "sf": np.sqrt(np.mean(np.diff(f, axis=0) ** 2) + np.mean(np.diff(f, axis=1) ** 2)),
        "en": en(f),
        "ssim": ssim(a, f) + ssim(b, f),
    }


def vifp(ref: Array, dist: Array, gaussian: Filter) -> float:
    num = den = 0.0
    for scale, n in enumerate((17, 9, 5, 3)):
        taps = np.exp(-((np.arange(n) - n // 2) ** 2) / (2 * (n / 5) ** 2))
        taps /= taps.sum()
        if scale > 0:
            ref, dist = gaussian(ref, taps)[::2, ::2], gaussian(dist, taps)[::2, ::2]
        m1, m2 = gaussian(ref, taps), gaussian(dist, taps)
        v1 = np.maximum(gaussian(ref * ref, taps) - m1 * m1, 0)
        v2 = np.maximum(gaussian(dist * dist, taps) - m2 * m2, 0)
        c = gaussian(ref * dist, taps) - m1 * m2
        g = c / (v1 + 1e-10)
        r = v2 - g * c
        g[v1 < 1e-10], r[v1 < 1e-10], v1[v1 < 1e-10] = 0, v2[v1 < 1e-10], 0
        g[v2 < 1e-10], r[v2 < 1e-10] = 0, 0
        r[g < 0], g[g < 0] = v2[g < 0], 0
        r = np.maximum(r, 1e-10)
        num += np.log10(1 + g * g * v1 / (r + 2)).sum()
        den += np.log10(1 + v1 / 2).sum()
    return num / den


def ag(f: Array) -> float:
    dy, dx = np.gradient(f)
    height, width = f.shape
    return np.sqrt((dx**2 + dy**2) / 2).sum() / ((height - 1) * (width - 1))


def correlation(x: Array, y: Array) -> float:
    return np.corrcoef(x.ravel(), y.ravel())[0, 1]


def qabf(a: Array, b: Array, f: Array) -> float:
    fused = sobel(f)
    kept = total = 0.0
    for source in (sobel(a), sobel(b)):
        kept += (edges_kept(*source, *fused) * source[0]).sum()
        total += source[0].sum()
    return kept / total


def sobel(x: Array) -> tuple[Array, Array]:
    gx = correlate1d(correlate1d(x, [1, 2, 1], 0, mode="constant"), [1, 0, -1], 1, mode="constant")
    gy = correlate1d(correlate1d(x, [1, 2, 1], 1, mode="constant"), [-1, 0, 1], 0, mode="constant")
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.arctan(gy / gx)
    angle[gx == 0] = np.pi / 2
    return np.sqrt(gx**2 + gy**2), angle


def edges_kept(gs: Array, ts: Array, gf: Array, tf: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(gs > gf, gf / gs, np.where(gs < gf, gs / gf, gf))
    alignment = 1 - np.abs(ts - tf) / (np.pi / 2)
    strength = 0.9994 / (1 + np.exp(-15 * (ratio - 0.5)))
    return strength * 0.9879 / (1 + np.exp(-22 * (alignment - 0.8)))


def en(f: Array) -> float:
    shares = np.bincount(f.astype(np.uint8).ravel(), minlength=256) / f.size
    shares = shares[shares > 0]
    return -(shares * np.log2(shares)).sum()


def ssim(x: Array, y: Array) -> float:
    def mean(image: Array) -> Array:
        return uniform_filter(image, 7)[3:-3, 3:-3]

    mx, my = mean(x), mean(y)
    vx, vy = (49 / 48 * (mean(z * z) - m * m) for z, m in ((x, mx), (y, my)))
    vxy = 49 / 48 * (mean(x * y) - mx * my)
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    top = (2 * mx * my + c1) * (2 * vxy + c2)
    return (top / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean()
