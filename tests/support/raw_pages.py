"""TIFF and BigTIFF files of several pages, in either byte order, written tag by tag."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from raw_tags import ASCII, DOUBLE, LONG, SHORT, Tag

BYTE, UNDEFINED, LONG8 = 1, 7, 16
_LETTERS = {BYTE: "B", ASCII: "B", SHORT: "H", LONG: "I", UNDEFINED: "B", DOUBLE: "d", LONG8: "Q"}
_STRIPS, _TILES = (273, 279), (324, 325)
_TILE_WIDTH = 322


@dataclass(frozen=True)
class Page:
    """A page of a TIFF file.

    Attributes:
        tags: All tags but those that say where the pixels are.
        segments: The bytes of its strips, or of its tiles where a tag gives their width.
    """

    tags: Mapping[int, Tag]
    segments: Sequence[bytes]


def tiff_of_pages(pages: Sequence[Page], order: str = "<", *, big: bool = False) -> bytes:
    """Return a file of pages, little-endian for ``<`` and big-endian for ``>``."""
    magic = {"<": b"II", ">": b"MM"}[order]
    word = "Q" if big else "I"
    head = struct.pack(f"{order}HHH", 43, 8, 0) if big else struct.pack(f"{order}H", 42)
    out = bytearray(magic + head)
    link = len(out)
    out += struct.pack(f"{order}{word}", 0)
    for page in pages:
        offsets = []
        for segment in page.segments:
            offsets.append(len(out))
            out += segment + b"\0" * (len(segment) % 2)
        where = _TILES if _TILE_WIDTH in page.tags else _STRIPS
        lengths = [len(segment) for segment in page.segments]
        placed = dict(zip(where, ((LONG, offsets), (LONG, lengths)), strict=True))
        struct.pack_into(f"{order}{word}", out, link, len(out))
        link = _add_directory(out, {**page.tags, **placed}, order, big)
    return bytes(out)


def _add_directory(out: bytearray, tags: Mapping[int, Tag], order: str, big: bool) -> int:
    """Append a directory and the values that it points to; return where its link lies."""
    word, width = ("Q", 8) if big else ("I", 4)
    entry_size = 20 if big else 12
    behind = len(out) + (8 if big else 2) + entry_size * len(tags) + width
    entries, extra = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{_LETTERS[kind]}", *values)
        if len(packed) > width:
            value = struct.pack(f"{order}{word}", behind + len(extra))
            extra += packed + b"\0" * (len(packed) % 2)
        else:
            value = packed.ljust(width, b"\0")
        entries += struct.pack(f"{order}HH{word}", tag, kind, len(values)) + value
    out += struct.pack(f"{order}{'Q' if big else 'H'}", len(tags)) + entries
    link = len(out)
    out += b"\0" * width + extra + b"\0" * (len(extra) % 2)
    return link


def packed_rows(samples: NDArray[np.unsignedinteger], bits: int) -> list[bytes]:
    """Pack rows (H, N) of samples of so many bits, the first bit the highest, each row padded."""
    wide = np.ascontiguousarray(samples.astype(">u2"))
    every = np.unpackbits(wide.view(np.uint8).reshape(*samples.shape, 2), axis=-1)
    lowest = every[..., 16 - bits :].reshape(samples.shape[0], -1)
    return [row.tobytes() for row in np.packbits(lowest, axis=1)]
