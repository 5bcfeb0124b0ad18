"""Reads the few boxes of a JPEG 2000 file that tell what its channels are and GDAL passes over."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fusion_core.images.tiff_tags import Readable, seek

JPEG2000_MAGIC = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
"""What JPEG 2000 files and bare codestreams start with."""

_FILE = JPEG2000_MAGIC[0]
_MOST_BOXES, _LONGEST = 64, 4 << 20
_GREY, _COLOURS = 17, (16, 18)  # enumerated: grey; sRGB and sYCC, which is decoded to RGB
_OPACITY, _PREMULTIPLIED = 1, 2


@dataclass(frozen=True)
class Jp2Boxes:
    """What the header of a JPEG 2000 file tells of its channels.

    Attributes:
        space: Colour space: grey, RGB, or None where it is another one or isn't told.
        alpha: Whether a channel is opacity, and whether the others are multiplied by it.
        icc: ICC profile, or None.
    """

    space: Literal["grey", "rgb"] | None = None
    alpha: Literal["none", "straight", "premultiplied"] = "none"
    icc: bytes | None = None


def read_boxes(file: Readable) -> Jp2Boxes | None:
    """Read the header boxes of a JPEG 2000 file; None of a bare codestream, or where damaged."""
    file.seek(0)
    if file.read(len(_FILE)) != _FILE:
        return None
    try:
        header = next((body for name, body in _boxes_of(file) if name == b"jp2h"), None)
        found = {} if header is None else dict(reversed(list(_inside(header))))
        space, icc = _space(found.get(b"colr", b""))
        return Jp2Boxes(space, _alpha(found.get(b"cdef", b"")), icc)
    except (struct.error, IndexError):
        return None


def _space(colr: bytes) -> tuple[Literal["grey", "rgb"] | None, bytes | None]:
    if len(colr) < 3:
        return None, None
    if colr[0] == 1:
        number = struct.unpack_from(">I", colr, 3)[0]
        return ("grey" if number == _GREY else "rgb" if number in _COLOURS else None), None
    icc = colr[3:]
    kinds: dict[bytes, Literal["grey", "rgb"]] = {b"GRAY": "grey", b"RGB ": "rgb"}
    return kinds.get(icc[16:20]), icc


def _alpha(cdef: bytes) -> Literal["none", "straight", "premultiplied"]:
    count = struct.unpack_from(">H", cdef)[0] if cdef else 0
    kinds = [struct.unpack_from(">HHH", cdef, 2 + 6 * k)[1] for k in range(count)]
    if _PREMULTIPLIED in kinds:
        return "premultiplied"
    return "straight" if _OPACITY in kinds else "none"


def _boxes_of(file: Readable) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and body of a file's first boxes; of long ones no body."""
    at = 0
    for _ in range(_MOST_BOXES):
        seek(file, at)
        head = file.read(16)
        length, name = struct.unpack_from(">I4s", head)
        start = 8
        if length == 1:
            length, start = struct.unpack_from(">Q", head, 8)[0], 16
        if length < start:
            return
        seek(file, at + start)
        yield name, file.read(length - start) if length < _LONGEST and name == b"jp2h" else b""
        at += length


def _inside(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and body of the boxes in a box."""
    at = 0
    while at + 8 <= len(body):
        length, name = struct.unpack_from(">I4s", body, at)
        start = 8
        if length == 1:
            length, start = struct.unpack_from(">Q", body, at + 8)[0], 16
        if length < start:
            return
        yield name, body[at + start : at + length]
        at += length
