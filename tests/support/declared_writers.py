"""Writers of files that declare what the table asks for: PNG, JPEG, WebP, JPEG 2000."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from declared import Values
from PIL import Image
from rasterio.io import MemoryFile
from raw_images import png_chunk, png_header
from raw_pages import packed_rows
from raw_tags import SHORT, UTM_KEYS, geo_tags, grey_tags, tiff_of_tags

_GEO_JP2 = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")
GREY, PALETTE, GREY_ALPHA, RGB, RGB_ALPHA = 0, 3, 4, 2, 6
"""Colour types of PNG."""

OPACITY, PREMULTIPLIED, UNSPECIFIED = 1, 2, 65535
"""Types of a JPEG 2000 channel that holds no colour."""


def exif(orientation: int) -> bytes:
    """Return EXIF data, without the six bytes that JPEG files put before it."""
    return tiff_of_tags({274: (SHORT, [orientation])})


def png(
    samples: Values,
    colour_type: int,
    bits: int = 8,
    chunks: Sequence[tuple[bytes, bytes]] = (),
    behind: Sequence[tuple[bytes, bytes]] = (),
) -> bytes:
    """Return a PNG of samples (C, H, W), with chunks before and behind its pixels."""
    count, height, width = samples.shape
    rows = samples.transpose(1, 2, 0).reshape(height, width * count)
    body = b"".join(b"\0" + row for row in packed_rows(rows, bits))
    parts = [png_chunk(*chunk) for chunk in chunks]
    parts.append(png_chunk(b"IDAT", zlib.compress(body)))
    parts += [png_chunk(*chunk) for chunk in behind]
    head = png_header(width, height, bits, colour_type, False)
    return head + b"".join(parts) + png_chunk(b"IEND", b"")


def icc_chunk(profile: bytes) -> tuple[bytes, bytes]:
    """Return the chunk that holds a colour profile."""
    return b"iCCP", b"profile\0\0" + zlib.compress(profile)


def jpeg(samples: Values, mode: str = "", **options: Any) -> bytes:
    """Return a JPEG of samples (C, H, W), as near to them as 8-bit JPEG gets."""
    return _pillow(samples, mode, "JPEG", quality=100, subsampling=0, **options)


def webp(samples: Values, **options: Any) -> bytes:
    """Return a lossless WebP of samples (C, H, W), with transparent pixels' colours kept."""
    bands = samples.repeat(3, 0) if len(samples) == 1 else samples
    return _pillow(bands, "", "WEBP", lossless=True, exact=True, **options)


def _pillow(samples: Values, mode: str, kind: str, **options: Any) -> bytes:
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    planes = [Image.fromarray(np.ascontiguousarray(band)) for band in samples]
    image = planes[0] if len(planes) == 1 else Image.merge(mode or modes[len(planes)], planes)
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def without_adobe(body: bytes) -> bytes:
    """Return a JPEG without the segment that says whose conventions it follows."""
    start = body.index(b"\xff\xee")
    length = struct.unpack(">H", body[start + 2 : start + 4])[0]
    return body[:start] + body[start + 2 + length :]


def with_adobe_transform(body: bytes, transform: int) -> bytes:
    """Return a JPEG whose Adobe segment names another transform: 0 none, 2 YCCK."""
    at = body.index(b"Adobe") + 11
    return body[:at] + bytes([transform]) + body[at + 1 :]


def codestream(samples: Values, bits: int | None = None) -> bytes:
    """Return a JPEG 2000 codestream of samples (C, H, W), lossless."""
    count, height, width = samples.shape
    depth = {} if bits is None else {"NBITS": bits}
    with MemoryFile() as memory:
        with memory.open(
            driver="JP2OpenJPEG",
            height=height,
            width=width,
            count=count,
            dtype=samples.dtype,
            CODEC="J2K",
            REVERSIBLE="YES",
            QUALITY="100",
            YCC="NO",
            **depth,
        ) as target:
            target.write(samples)
        return bytes(memory.read())


def jp2(
    samples: Values,
    *,
    placed: bool,
    bits: int | None = None,
    colour: int | bytes | None = None,
    extra: int | None = None,
    palette: Values | None = None,
) -> bytes:
    """Return a JPEG 2000 file of samples (C, H, W).

    Args:
        samples: Its channels, or indices where there is a palette.
        placed: Whether it has a place on Earth.
        bits: Bits of a sample; those of their type unless given.
        colour: Number of its colour space, or a profile; sRGB or grey unless given.
        extra: What the last channel is, if it holds no colour.
        palette: Entries (N, 3) of indices, uint8.
    """
    count, height, width = samples.shape
    depth = (bits or 8 * samples.dtype.itemsize) - 1 | (samples.dtype.kind == "i") << 7
    image = struct.pack(">IIHBBBB", height, width, count, depth, 7, 0, 0)
    colours = 3 if palette is not None else count - (extra is not None)
    space = colour if colour is not None else {1: 17, 3: 16}[colours]
    how = b"\2\0\0" + space if isinstance(space, bytes) else struct.pack(">BBBI", 1, 0, 0, space)
    header = _box(b"ihdr", image) + _box(b"colr", how)
    if palette is not None:
        entries = struct.pack(">HB3B", len(palette), 3, 7, 7, 7) + palette.astype("u1").tobytes()
        header += _box(b"pclr", entries)
        header += _box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, k) for k in range(3)))
    if extra is not None:
        rows = [(k, 0, k + 1) for k in range(colours)] + [
            (colours, extra, 65535 if extra == UNSPECIFIED else 0)
        ]
        body = b"".join(struct.pack(">HHH", *row) for row in rows)
        header += _box(b"cdef", struct.pack(">H", len(rows)) + body)
    boxes = _box(b"jP  ", b"\r\n\x87\n") + _box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    boxes += _box(b"jp2h", header)
    if placed:
        place = tiff_of_tags({**grey_tags(1, 1, 8), **geo_tags(UTM_KEYS)}, b"\0")
        boxes += _box(b"uuid", _GEO_JP2 + place)
    return boxes + _box(b"jp2c", codestream(samples, bits))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def grey_profile() -> bytes:
    """Return the smallest colour profile of grey: its white point, a gamma of 2.2, its names."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 8, 28)
    text += "grey".encode("utf-16-be")
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, int(2.2 * 256)) + b"\0\0"
    parts = ((b"desc", text), (b"cprt", text), (b"wtpt", white), (b"kTRC", curve))
    at = 128 + 4 + 12 * len(parts)
    table, bodies = struct.pack(">I", len(parts)), b""
    for name, body in parts:
        table += struct.pack(">4sII", name, at + len(bodies), len(body))
        bodies += body
    head = struct.pack(
        ">I4sI4s4s4s", at + len(bodies), b"\0" * 4, 0x04200000, b"mntr", b"GRAY", b"XYZ "
    )
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28
    head += struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + bodies
