"""EXIF data as a camera writes them, byte by byte, photographs that hold them, and what is kept."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from declared_writers import grey_profile
from numpy.typing import NDArray
from PIL import Image, ImageCms
from raw_pages import LONG8, UNDEFINED, Page, tiff_of_pages
from raw_tags import ASCII, LONG, SHORT, Tag

EXIF, GPS = 34665, 34853
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = grey_profile()
TAKEN, MAKER_NOTE, WIDTH = 36867, 37500, 40962
RATIONAL = 5
BASE = {
    270: "a street",
    271: "Maker",
    272: "Model",
    305: "Firmware 1",
    306: "2026:07:19 10:11:12",
    315: "Someone",
    33432: "(c) Someone",
}


def text(value: str) -> Tag:
    return ASCII, value.encode() + b"\0"


def rationals(order: str, *parts: tuple[int, int]) -> bytes:
    return b"".join(struct.pack(f"{order}II", *part) for part in parts)


def exif_data(order: str = "<", *, big: bool = False, orientation: int = 1, **tags: Tag) -> bytes:
    """Return EXIF data as a TIFF structure, written byte by byte, with base tags in ``t271`` form.

    Camera and time in the base directory; exposure, a maker's note and the width in that of EXIF;
    35° 1' 2.5" N, 12.5 m in that of GPS.
    """
    word, entry = ("Q", 20) if big else ("I", 12)
    nested = {
        EXIF: [
            (33434, RATIONAL, 1, rationals(order, (1, 200))),
            (36864, UNDEFINED, 4, b"0232"),
            (TAKEN, ASCII, 20, b"2026:07:19 10:11:13\0"),
            (MAKER_NOTE, UNDEFINED, 12, b"secret\0\1\2\3\4\5"),
            (WIDTH, LONG, 1, struct.pack(f"{order}I", 4321)),
        ],
        GPS: [
            (0, 1, 4, b"\2\3\0\0"),
            (1, ASCII, 2, b"N\0"),
            (2, RATIONAL, 3, rationals(order, (35, 1), (1, 1), (5, 2))),
            (6, RATIONAL, 1, rationals(order, (25, 2))),
        ],
    }
    start = 16 if big else 8
    body, places = b"", {}
    for name, entries in nested.items():
        at = places[name] = start + len(body)
        inline = 8 if big else 4
        behind = at + (8 if big else 2) + entry * len(entries) + inline
        rows, data = b"", b""
        for tag, kind, count, value in entries:
            if len(value) > inline:
                place = struct.pack(f"{order}{word}", behind + len(data))
                data += value + b"\0" * (len(value) % 2)
                value = place
            rows += struct.pack(f"{order}HH{word}", tag, kind, count) + value.ljust(inline, b"\0")
        count = struct.pack(f"{order}{'Q' if big else 'H'}", len(entries))
        body += count + rows + b"\0" * inline + data
    pointer = LONG8 if big else LONG
    base: dict[int, Tag] = {
        **{tag: text(value) for tag, value in BASE.items()},
        274: (SHORT, [orientation]),
        EXIF: (pointer, [places[EXIF]]),
        GPS: (pointer, [places[GPS]]),
        **{int(name[1:]): tag for name, tag in tags.items()},
    }
    return tiff_of_pages([Page(base, [body])], order, big=big)


def photograph(kind: str, icc: bytes | None = None, mode: str = "RGB", **changes: Any) -> bytes:
    """Return a photograph of a camera: with EXIF data and a thumbnail, and perhaps a profile."""
    file = io.BytesIO()
    options = {} if icc is None else {"icc_profile": icc}
    image = Image.fromarray(pixels_of(np.uint8, 3)).convert(mode)
    image.save(file, format=kind, exif=b"Exif\0\0" + exif_data(**changes), **options)
    return file.getvalue()


def pixels_of(dtype: Any, channels: int, size: tuple[int, int] = (21, 33)) -> NDArray[Any]:
    rows, columns = np.mgrid[: size[0], : size[1]]
    bands = [rows * 9, columns * 6, 220 - rows * 3 - columns * 4][:channels]
    grey = (np.stack(bands, -1).clip(0, 255) * (np.iinfo(dtype).max // 255)).astype(dtype)
    return grey[..., 0] if channels == 1 else grey


def tiff_exif(body: bytes) -> Image.Exif:
    found = Image.Exif()
    found.load(body)
    return found


def assert_kept(exif: Image.Exif) -> None:
    """Compare EXIF data with those of ``exif_data``, less what is left out."""
    assert {tag: exif.get(tag) for tag in BASE} == BASE
    assert 274 not in exif or exif[274] == 1
    details, place = exif.get_ifd(EXIF), exif.get_ifd(GPS)
    assert set(details) == {33434, 36864, TAKEN}
    assert (details[33434], details[36864]) == (1 / 200, b"0232")
    assert details[TAKEN] == "2026:07:19 10:11:13"
    assert set(place) == {0, 1, 2, 6}
    assert (place[0], place[1], place[2]) == (b"\2\3\0\0", "N", (35, 1, 2.5))
    assert place[6] == 12.5
