"""Files that mutation found, each kept by what is needed to make it again."""

from __future__ import annotations

from collections.abc import Iterator

from declared_writers import jp2
from hostile_case import IR, Fused, Hostile, patched, refused
from hostile_jpeg import with_segment
from hostile_tiff import gdal_tiff

_EXIF = b"Exif\0\0"


def findings() -> Iterator[Hostile]:
    """All cases of this module."""
    yield Hostile(
        "found-exif-of-no-magic",
        "a whole picture with metadata that GDAL stumbles over",
        lambda: with_segment(0xE1, _EXIF + b"\xff\xff\x2a\0\x08\0\0\0\0\0"),
        Fused(),
        ".tif",
    )
    yield Hostile(
        "found-tiff-of-65535-bands-as-a-photograph",
        "all bands were read before they were counted, for minutes",
        _many_bands,
        refused("its 65535 bands"),
    )
    yield Hostile(
        "found-jp2-whose-boxes-never-end",
        "GDAL looked for ever for the interleaving, beside a box of no length",
        _endless_boxes,
        Fused(),
        ".jp2",
    )


def _endless_boxes() -> bytes:
    body = jp2(IR[None].astype("int16"), placed=True, colour=17)
    return patched(body, body.index(b"colr") - 4, ">I4s", 0, b"\x01olr")


def _many_bands() -> bytes:
    body = gdal_tiff(IR[None], photometric="minisblack")
    tag = body.index(b"\x15\x01\x03\x00\x01\x00\x00\x00")  # samples per pixel
    return patched(body, tag + 8, "<H", 65535)
