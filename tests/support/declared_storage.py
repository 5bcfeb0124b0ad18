"""Files that declare how they are stored: order, layout, compression, pages, nodata, name."""

from __future__ import annotations

import io
import zlib

import declared_tiff as dt
import declared_writers as dw
import numpy as np
from declared import (
    JP2S,
    JPEG_TOLERANCE,
    PLACED,
    SUFFIXES,
    TIFFS,
    Cell,
    Declared,
    NotApplicable,
    Values,
    counts,
    fields,
    hole,
    meaning,
)
from PIL import Image
from raw_tags import LONG

PLANAR = ("RGB 8 bits", "RGB 16 bits", "RGB and straight alpha 8 bits")
PREDICTOR = ("2, uint16", "2, RGB uint16", "3, float32")
COMPRESSION = (
    "none",
    "LZW",
    "DEFLATE",
    "PACKBITS",
    "ZSTD",
    "LZMA",
    "LERC",
    "LERC_DEFLATE",
    "WEBP",
    "JPEG",
    "CCITTFAX4",
)
PAGES = ("second of full size", "overview", "mask", "smaller thumbnail")
NODATA = ("uint8", "uint16", "RGB uint8", "float32", "float32 NaN", "float32 NaN undeclared")
ORDER = ("little-endian", "big-endian")
LAYOUT = ("strips of 7 rows", "tiles of 16", "tiles of 64")
NAME = (".png", ".jpg", ".tif", ".dat")

_ONLY_TIFF = "a property of TIFF"


def planar(value: str, container: str) -> Cell:
    """A file that stores each band by itself."""
    if container not in TIFFS:
        return NotApplicable(_ONLY_TIFF)
    wide = value == "RGB 16 bits"
    bands = counts(65535 if wide else 255, 3, "u2" if wide else "u1")
    if "alpha" not in value:
        return Declared(
            dt.tiff(container, dt.page(bands, dt.RGB, planar=True)), meaning(bands, container)
        )
    alpha = np.where(hole(), 200, 0).astype("u1")
    samples = np.concatenate([bands, alpha[None]])
    stored = dt.page(samples, dt.RGB, extra=[dt.STRAIGHT], planar=True)
    return Declared(dt.tiff(container, stored), meaning(bands, container, opacity=alpha / 255))


def predictor(value: str, container: str) -> Cell:
    """A file that stores differences."""
    if container not in TIFFS:
        return NotApplicable(_ONLY_TIFF)
    number, kind = value.split(", ")
    samples = {
        "uint16": lambda: counts(65535, 1, "u2"),
        "RGB uint16": lambda: counts(65535, 3, "u2"),
        "float32": lambda: (280 + 40 * fields()[:1]).astype("f4"),
    }[kind]()
    options = {"photometric": "rgb"} if len(samples) == 3 else {}
    body = dt.by_gdal(container, samples, compress="deflate", predictor=int(number), **options)
    return Declared(body, meaning(samples, container))


def compression(value: str, container: str) -> Cell:
    """A compressed file."""
    if container not in TIFFS:
        return NotApplicable(_ONLY_TIFF)
    name = value.lower()
    options: dict[str, object] = {"compress": name} if name != "none" else {}
    samples, tolerance = counts(255, 1, "u1"), 0.0
    values = samples
    if name == "ccittfax4":
        samples = (fields()[:1] > 0.45).astype("u1")
        values = samples * np.uint8(255)
        options["nbits"] = 1
    elif name in ("webp", "jpeg"):
        values = samples = counts(255, 3, "u1")
        options |= {"photometric": "rgb", "interleave": "pixel"}
        options |= {"WEBP_LOSSLESS": "YES"} if name == "webp" else {"JPEG_QUALITY": 100}
        tolerance = 0.0 if name == "webp" else JPEG_TOLERANCE
    body = dt.by_gdal(container, samples, **options)
    return Declared(body, meaning(values, container, tolerance=tolerance))


def pages(value: str, container: str) -> Cell:
    """A file of several pages, of which the first is the image."""
    image = counts(255, 1, "u1")
    other = 255 - image[:, ::-1]
    if container not in TIFFS:
        return _pictures(value, container)
    first = dt.page(image, dt.BLACK_IS_ZERO)
    small = np.ascontiguousarray(other[:, ::2, ::2])
    further = {
        "second of full size": lambda: dt.page(other, dt.BLACK_IS_ZERO),
        "overview": lambda: dt.page(small, dt.BLACK_IS_ZERO, t254=(LONG, [dt.REDUCED])),
        "smaller thumbnail": lambda: dt.page(small, dt.BLACK_IS_ZERO),
        "mask": lambda: dt.page(
            hole()[None].astype("u1"), dt.MASK, bits=1, t254=(LONG, [dt.MASK_PAGE])
        ),
    }[value]()
    valid = hole() if value == "mask" else None
    means = meaning(image, container, valid=valid, scene=None if value == "mask" else False)
    return Declared(dt.tiff(container, first, further), means)


def _pictures(value: str, container: str) -> Cell:
    """A PNG, WebP or JPEG file of two pictures."""
    if value != "second of full size" or container in JP2S:
        return NotApplicable(f"{container} holds no such page")
    image = counts(255, 3, "u1")
    other = np.ascontiguousarray(255 - image[:, ::-1])
    if container == "png":
        return Declared(_animated_png(image, other), meaning(image, container))
    kinds = {"webp": ("WEBP", {"lossless": True}), "jpeg": ("MPO", {"quality": 100})}
    kind, options = kinds[container]
    first, second = (Image.fromarray(p.transpose(1, 2, 0).copy()) for p in (image, other))
    file = io.BytesIO()
    first.save(file, kind, save_all=True, append_images=[second], **options)
    tolerance = 2.5 * JPEG_TOLERANCE if container == "jpeg" else 0.0
    return Declared(file.getvalue(), meaning(image, container, tolerance=tolerance))


def _animated_png(first: Values, second: Values) -> bytes:
    height, width = first.shape[1:]
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    control = [n.to_bytes(4, "big") + size + bytes(8) + b"\0\1\0\x0a\0\0" for n in (0, 1)]
    lines = b"".join(b"\0" + row.tobytes() for row in second.transpose(1, 2, 0))
    data = (2).to_bytes(4, "big") + zlib.compress(lines)
    before = [(b"acTL", (2).to_bytes(4, "big") + bytes(4)), (b"fcTL", control[0])]
    return dw.png(first, dw.RGB, 8, before, [(b"fcTL", control[1]), (b"fdAT", data)])


def nodata(value: str, container: str) -> Cell:
    """A file with pixels that hold no data."""
    if container not in TIFFS:
        return NotApplicable("of these containers only TIFF names a value that means no data")
    kind, where = value.split()[-1], hole()
    if value.startswith("float32"):
        values = (280 + 40 * fields()[:1]).astype("f4")
        absent: float = np.nan if "NaN" in value else -9999.0
        text = "nan" if "NaN" in value else "-9999"
        values[:, ~where] = absent
    else:
        bands = 3 if value.startswith("RGB") else 1
        values = np.maximum(counts(255 if kind == "uint8" else 65535, bands, kind), 1)
        absent, text = 0, "0"
        values[:, ~where] = absent
        if bands == 3:
            values[1, 40:44, 5:9] = 0  # one band of three: still data
    tags = {} if value.endswith("undeclared") else {"t42113": dt.nodata_tag(text)}
    stored = dt.page(values, dt.RGB if len(values) == 3 else dt.BLACK_IS_ZERO, **tags)
    return Declared(dt.tiff(container, stored), meaning(values, container, valid=where, scene=True))


def order(value: str, container: str) -> Cell:
    """A file of 16-bit samples in either byte order."""
    if container not in TIFFS:
        return NotApplicable(f"{container} has one byte order")
    sign = "<" if value == "little-endian" else ">"
    samples = counts(65535, 1, "u2")
    stored = dt.page(samples, dt.BLACK_IS_ZERO, order=sign)
    return Declared(dt.tiff(container, stored, order=sign), meaning(samples, container))


def layout(value: str, container: str) -> Cell:
    """A file in strips or tiles."""
    if container not in TIFFS:
        return NotApplicable(_ONLY_TIFF)
    rows = 7 if value == "strips of 7 rows" else None
    tile = int(value.split()[-1]) if value.startswith("tiles") else None
    samples = counts(255, 3, "u1")
    stored = dt.page(samples, dt.RGB, rows=rows, tile=tile)
    return Declared(dt.tiff(container, stored), meaning(samples, container))


def name(value: str, container: str) -> Cell:
    """A file whose name says whatever it likes."""
    if value == SUFFIXES[container]:
        return NotApplicable("the name tells the truth")
    samples = counts(255, 3, "u1")
    made = {
        "png": lambda: dw.png(samples, dw.RGB),
        "jpeg": lambda: dw.jpeg(samples),
        "webp": lambda: dw.webp(samples),
    }
    if container in made:
        body = made[container]()
    elif container in JP2S:
        body = dw.jp2(samples, placed=container in PLACED)
    else:
        body = dt.tiff(container, dt.page(samples, dt.RGB))
    tolerance = JPEG_TOLERANCE if container == "jpeg" else 0.0
    return Declared(body, meaning(samples, container, tolerance=tolerance), value)
