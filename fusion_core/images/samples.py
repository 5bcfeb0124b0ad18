"""Turns samples as files store them into grey and RGB values of the full range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import DecodeError
from fusion_core.images.colour import Pixels


def spread_bits(pixels: Pixels, bits: int) -> Pixels:
    """Spread values of fewer than 8 bits over 0 to 255: the largest becomes white.

    Args:
        pixels: uint8 of any shape, of at most ``2**bits - 1``.
        bits: Bits that they have, 1 to 7.
    """
    table = np.rint(np.arange(1 << bits) * 255 / ((1 << bits) - 1)).astype(np.uint8)
    spread: Pixels = table[pixels]
    return spread


def inks_to_rgb(inks: Pixels) -> Pixels:
    """Return the RGB of inks: R = (max - C) (max - K) / max, and likewise G of M and B of Y.

    Args:
        inks: Cyan, magenta, yellow and black, (4, H, W) unsigned; 0 is no ink.

    Returns:
        (H, W, 3) of the same type, rounded.
    """
    top = float(np.iinfo(inks.dtype).max)
    light = top - inks[3].astype(np.float32)
    rgb = np.empty((*inks.shape[1:], 3), inks.dtype)
    for k in range(3):
        rgb[..., k] = np.rint((top - inks[k].astype(np.float32)) * (light / top))
    return rgb


def palette_to_rgb(
    indices: NDArray[np.uint8], palette: Mapping[int, tuple[int, int, int, int]]
) -> tuple[Pixels, Pixels | None]:
    """Return the colours that indices stand for.

    Args:
        indices: (H, W) uint8.
        palette: Red, green, blue and opacity of each index, 0 to 255; black where one is missing.

    Returns:
        (H, W, 3) uint8, and opacity (H, W) unless all entries are opaque.
    """
    table = np.zeros((256, 4), np.uint8)
    table[:, 3] = 255
    for index, entry in palette.items():
        if 0 <= index < 256:
            table[index] = entry
    rgb = np.ascontiguousarray(table[indices][..., :3])
    opaque = bool((table[:, 3] == 255).all())
    return rgb, None if opaque else table[:, 3][indices]


def without_premultiplication(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Return colours that were stored multiplied by their opacity as they were before.

    Args:
        pixels: (H, W) or (H, W, 3), unsigned.
        alpha: (H, W) of the same type.

    Returns:
        The same shape and type; black where nothing is left of a colour.
    """
    top = np.iinfo(pixels.dtype).max
    opacity: NDArray[Any] = np.maximum(alpha, 1).astype(np.float64)
    opacity = opacity if pixels.ndim == 2 else opacity[..., None]
    straight: Pixels = np.clip(np.rint(pixels * (top / opacity)), 0, top).astype(pixels.dtype)
    return np.where(alpha > 0 if pixels.ndim == 2 else alpha[..., None] > 0, straight, 0).astype(
        pixels.dtype
    )


def can_hold(dtype: str | np.dtype[Any], value: float) -> bool:
    """Tell whether pixels of a type may have a value, so that it can mean no data."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return not math.isfinite(value) or abs(value) <= float(np.finfo(kind).max)
    limits = np.iinfo(kind)
    return math.isfinite(value) and limits.min <= value <= limits.max and value.is_integer()


def check_nodata(value: float | None, *types: str) -> None:
    """Raise DecodeError where neither of a pair's types can hold the value that means no data."""
    if value is not None and not any(can_hold(dtype, value) for dtype in types):
        raise DecodeError(
            f"nodata is set to {value:g}, which pixels of type {' and '.join(types)} can't have; "
            "expected a value of theirs. Correct the setting"
        )
