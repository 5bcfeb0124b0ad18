"""PNG and TIFF files written byte by byte, independent of the libraries that read them."""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
ADAM7 = (*_ADAM7, (0, 1, 1, 2))  # first column, first row, step across, step down
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def png_chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def png_header(width: int, height: int, bits: int, colour_type: int, interlaced: bool) -> bytes:
    ihdr = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", ihdr)


def raw_png(pixels: NDArray[Any], interlaced: bool = False) -> bytes:
    """Return a PNG of (H, W) or (H, W, C) uint8 or uint16; the last of 2 or 4 bands is alpha."""
    bands = np.atleast_3d(pixels)
    height, width, count = bands.shape
    wide = bands.astype(f">u{bands.dtype.itemsize}")
    passes = [wide[y::down, x::across] for x, y, across, down in ADAM7] if interlaced else [wide]
    lines = [b"\0" + line.tobytes() for part in passes if part.size for line in part]
    body = zlib.compress(b"".join(lines))
    header = png_header(width, height, 8 * wide.itemsize, COLOUR_TYPES[count], interlaced)
    return header + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def raw_tiff(pixels: NDArray[Any], order: str = "<", orientation: int = 1) -> bytes:
    """Return an uncompressed TIFF of (H, W) or (H, W, C), of the array's own type."""
    bands = np.atleast_3d(pixels)
    height, width, count = bands.shape
    body = bands.astype(bands.dtype.newbyteorder(order)).tobytes()
    bits = [8 * bands.dtype.itemsize] * count
    kind = {"u": 1, "i": 2, "f": 3}[bands.dtype.kind]
    shorts = {
        258: bits,
        259: [1],
        262: [2 if count >= 3 else 1],
        274: [orientation],
        277: [count],
        338: [2],
        339: [kind] * count,
    }
    if count in (1, 3):
        del shorts[338]
    longs = {256: [width], 257: [height], 273: [8], 278: [height], 279: [len(body)]}
    tags = {tag: ("H", 3, values) for tag, values in shorts.items()}
    tags |= {tag: ("I", 4, values) for tag, values in longs.items()}
    start = 8 + len(body) + len(body) % 2
    behind = start + 2 + 12 * len(tags) + 4
    entries, extra = b"", b""
    for tag, (letter, number, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > 4:
            value = struct.pack(f"{order}I", behind + len(extra))
            extra += packed
        else:
            value = packed.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, number, len(values)) + value
    directory = struct.pack(f"{order}H", len(tags)) + entries + b"\0\0\0\0" + extra
    magic = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", start)
    return magic + body + b"\0" * (len(body) % 2) + directory
