"""Files that declare what their samples are: opacity, further bands, depth, type."""

from __future__ import annotations

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
    counts,
    fields,
    hole,
    meaning,
    opacity,
)

ALPHA = tuple(
    f"{colour} of {bits} bits, {kind}"
    for colour in ("grey", "RGB")
    for bits in (8, 16)
    for kind in ("straight", "associated", "one transparent colour")
)
EXTRA = tuple(f"{base} and one more, {bits} bits" for base in ("RGB", "grey") for bits in (8, 16))
DEPTH = ("1", "2", "4", "8", "10", "12", "16", "16, little of it used")
TYPE = ("int8", "int16", "uint32", "int32", "float32", "float64")


def alpha(value: str, container: str) -> Cell:
    """A file with opacity beside its colour."""
    colour, bits, kind = _parts(value)
    dtype, top = ("u1", 255) if bits == 8 else ("u2", 65535)
    bands = counts(top, 3 if colour == "RGB" else 1, dtype)
    if container == "jpeg":
        return NotApplicable("JPEG holds no opacity")
    if kind == "one transparent colour":
        return _transparent_colour(container, bands, bits)
    if container == "webp" and (bits == 16 or colour == "grey"):
        return NotApplicable("WebP holds RGB of 8 bits")
    if kind == "associated" and container in ("png", "webp"):
        return NotApplicable(f"the opacity of {container} is straight")
    share = opacity(top)
    straight, stored = bands, bands
    if kind == "associated":
        stored = np.rint(bands * share).astype(dtype)
        whole = np.divide(stored, share, out=np.zeros(bands.shape), where=share > 0)
        straight = np.minimum(np.rint(whole), top).astype(dtype)
    samples = np.concatenate([stored, np.rint(share * top).astype(dtype)[None]])
    tolerance = 1 / top if kind == "associated" else 0.0
    means = meaning(straight, container, opacity=share, tolerance=tolerance)
    return Declared(_with_alpha(container, samples, bits, kind), means)


def _parts(value: str) -> tuple[str, int, str]:
    colour, rest = value.split(" of ")
    bits, kind = rest.split(" bits, ")
    return colour, int(bits), kind


def _with_alpha(container: str, samples: Values, bits: int, kind: str) -> bytes:
    grey = len(samples) == 2
    if container == "png":
        return dw.png(samples, dw.GREY_ALPHA if grey else dw.RGB_ALPHA, bits)
    if container == "webp":
        return dw.webp(samples)
    if container in JP2S:
        extra = dw.PREMULTIPLIED if kind == "associated" else dw.OPACITY
        return dw.jp2(samples, placed=container in PLACED, extra=extra)
    extra = dt.ASSOCIATED if kind == "associated" else dt.STRAIGHT
    photometric = dt.BLACK_IS_ZERO if grey else dt.RGB
    return dt.tiff(container, dt.page(samples, photometric, extra=[extra]))


def _transparent_colour(container: str, bands: Values, bits: int) -> Cell:
    if container != "png":
        return NotApplicable("of these containers only PNG names a transparent colour")
    absent = ~hole()
    colour = np.array([7, 201, 90])[: len(bands)] * (257 if bits == 16 else 1)
    bands = np.where(absent, colour[:, None, None], bands).astype(bands.dtype)
    named = (bands == colour[:, None, None]).all(axis=0)
    body = colour.astype(">u2").tobytes()
    kind = dw.RGB if len(bands) == 3 else dw.GREY
    means = meaning(bands, container, opacity=np.where(named, 0.0, 1.0))
    return Declared(dw.png(bands, kind, bits, [(b"tRNS", body)]), means)


def extra(value: str, container: str) -> Cell:
    """A file with a band beside its colour that is no opacity."""
    dtype, top = ("u2", 65535) if value.endswith("16 bits") else ("u1", 255)
    colours = 3 if value.startswith("RGB") else 1
    if container not in (*TIFFS, *JP2S):
        return NotApplicable(f"a further band of {container} is opacity")
    samples = counts(top, colours + 1, dtype)
    means = meaning(samples, container)
    if container in JP2S:
        body = dw.jp2(samples, placed=container in PLACED, extra=dw.UNSPECIFIED)
    else:
        photometric = dt.RGB if colours == 3 else dt.BLACK_IS_ZERO
        body = dt.tiff(container, dt.page(samples, photometric, extra=[dt.UNSPECIFIED]))
    return Declared(body, means)


def depth(value: str, container: str) -> Cell:
    """A grey file of samples of so many bits."""
    bits = int(value.partition(",")[0])
    top = (1 << bits) - 1
    held = {"png": (1, 2, 4, 8, 16), "jpeg": (8,), "webp": (8,)}
    if bits not in held.get(container, (bits,)):
        return NotApplicable(f"{container} holds no grey of {bits} bits")
    dtype = "u1" if bits <= 8 else "u2"
    samples = counts(top, 1, dtype)
    narrow = value.endswith("used")
    if narrow:
        samples = 7000 + samples // 32
    values = samples if bits >= 8 else samples * np.uint8(255 // top)
    limits = (0.0, float(top)) if bits > 8 else None
    tolerance = JPEG_TOLERANCE if container == "jpeg" else 0.0
    if container == "webp":
        values = values.repeat(3, axis=0)
    means = meaning(values, container, limits=limits, tolerance=tolerance, narrow=narrow)
    if container == "png":
        return Declared(dw.png(samples, dw.GREY, bits), means)
    if container in ("jpeg", "webp"):
        return Declared((dw.jpeg if container == "jpeg" else dw.webp)(samples), means)
    if container in JP2S:
        return Declared(dw.jp2(samples, placed=container in PLACED, bits=bits), means)
    return Declared(dt.tiff(container, dt.page(samples, dt.BLACK_IS_ZERO, bits=bits)), means)


def sample_type(value: str, container: str) -> Cell:
    """A grey file of signed, wide or floating point samples."""
    if container in JP2S and value.startswith("float"):
        return NotApplicable("JPEG 2000 holds whole numbers")
    if container in JP2S and value != "int16":
        return NotApplicable("the writer at hand makes no such codestream")
    if container not in (*TIFFS, *JP2S):
        return NotApplicable(f"{container} holds unsigned samples of at most 16 bits")
    ranges = {
        "int8": (-128, 127),
        "int16": (-32768, 32767),
        "uint32": (1_000_000, 4_000_000_000),
        "int32": (-2_000_000_000, 2_000_000_000),
        "float32": (-40, 60),
        "float64": (250, 320),
    }
    low, high = ranges[value]
    values = low + fields()[:1] * (high - low)
    samples = (values if value.startswith("float") else np.rint(values)).astype(value)
    if container in JP2S:
        body = dw.jp2(samples, placed=container in PLACED)
    else:
        body = dt.tiff(container, dt.page(samples, dt.BLACK_IS_ZERO))
    return Declared(body, meaning(samples, container))
