"""Writes PNG files: rows told by their differences, compressed by libdeflate.

It takes a fifth of the time of Pillow's encoder at level 1, for files a little smaller (measured on
fused photographs). Any reader of PNG decodes them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import deflate
import numpy as np
from numpy.typing import NDArray

from fusion_core.images.colour import Pixels

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""By the number of channels: grey, grey and alpha, RGB, RGB and alpha."""

_SUB, _UP = 1, 2
"""Filters that tell a byte by its difference from the pixel to the left, and from the row above.
The other two, Average and Paeth, gain 2 % and cost four times as much (measured)."""

_STRIP = 1 << 20  # bytes whose differences are taken at once


def encode_png(pixels: Pixels, level: int) -> bytes:
    """Encode pixels as a PNG file.

    Args:
        pixels: (H, W) grey, or (H, W, 2 to 4) grey or RGB, and alpha; uint8 or uint16.
        level: How much is spent on compression: 0, none at all, to 9.
    """
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    size = pixels.dtype.itemsize
    # Samples of 16 bits lie with the upper byte first.
    samples = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">"))
    rows = samples.reshape(height, -1).view(np.uint8)
    filtered = _filtered(rows, channels * size)
    header = struct.pack(">IIBBBBB", width, height, 8 * size, _COLOUR_TYPES[channels], 0, 0, 0)
    body = bytes(deflate.zlib_compress(filtered, level))
    return _SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file: length, name, data and checksum."""
    checksum = deflate.crc32(data, deflate.crc32(name))
    return b"".join((struct.pack(">I", len(data)), name, data, struct.pack(">I", checksum)))


def _filtered(rows: NDArray[np.uint8], pixel: int) -> NDArray[np.uint8]:
    """Return the rows as differences, behind the number of the filter that each has.

    Each row takes the filter whose differences are smaller in the sum, as the PNG specification
    proposes.

    Args:
        rows: Bytes of the image, (H, W).
        pixel: Bytes of one pixel.
    """
    height, width = rows.shape
    filtered = np.empty((height, width + 1), np.uint8)
    for strip in _strips(height, width):
        part, out = rows[strip], filtered[strip]
        above = np.zeros_like(part)
        above[1:] = part[:-1]
        if strip.start:
            above[0] = rows[strip.start - 1]
        left = part.copy()
        left[:, pixel:] -= part[:, :-pixel]
        up = np.subtract(part, above, out=above)
        by_up = _sizes(up) < _sizes(left)
        out[:, 0] = np.where(by_up, _UP, _SUB)
        out[:, 1:] = left
        out[by_up, 1:] = up[by_up]
    return filtered


def _sizes(differences: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the sum of each row's differences without their signs."""
    sizes = np.abs(differences.view(np.int8)).view(np.uint8)  # -128 becomes 128
    total: NDArray[np.uint32] = sizes.sum(axis=1, dtype=np.uint32)
    return total


def _strips(height: int, width: int) -> Iterator[slice]:
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        yield slice(top, top + step)
