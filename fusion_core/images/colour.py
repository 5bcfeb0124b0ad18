"""Takes the luminance of an image, and gives an image a new one.

Luminance is the Y of full-range BT.601 YCbCr, as JPEG files use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.metrics.scaling import BT601, Scaling

Pixels = NDArray[Any]
"""uint8 or uint16; numpy's types can't say so without losing the arithmetic between them."""

_LUMA = np.array(BT601, np.float32)

_STRIP = 1 << 15
"""Pixels that are computed at once: what lies between the types fits a CPU's cache."""


def luminance(pixels: Pixels, scaling: Scaling | None = None) -> NDArray[np.float32]:
    """Return the luminance of an image.

    Args:
        pixels: (H, W) grey or (H, W, 3) RGB, uint8 or uint16.
        scaling: What becomes black and white, in the image's units. Default: the type's range.

    Returns:
        (H, W) in [0, 1]: 0.299 R + 0.587 G + 0.114 B, scaled.
    """
    scaling = scaling or type_scaling(pixels)
    found = np.empty(pixels.shape[:2], np.float32)
    for rows in _strips(pixels):
        part = pixels[rows]
        found[rows] = part if part.ndim == 2 else part @ _LUMA
        if scaling.low:
            found[rows] -= np.float32(scaling.low)
        found[rows] /= np.float32(scaling.span)
    return np.clip(found, 0, 1, out=found)


def replace_luminance(
    pixels: Pixels,
    fused: NDArray[np.floating[Any]],
    scaling: Scaling | None = None,
    top: int | None = None,
    *,
    before: NDArray[np.float32] | None = None,
) -> Pixels:
    """Give an image a new luminance and keep its Cb and Cr.

    With Cb and Cr held, R = Y + 1.402 Cr, and likewise G and B, so that every channel changes by
    just the change of Y. What leaves the range is clipped.

    Args:
        pixels: (H, W) grey or (H, W, 3) RGB, uint8 or uint16.
        fused: (H, W) in [0, 1], the new luminance.
        scaling: What 0 and 1 are in the image's units. Default: the type's range. A value beyond
            it, which the model saw clipped, keeps what it exceeds it by.
        top: Largest value that a pixel may get. Default: the type's.
        before: The luminance that the image has, by the same scaling, if it is known already.

    Returns:
        An array of the shape and type of ``pixels``, rounded to the nearest integer.
    """
    top = top or int(np.iinfo(pixels.dtype).max)
    scaling = scaling or type_scaling(pixels)
    span = np.float32(scaling.span)
    before = luminance(pixels, scaling) if before is None else before
    replaced = np.empty_like(pixels)
    for rows in _strips(pixels):
        part = pixels[rows]
        wanted = (np.asarray(fused[rows], np.float32) - before[rows]) * span
        if part.ndim == 3:
            # Repeated, because arithmetic with an axis of three is slow.
            wanted = np.repeat(wanted, 3).reshape(part.shape)
        wanted += part
        np.rint(wanted, out=wanted)
        replaced[rows] = np.clip(wanted, 0, top, out=wanted)
    return replaced


def type_scaling(pixels: Pixels) -> Scaling:
    """Return the scaling by which a type's range becomes [0, 1]."""
    return Scaling(0.0, float(np.iinfo(pixels.dtype).max))


def _strips(pixels: Pixels) -> Iterator[slice]:
    """Cut an image (H, W, …) into strips of whole rows, for arithmetic pixel by pixel."""
    height, width = pixels.shape[:2]
    step = max(1, _STRIP // max(1, width))
    for top in range(0, height, step):
        yield slice(top, top + step)
