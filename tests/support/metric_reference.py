"""The seven metrics again, for one image at a time, written for plainness instead of speed.

Shares no code with the package: NumPy and SciPy only, two-dimensional windows, variances from
deviations, and the published order of the case distinctions. A pixel without data is NaN, which
spreads over all that is made of it; what is NaN in the end is left out.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import convolve2d

Image = npt.NDArray[Any]
Array = npt.NDArray[np.float64]
NAN = float("nan")


def reference_scores(
    ir: Image, vi: Image, fused: Image, valid: Image | None = None
) -> dict[str, float]:
    """Score three (H, W) arrays of integers from 0 to 255; NaN where a metric is undefined."""
    a, b, f = (with_gaps(image, valid) for image in (ir, vi, fused))
    return {
        "vif": vifp(a, f) + vifp(b, f),
        "ag": ag(f),
        "scd": pearson(f - b, a) + pearson(f - a, b),
        "qabf": qabf(a, b, f),
        "sf": sf(f),
        "en": en(f),
        "ssim": ssim(a, f) + ssim(b, f),
    }


def textbook_scores(
    ir: Image, vi: Image, fused: Image, valid: Image | None = None
) -> dict[str, float]:
    """As ``reference_scores``, by the definitions of the papers that introduced the metrics."""
    a, b, f = (with_gaps(image, valid) for image in (ir, vi, fused))
    return {
        "vif": (vifp(a, f) + vifp(b, f)) / 2,
        "ag": textbook_ag(f),
        "scd": pearson(f - b, a) + pearson(f - a, b),
        "qabf": textbook_qabf(a, b, f),
        "sf": textbook_sf(f),
        "en": en(f),
        "ssim": (textbook_ssim(a, f) + textbook_ssim(b, f)) / 2,
    }


def with_gaps(image: Image, valid: Image | None) -> Array:
    values = np.asarray(image, dtype=np.float64)
    return values if valid is None else np.where(valid, values, NAN)


def held(values: Array) -> Array:
    return values[~np.isnan(values)]


def mean(values: Array) -> float:
    return float(held(values).mean()) if held(values).size else NAN


def vifp(ref: Array, dist: Array) -> float:
    num = den = 0.0
    for scale, n in enumerate((17, 9, 5, 3)):
        offsets = np.arange(n) - (n - 1) / 2
        distance = offsets[:, None] ** 2 + offsets[None, :] ** 2
        w = np.exp(-distance / (2 * (n / 5) ** 2))
        w = w / w.sum()
        if scale > 0:
            if min(ref.shape) < n:
                break
            ref, dist = weighted_mean(ref, w)[::2, ::2], weighted_mean(dist, w)[::2, ::2]
        if min(ref.shape) < n:
            break
        v1, v2, c = (held(values) for values in window_covariances(ref, dist, w))
        g = c / (v1 + 1e-10)
        r = v2 - g * c
        flat = v1 < 1e-10
        g[flat], r[flat], v1[flat] = 0, v2[flat], 0
        flat = v2 < 1e-10
        g[flat], r[flat] = 0, 0
        negative = g < 0
        r[negative], g[negative] = v2[negative], 0
        r = np.maximum(r, 1e-10)
        num += np.log10(1 + g**2 * v1 / (r + 2)).sum()
        den += np.log10(1 + v1 / 2).sum()
    return num / den if den > 0 else NAN


def weighted_mean(images: Array, w: Array) -> Array:
    """Mean of each window of one image or of several, weighted by w."""
    # A place of the window at a time: all windows at once are too much for the cache.
    mean = np.zeros_like(next(places(images, len(w))))
    for weight, part in zip(w.flat, places(images, len(w)), strict=True):
        mean += weight * part
    return mean


def window_covariances(x: Array, y: Array, w: Array) -> tuple[Array, Array, Array]:
    """Variances of x and of y and their covariance, of each window, weighted by w."""
    both = np.stack([x, y])
    mean = weighted_mean(both, w)
    variances, covariance = np.zeros_like(mean), np.zeros_like(mean[0])
    for weight, part in zip(w.flat, places(both, len(w)), strict=True):
        deviations = part - mean
        weighted = weight * deviations
        variances += weighted * deviations
        covariance += weighted[0] * deviations[1]
    return variances[0], variances[1], covariance


def places(images: Array, n: int) -> Iterator[Array]:
    """Each place of a window of n x n pixels in turn, of all windows."""
    height, width = (side - n + 1 for side in images.shape[-2:])
    for i in range(n):
        for j in range(n):
            yield images[..., i : i + height, j : j + width]


def ag(f: Array) -> float:
    if min(f.shape) < 2:
        return NAN
    dy, dx = np.gradient(f)
    h, w = f.shape
    # Central differences don't read the pixel itself.
    strength = np.where(np.isnan(f), NAN, np.sqrt((dx**2 + dy**2) / 2))
    return mean(strength) * (h * w) / ((h - 1) * (w - 1))


def pearson(x: Array, y: Array) -> float:
    # In whole numbers nothing is rounded, and int64 holds them for any image of these tests.
    xs, ys = held(x).astype(np.int64), held(y).astype(np.int64)
    n = len(xs)
    xy = n * int(xs @ ys) - int(xs.sum()) * int(ys.sum())
    xx = n * int(xs @ xs) - int(xs.sum()) ** 2
    yy = n * int(ys @ ys) - int(ys.sum()) ** 2
    return xy / (xx**0.5 * yy**0.5) if xx and yy else NAN


def qabf(a: Array, b: Array, f: Array) -> float:
    ga, ta = sobel(a)
    gb, tb = sobel(b)
    gf, tf = sobel(f)
    total = np.nansum(ga + gb)
    if total == 0:
        return NAN
    qa = edge_quality(ga, ta, gf, tf)
    qb = edge_quality(gb, tb, gf, tf)
    return float(np.nansum(qa * ga + qb * gb) / total)


def sobel(image: Array) -> tuple[Array, Array]:
    h3 = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    h1 = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]])
    gx = convolve2d(image, h3, mode="same", boundary="fill", fillvalue=0)
    gy = convolve2d(image, h1, mode="same", boundary="fill", fillvalue=0)
    angle = np.full(image.shape, np.pi / 2)
    slanted = gx != 0
    angle[slanted] = np.arctan(gy[slanted] / gx[slanted])
    return np.sqrt(gx**2 + gy**2), angle


def edge_quality(
    gs: Array, ts: Array, gf: Array, tf: Array, at_equality: float | None = None
) -> Array:
    ratio = gf.copy() if at_equality is None else np.full(gf.shape, at_equality)
    weaker = gs > gf
    ratio[weaker] = gf[weaker] / gs[weaker]
    stronger = gs < gf
    ratio[stronger] = gs[stronger] / gf[stronger]
    alignment = 1 - np.abs(ts - tf) / (np.pi / 2)
    strength_kept = 0.9994 / (1 + np.exp(-15 * (ratio - 0.5)))
    angle_kept = 0.9879 / (1 + np.exp(-22 * (alignment - 0.8)))
    quality: Array = strength_kept * angle_kept
    return quality


def sf(f: Array) -> float:
    if min(f.shape) < 2:
        return NAN
    return float(np.sqrt(mean((f[1:] - f[:-1]) ** 2) + mean((f[:, 1:] - f[:, :-1]) ** 2)))


def en(f: Array) -> float:
    if not held(f).size:
        return NAN
    _, counts = np.unique(held(f), return_counts=True)
    p = counts / held(f).size
    return float((p * np.log2(1 / p)).sum())


def ssim(x: Array, y: Array) -> float:
    if min(x.shape) < 7:
        return NAN
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    w = np.full((7, 7), 1 / 49)
    mx, my = weighted_mean(x, w), weighted_mean(y, w)
    vx, vy, vxy = (values * 49 / 48 for values in window_covariances(x, y, w))
    top = (2 * mx * my + c1) * (2 * vxy + c2)
    return mean(top / ((mx**2 + my**2 + c1) * (vx + vy + c2)))


def textbook_ag(f: Array) -> float:
    if min(f.shape) < 2:
        return NAN
    down, across = f[1:, :-1] - f[:-1, :-1], f[:-1, 1:] - f[:-1, :-1]
    return mean(np.sqrt((down**2 + across**2) / 2))


def textbook_sf(f: Array) -> float:
    if min(f.shape) < 2:
        return NAN
    rows = held(np.concatenate([(f[:, j + 1] - f[:, j]) ** 2 for j in range(f.shape[1] - 1)]))
    columns = held(np.concatenate([(f[i + 1] - f[i]) ** 2 for i in range(f.shape[0] - 1)]))
    if not (rows.size and columns.size):
        return NAN
    return float(np.sqrt((rows.sum() + columns.sum()) / held(f).size))


def textbook_qabf(a: Array, b: Array, f: Array) -> float:
    if min(f.shape) < 3:
        return NAN
    (ga, ta), (gb, tb), (gf, tf) = (tuple(part[1:-1, 1:-1] for part in sobel(x)) for x in (a, b, f))
    total = np.nansum(ga + gb)
    kept = 0.0
    for gs, ts in ((ga, ta), (gb, tb)):
        equal = gs == gf
        quality = edge_quality(gs, ts, gf, tf)
        quality[equal] = edge_quality(gs, ts, gf, tf, at_equality=1.0)[equal]
        kept += np.nansum(quality * gs)
    return kept / total if total else NAN


def textbook_ssim(x: Array, y: Array) -> float:
    if min(x.shape) < 11:
        return NAN
    offsets = np.arange(11) - 5
    w = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    w = w / w.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = weighted_mean(x, w), weighted_mean(y, w)
    vx, vy, vxy = window_covariances(x, y, w)
    top = (2 * mx * my + c1) * (2 * vxy + c2)
    return mean(top / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
