"""Finds the collar around a scene that no file declares, such as the zeros around Landsat's.

What tells a collar from dark or saturated ground is that two sensors have it at the same pixels:
one exact value, an end of the data type, in all bands, over a large part of the scene that begins
at its border. Types of floating point have no such end, and 0 may be a temperature or a difference:
they aren't searched. There NaN means no data in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.scenes.aligned_raster import AlignedPixels

MIN_SHARE = 0.01
"""Share of the scene that a collar covers at least. Smaller ones hardly move the percentiles."""

MIN_AGREEMENT = 0.9
"""How far both images lack data at the same pixels: intersection over union, and the share of each
one's collar where the other lacks data too. Two bands of one satellite reach 0.99."""

_SWEEPS = 64

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class UndeclaredFill:
    """The values that mean no data in a scene without saying so.

    Attributes:
        ir: The infrared image's; None where there is none, or it is declared.
        vi: The visible image's, likewise.
        share: Share of the scene that the collars cover, 0 to 1, by a decimated read.
    """

    ir: float | None
    vi: float | None
    share: float


@dataclass(frozen=True)
class _Reading:
    """One way to read an image: with a value for fill, or with none.

    Attributes:
        value: The value; None to take the image as its file says.
        collar: Where that value lies around the image, (H, W).
        absent: The collar, and what holds no data by the file and begins at the border or there.
        data: Where the image would hold data, the value counting as none anywhere.
    """

    value: float | None
    collar: Mask
    absent: Mask
    data: Mask


def undeclared_fill(
    ir: AlignedPixels, vi: AlignedPixels, *, searched: tuple[bool, bool]
) -> UndeclaredFill | None:
    """Find the values around a scene that mean no data and aren't declared.

    Args:
        ir: The infrared image on the scene's grid, decimated; its bands all hold values.
        vi: The visible image on the same grid, likewise.
        searched: Whether to search in the infrared and in the visible image; where not, the image
            says itself which pixels hold no data.

    Returns:
        The values; None where there are none. What they leave holds data at a common pixel.
    """
    with_fill = [
        list(_readings(pixels)) if wanted else []
        for pixels, wanted in zip((ir, vi), searched, strict=True)
    ]
    if not any(with_fill):
        return None
    infrared, visible = (
        [*found, _as_declared(pixels)] for found, pixels in zip(with_fill, (ir, vi), strict=True)
    )
    agreed = [
        (_agreement(a, b), a, b)
        for a, b in product(infrared, visible)
        if (a.value is not None or b.value is not None) and (a.data & b.data).any()
    ]
    best, a, b = max(agreed, key=lambda one: one[0], default=(0.0, None, None))
    if a is None or b is None or best < MIN_AGREEMENT:
        return None
    return UndeclaredFill(a.value, b.value, float((a.collar | b.collar).mean()))


def _readings(pixels: AlignedPixels) -> Iterator[_Reading]:
    """Read an image with each end of its type that lies around enough of it."""
    if pixels.bands.dtype.kind not in "iu":
        return
    limits = np.iinfo(pixels.bands.dtype)
    for value in (limits.min, limits.max):
        equal = pixels.valid & (pixels.bands == value).all(axis=0)
        if equal.mean() < MIN_SHARE:  # as nearly always: there is nothing to trace
            continue
        absent = _from_border(equal | ~pixels.valid)
        collar = equal & absent
        if collar.mean() >= MIN_SHARE:
            yield _Reading(float(value), collar, absent, pixels.valid & ~equal)


def _as_declared(pixels: AlignedPixels) -> _Reading:
    nowhere = np.zeros_like(pixels.valid)
    return _Reading(None, nowhere, _from_border(~pixels.valid), pixels.valid)


def _agreement(a: _Reading, b: _Reading) -> float:
    """Tell how far two images lack data at the same pixels, 0 to 1."""
    shares = [_share(a.absent & b.absent, a.absent | b.absent)]
    for one, other in ((a, b), (b, a)):
        if one.value is not None:
            shares.append(_share(one.collar & other.absent, one.collar))
    return min(shares)


def _share(part: Mask, whole: Mask) -> float:
    return float(part.sum() / max(1, whole.sum()))


def _from_border(region: Mask) -> Mask:
    """Return the part of a region (H, W) that is connected to the image's border, by sides.

    What is reached spreads along whole rows and columns at once, so that a collar of straight edges
    takes two or three sweeps. Sweeps are bounded, because a labyrinth would take thousands.
    """
    border = region.copy()
    border[1:-1, 1:-1] = False
    rows, columns = _runs(region)[region], _runs(region.T).T[region]
    reached: NDArray[Any] = border[region]
    for _ in range(_SWEEPS):
        before = np.count_nonzero(reached)
        for runs in (rows, columns):
            hit = np.zeros(runs.max(initial=0) + 1, np.bool_)
            hit[runs[reached]] = True
            reached = hit[runs]
        if np.count_nonzero(reached) == before:
            break
    border[region] = reached
    return border


def _runs(region: Mask) -> NDArray[np.int64]:
    """Number the runs along the rows of a region; pixels outside have any number."""
    starts = np.array(region, order="C")
    starts[:, 1:] &= ~region[:, :-1]
    return np.cumsum(starts, dtype=np.int64).reshape(region.shape)
