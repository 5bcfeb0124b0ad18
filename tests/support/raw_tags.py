"""TIFF files written tag by tag, whatever the tags say."""

import struct
from collections.abc import Mapping, Sequence

ASCII, SHORT, LONG, DOUBLE = 2, 3, 4, 12
_LETTERS = {ASCII: "B", SHORT: "H", LONG: "I", DOUBLE: "d"}

Tag = tuple[int, Sequence[float]]
"""Number of the type and the values."""

PIXEL_SCALE, TIE_POINT, GEO_KEYS, NODATA = 33550, 33922, 34735, 42113
PROJECTED, GEOGRAPHIC = 1, 2


def tiff_of_tags(tags: Mapping[int, Tag], body: bytes = b"") -> bytes:
    """Return a little-endian TIFF: header, ``body`` at byte 8, the directory, values of tags."""
    start = 8 + len(body) + len(body) % 2
    behind = start + 2 + 12 * len(tags) + 4
    entries, extra = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}{_LETTERS[kind]}", *values)
        if len(packed) > 4:
            value = struct.pack("<I", behind + len(extra))
            extra += packed
        else:
            value = packed.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, len(values)) + value
    header = b"II*\0" + struct.pack("<I", start) + body + b"\0" * (len(body) % 2)
    return header + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0" + extra


def grey_tags(width: int, height: int, bits: int = 16, **layout: Sequence[int]) -> dict[int, Tag]:
    """Return the tags of an uncompressed grey image of one strip that starts at byte 8."""
    size = width * height * bits // 8
    return {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [bits]),
        259: (SHORT, [1]),
        262: (SHORT, [1]),
        273: (LONG, layout.get("offsets", [8])),
        277: (SHORT, [1]),
        278: (LONG, layout.get("rows", [height])),
        279: (LONG, layout.get("counts", [size])),
    }


def geo_tags(keys: Sequence[Sequence[int]], pixel: float = 10.0) -> dict[int, Tag]:
    """Return tags of a place, and of GeoTIFF keys of four numbers each."""
    directory = [1, 1, 0, len(keys), *(number for key in keys for number in key)]
    return {
        PIXEL_SCALE: (DOUBLE, [pixel, pixel, 0.0]),
        TIE_POINT: (DOUBLE, [0.0, 0.0, 0.0, 399960.0, 4000020.0, 0.0]),
        GEO_KEYS: (SHORT, directory),
    }


UTM_KEYS = ((1024, 0, 1, PROJECTED), (1025, 0, 1, 1), (3072, 0, 1, 32654))
"""GeoTIFF keys of EPSG:32654."""


def utm_tiff(tags: Mapping[int, Tag], body: bytes) -> bytes:
    """Return a TIFF of tags, with those of a place in UTM zone 54."""
    return tiff_of_tags({**geo_tags(UTM_KEYS), **tags}, body)
