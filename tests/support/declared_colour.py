"""Files that declare colour: polarity, palette, CMYK, CIELab, YCbCr, a colour profile."""

from __future__ import annotations

import functools

import declared_tiff as dt
import declared_writers as dw
import numpy as np
from declared import (
    JP2S,
    JPEG_TOLERANCE,
    PLACED,
    TIFFS,
    Cell,
    Declared,
    NotApplicable,
    Values,
    as_stored,
    counts,
    fields,
    meaning,
    type_limits,
)
from declared_lab import lab_to_srgb
from PIL import ImageCms
from raw_tags import SHORT

POLARITY = (
    "black is zero, uint8",  # other types of it are rows of bits and of sample types
    *(
        f"white is zero, {kind}"
        for kind in ("1 bit", "uint8", "uint16", "int8", "int16", "float32")
    ),
)
PALETTE = ("256 entries", "16 entries, 4 bits", "grey entries", "transparent entries")
CMYK = ("8 bits", "16 bits", "inverted by Adobe", "YCCK by Adobe")
LAB = ("8 bits", "16 bits")
YCBCR = ("JPEG in TIFF", "JPEG in TIFF, subsampled", "uncompressed")
ICC = ("RGB", "grey")
ORIENTATION = tuple(f"{k}" for k in range(1, 9))
ORIENTATION_FLOAT = ("1", "3", "6")


def orientation(value: str, container: str) -> Cell:
    """A file whose rows are stored as an orientation tag says."""
    turn = int(value)
    upright = counts(255, 3, "u1")
    samples = as_stored(upright, turn)
    body = {
        "png": lambda: dw.png(samples, dw.RGB, chunks=[(b"eXIf", dw.exif(turn))]),
        "jpeg": lambda: dw.jpeg(samples, exif=b"Exif\0\0" + dw.exif(turn)),
        "webp": lambda: dw.webp(samples, exif=b"Exif\0\0" + dw.exif(turn)),
    }
    if container in JP2S:
        return NotApplicable("JPEG 2000 declares no orientation")
    tolerance = JPEG_TOLERANCE if container == "jpeg" else 0.0
    means = meaning(upright, container, tolerance=tolerance)
    if container in body:
        return Declared(body[container](), means)
    return Declared(dt.tiff(container, dt.page(samples, dt.RGB, t274=(SHORT, [turn]))), means)


def orientation_float(value: str, container: str) -> Cell:
    """A float32 file whose rows are stored as an orientation tag says."""
    if container not in TIFFS:
        return NotApplicable("of these containers only TIFF holds float32 and an orientation")
    turn = int(value)
    upright = (280 + 40 * fields()[:1]).astype("f4")
    stored = dt.page(as_stored(upright, turn), dt.BLACK_IS_ZERO, t274=(SHORT, [turn]))
    return Declared(dt.tiff(container, stored), meaning(upright, container))


def polarity(value: str, container: str) -> Cell:
    """A grey file in which zero is black or white."""
    zero, _, kind = value.partition(" is zero, ")
    if container not in TIFFS:
        return NotApplicable("of these containers only TIFF says whether zero is black or white")
    white = zero == "white"
    photometric = dt.WHITE_IS_ZERO if white else dt.BLACK_IS_ZERO
    if kind == "1 bit":
        bits = (fields()[:1] > 0.45).astype("u1")
        stored = dt.page(1 - bits if white else bits, photometric, bits=1)
        return Declared(dt.tiff(container, stored), meaning(bits * np.uint8(255), container))
    if kind == "float32":
        values = (280 + 40 * fields()[:1]).astype("f4")
        return Declared(
            dt.tiff(container, dt.page(values, photometric)), meaning(values, container)
        )
    low, high = type_limits(np.dtype(kind))
    values = np.rint(low + fields()[:1] * (high - low)).astype(kind)
    samples = (high + low - values).astype(kind) if white else values
    return Declared(dt.tiff(container, dt.page(samples, photometric)), meaning(values, container))


def palette(value: str, container: str) -> Cell:
    """A file of indices into a table of colours."""
    if container in ("jpeg", "webp"):
        return NotApplicable(f"{container} holds no palette")
    bits = 4 if value.endswith("4 bits") else 8
    number = 1 << bits
    k = np.arange(number)
    entries = np.stack([k * 97 % 256, k * 151 % 256, 255 - k * 59 % 256], 1).astype("u1")
    if value.startswith("grey"):
        entries = np.stack([255 - k] * 3, 1).astype("u1")
    indices = np.rint(fields()[:1] * (number - 1)).astype("u1")
    expanded = entries[indices[0]].transpose(2, 0, 1)
    if value.startswith("transparent"):
        return _transparent_palette(container, entries)
    means = meaning(expanded, container)
    if container == "png":
        body = dw.png(indices, dw.PALETTE, bits, [(b"PLTE", entries.tobytes())])
    elif container in JP2S:
        if bits == 4:
            return NotApplicable("the writer at hand makes no 4-bit codestream with a palette")
        body = dw.jp2(indices, placed=container in PLACED, palette=entries)
    else:
        tag = dt.colour_map(entries, bits)
        body = dt.tiff(container, dt.page(indices, dt.PALETTE, bits=bits, t320=tag))
    return Declared(body, means)


def _transparent_palette(container: str, entries: Values) -> Cell:
    if container != "png":
        return NotApplicable("of these containers only a PNG's palette declares opacity")
    k = np.arange(256)
    alphas = np.where(k < 40, 0, 128 + k // 2).astype("u1")
    indices = np.rint(fields()[:1] * 255).astype("u1")
    chunks = [(b"PLTE", entries.tobytes()), (b"tRNS", alphas.tobytes())]
    expanded = entries[indices[0]].transpose(2, 0, 1)
    means = meaning(expanded, container, opacity=alphas[indices[0]] / 255)
    return Declared(dw.png(indices, dw.PALETTE, chunks=chunks), means)


def cmyk(value: str, container: str) -> Cell:
    """A file of four inks."""
    if container in ("png", "webp", *JP2S):
        return NotApplicable(f"{container} holds no CMYK")
    dtype, top = ("u2", 65535) if value.startswith("16") else ("u1", 255)
    inks = np.rint(fields() * np.array([0.9, 0.8, 0.7, 0.4])[:, None, None] * top).astype(dtype)
    wide = inks.astype(np.float64)
    rgb = np.rint((top - wide[:3]) * (top - wide[3]) / top).astype(dtype)
    if container in TIFFS:
        if "Adobe" in value:
            return NotApplicable("Adobe's inversion is one of JPEG files")
        body = dt.tiff(container, dt.page(inks, dt.CMYK, **dt.ink_names()))
        return Declared(body, meaning(rgb, container, tolerance=1 / top))
    if dtype == "u2":
        return NotApplicable("JPEG holds 8 bits")
    return Declared(
        _cmyk_jpeg(value, inks), meaning(rgb, container, tolerance=1.5 * JPEG_TOLERANCE)
    )


def _cmyk_jpeg(value: str, inks: Values) -> bytes:
    """Return a JPEG of inks; the writer inverts what it is given, as Adobe does."""
    if value == "inverted by Adobe":
        return dw.jpeg(inks, "CMYK")
    if value == "8 bits":
        return dw.without_adobe(dw.jpeg(255 - inks, "CMYK"))
    c, m, y = inks[:3].astype(np.float64)
    luma = 0.299 * c + 0.587 * m + 0.114 * y
    ycc = np.rint([luma, 128 + 0.564334 * (y - luma), 128 + 0.713267 * (c - luma)])
    stored = np.concatenate([np.clip(ycc, 0, 255), 255.0 - inks[3:]]).astype("u1")
    return dw.with_adobe_transform(dw.jpeg(255 - stored, "CMYK"), 2)


def lab(value: str, container: str) -> Cell:
    """A file of lightness and two opponent colours."""
    if container not in TIFFS:
        return NotApplicable("of these containers only TIFF holds CIELab")
    wide = value.startswith("16")
    f = fields()
    signed = np.rint([(f[0] - 0.5) * 30, (f[1] - 0.5) * 30])  # all inside sRGB
    lightness = 30 + 55 * f[2]
    step = 256 if wide else 1
    planes = [np.rint(lightness / 100 * (65535 if wide else 255)), *(signed * step)]
    samples = np.stack([p.astype("i4").astype("u2" if wide else "u1") for p in planes])
    stored = np.rint(lightness / 100 * 255) / 255 * 100 if not wide else lightness
    rgb = lab_to_srgb(np.stack([stored, *signed]))
    top = 65535 if wide else 255
    values = np.rint(rgb * top).astype("u2" if wide else "u1")
    body = dt.tiff(container, dt.page(samples, dt.CIELAB))
    return Declared(body, meaning(values, container, tolerance=3 / 255))


def ycbcr(value: str, container: str) -> Cell:
    """A TIFF file of luma and colour differences."""
    if container not in TIFFS:
        return NotApplicable("a property of TIFF; JPEG files are YCbCr in every other row")
    rgb = counts(255, 3, "u1")
    if value.startswith("JPEG"):
        jpeg = {"compress": "jpeg", "photometric": "ycbcr", "JPEG_QUALITY": 100}
        # GDAL halves the colour of all such files; quality 100 keeps the rest.
        body = dt.by_gdal(container, rgb, **jpeg)
        if not value.endswith("subsampled"):
            return _ycbcr_whole(container, rgb)
        return Declared(body, meaning(rgb, container, tolerance=2 * JPEG_TOLERANCE))
    r, g, b = rgb.astype(np.float64)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    ycc = np.rint([luma, 128 + 0.564334 * (b - luma), 128 + 0.713267 * (r - luma)])
    samples = np.clip(ycc, 0, 255).astype("u1")
    tags = {"t530": (SHORT, [1, 1]), "t531": (SHORT, [1])}
    body = dt.tiff(container, dt.page(samples, dt.YCBCR, **tags))
    return Declared(body, meaning(rgb, container, tolerance=2 / 255))


def _ycbcr_whole(container: str, rgb: Values) -> Cell:
    """A strip that is a whole JPEG file, with its colour at full resolution."""
    stored = dt.page(rgb, dt.YCBCR, t530=(SHORT, [1, 1]), t531=(SHORT, [1]))
    tags = {**stored.tags, 259: (SHORT, [7])}
    whole = dt.Page(tags, [dw.jpeg(rgb)])
    return Declared(dt.tiff(container, whole), meaning(rgb, container, tolerance=JPEG_TOLERANCE))


@functools.cache
def profile() -> bytes:
    """Return a colour profile."""
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def icc(value: str, container: str) -> Cell:
    """A file with a colour profile."""
    bands = 3 if value == "RGB" else 1
    if container == "webp" and bands == 1:
        return NotApplicable("WebP holds no grey")
    samples = counts(255, bands, "u1")
    made = profile() if bands == 3 else dw.grey_profile()
    tolerance = JPEG_TOLERANCE if container == "jpeg" else 0.0
    means = meaning(samples, container, icc=made, tolerance=tolerance)
    kind = dw.RGB if bands == 3 else dw.GREY
    if container == "png":
        return Declared(dw.png(samples, kind, chunks=[dw.icc_chunk(made)]), means)
    if container in ("jpeg", "webp"):
        write = dw.jpeg if container == "jpeg" else dw.webp
        return Declared(write(samples, icc_profile=made), means)
    if container in JP2S:
        return Declared(dw.jp2(samples, placed=container in PLACED, colour=made), means)
    photometric = dt.RGB if bands == 3 else dt.BLACK_IS_ZERO
    stored = dt.page(samples, photometric, t34675=dt.icc_tag(made))
    return Declared(dt.tiff(container, stored), means)
