"""The seven metrics again, for one image at a time, written for plainness instead of speed.

Shares no code with the package: NumPy and SciPy only, two-dimensional windows, variances from
deviations, and the published order of the case distinctions. A pixel without data is NaN, which
spreads over all that is made of it; what is NaN in the end is left out.
"""

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
            ref = np.einsum("ijkl,kl->ij", windows(ref, n), w)[::2, ::2]
            dist = np.einsum("ijkl,kl->ij", windows(dist, n), w)[::2, ::2]
        if min(ref.shape) < n:
            break
        v1 = held(window_covariance(ref, ref, w))
        v2 = held(window_covariance(dist, dist, w))
        c = held(window_covariance(ref, dist, w))
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


def windows(image: Array, n: int) -> Array:
    view: Array = np.lib.stride_tricks.sliding_window_view(image, (n, n))
    return view


def window_covariance(x: Array, y: Array, w: Array) -> Array:
    xs, ys = windows(x, len(w)), windows(y, len(w))
    dx = xs - np.einsum("ijkl,kl->ij", xs, w)[:, :, None, None]
    dy = ys - np.einsum("ijkl,kl->ij", ys, w)[:, :, None, None]
    covariance: Array = np.einsum("ijkl,ijkl,kl->ij", dx, dy, w)
    return covariance


def ag(f: Array) -> float:
    if min(f.shape) < 2:
        return NAN
    dy, dx = np.gradient(f)
    h, w = f.shape
    # Central differences don't read the pixel itself.
    strength = np.where(np.isnan(f), NAN, np.sqrt((dx**2 + dy**2) / 2))
    return mean(strength) * (h * w) / ((h - 1) * (w - 1))


def pearson(x: Array, y: Array) -> float:
    xs = [int(v) for v in held(x)]
    ys = [int(v) for v in held(y)]
    n = len(xs)
    xy = n * sum(p * q for p, q in zip(xs, ys, strict=True)) - sum(xs) * sum(ys)
    xx = n * sum(p * p for p in xs) - sum(xs) ** 2
    yy = n * sum(q * q for q in ys) - sum(ys) ** 2
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
    mx = windows(x, 7).mean(axis=(2, 3))
    my = windows(y, 7).mean(axis=(2, 3))
    vx = window_covariance(x, x, w) * 49 / 48
    vy = window_covariance(y, y, w) * 49 / 48
    vxy = window_covariance(x, y, w) * 49 / 48
    top = (2 * mx * my + c1) * (2 * vxy + c2)
    return mean(top / ((mx**2 + my**2 + c1) * (vx + vy + c2)))


def textbook_ag(f: Array) -> float:
    if min(f.shape) < 2:
        return NAN
    strength = [
        np.sqrt(((f[i + 1, j] - f[i, j]) ** 2 + (f[i, j + 1] - f[i, j]) ** 2) / 2)
        for i in range(f.shape[0] - 1)
        for j in range(f.shape[1] - 1)
    ]
    return mean(np.array(strength))


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
    mx, my = (np.einsum("ijkl,kl->ij", windows(z, 11), w) for z in (x, y))
    vx, vy, vxy = (window_covariance(*pair, w) for pair in ((x, x), (y, y), (x, y)))
    top = (2 * mx * my + c1) * (2 * vxy + c2)
    return mean(top / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
