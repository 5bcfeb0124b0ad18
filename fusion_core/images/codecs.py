"""Decodes and encodes image files, keeping 8 or 16 bits, grey or colour, and alpha."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from fusion_core.errors import DecodeError, EncodeError, PairError
from fusion_core.images.checks import check_cost, check_png, check_whole
from fusion_core.images.codecs_gdal import decode_raster, encode_tiff
from fusion_core.images.colour import Pixels
from fusion_core.images.jp2_boxes import JPEG2000_MAGIC
from fusion_core.images.metadata import exif_of, exif_of_tiff, into_png, metadata_of
from fusion_core.images.picture import Picture, check_size, upright
from fusion_core.images.png import encode_png
from fusion_core.images.tiff_tags import TIFF_MAGIC
from fusion_core.settings.fuse import ImageSettings

READABLE = ("PNG", "JPEG", "WEBP", "BMP")
EXTENSIONS = {"png": "png", "jpeg": "jpg", "webp": "webp", "tiff": "tif"}
LOSSLESS = ("png", "tiff")
"""Formats that ``decode`` gives back as they were encoded, pixel by pixel."""

# How large is too large is a setting here (check_size), not Pillow's.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_BY_GDAL = (*TIFF_MAGIC, *JPEG2000_MAGIC)
_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM", *_BY_GDAL)
_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.\w+[:,]? ?")
_ORIENTATION = 274  # of EXIF
_FLIR = b"FLIR\0\x01"  # the name of its segments, and their version
_APP1, _FILL, _STANDALONE, _END_OF_HEADER = 0xE1, 0xFF, (0x01, *range(0xD0, 0xD8)), (0xD9, 0xDA)
_JPEG_SEGMENT = 65533  # bytes that one holds, and all EXIF data are in one
_GREY = {"1", "L", "LA", "La"}
_COLOUR = {"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}


def decode(body: bytes, max_megapixels: float = 178.0) -> Picture:
    """Decode an image file.

    Args:
        body: The file's bytes: PNG, JPEG, WebP, TIFF, JPEG 2000 or BMP.
        max_megapixels: Larger images are refused by their header, before any pixel is decoded.

    Raises:
        DecodeError: It is no such file, is damaged, too large or animated, or has a type (float,
            32 bits) that isn't fused.
    """
    if not body:
        raise DecodeError("the file is empty (0 bytes); expected an image. Upload it again")
    try:
        if body.startswith(_BY_GDAL):
            picture = decode_raster(body, max_megapixels)
            metadata = replace(picture.metadata, exif=exif_of_tiff(body))
            return replace(picture, metadata=metadata)
        with Image.open(io.BytesIO(body), formats=READABLE) as image:
            check_size(image.width, image.height, max_megapixels)
            if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
                raise DecodeError("the image is animated; expected a single picture")
            check_cost(image, body)
            if image.mode == "CMYK" and "adobe" not in image.info:
                raise DecodeError(
                    "the image is a CMYK JPEG that doesn't say, as Adobe's marker does, "
                    "which end is ink; expected that marker. Convert it to RGB"
                )
            orientation = exif_of(image).get(_ORIENTATION, 1)
            if _is_deep_colour(image, body):
                check_png(body)
                picture = decode_raster(body, max_megapixels, orientation)
            else:
                image.load()
                check_whole(image, body)
                picture = upright(_from_pillow(image), orientation)
            return replace(picture, metadata=metadata_of(image), remark=_remark(body))
    except DecodeError:
        raise
    except UnidentifiedImageError as error:
        if body.startswith(_BEGINNINGS):
            raise DecodeError(
                f"the image is damaged: it starts as an image does, with {body[:8]!r}, and its "
                "header can't be read. Expected a whole file; upload it again"
            ) from error
        raise DecodeError(
            f"the file is no image: it starts with {body[:8]!r}; expected PNG, JPEG, WebP, TIFF, "
            "JPEG 2000 or BMP. Check what was uploaded under this name"
        ) from error
    except Image.DecompressionBombError as error:
        raise DecodeError(
            f"the image is too large to decode: {str(error).rstrip('.')}. Cut it into tiles"
        ) from error
    except Exception as error:  # codecs raise many types on damaged bytes; each damns only its file
        raise DecodeError(
            f"the image is damaged: {_reason(error)}. Expected a whole file; upload it again"
        ) from error


def decode_listed(path: str, body: bytes, max_megapixels: float) -> Picture:
    """Decode an image file as ``decode`` does, with its path in errors.

    Raises:
        PairError: The file can't be decoded.
    """
    try:
        return decode(body, max_megapixels)
    except PairError as error:
        raise type(error)(f"{path}: {error}") from error


def encode(picture: Picture, settings: ImageSettings) -> bytes:
    """Encode an image in the format that the settings name.

    Raises:
        EncodeError: The format can't hold the image's depth, alpha or size.
    """
    kind = settings.format
    if kind in ("jpeg", "webp") and picture.bit_depth == 16:
        raise EncodeError(f"{kind} holds 8 bits and the image has 16; choose format png or tiff")
    if kind == "jpeg" and picture.alpha is not None:
        raise EncodeError("jpeg holds no alpha and the image has some; choose png, webp or tiff")
    if kind == "tiff":
        return encode_tiff(picture, settings)
    if kind == "png":
        return into_png(encode_png(_samples(picture), settings.png_level), picture.metadata)
    choices: dict[str, dict[str, Any]] = {
        "jpeg": {
            "quality": settings.quality,
            "subsampling": 0,
            **picture.metadata.options(_JPEG_SEGMENT),
        },
        "webp": {"quality": settings.quality, **picture.metadata.options()},
    }
    if kind == "webp" and picture.pixels.ndim == 2:
        choices["webp"].pop("icc_profile", None)  # WebP knows no grey, and the profile no colours
    file = io.BytesIO()
    try:
        Image.fromarray(_samples(picture)).save(file, format=kind.upper(), **choices[kind])
    except (OSError, ValueError) as error:
        height, width = picture.pixels.shape[:2]
        raise EncodeError(
            f"{kind} can't hold this {width}x{height} image: {error}; choose format png or tiff"
        ) from error
    return file.getvalue()


def _reason(error: Exception) -> str:
    """Return what a codec says, without the name that GDAL knows the bytes by."""
    return f"{type(error).__name__}: {_NAME.sub('', f'{error}')}"


def _from_pillow(image: Image.Image) -> Picture:
    if image.mode == "P" and image.palette is None:
        raise DecodeError(
            "the image is damaged: its pixels are indices into a palette that it lacks. Expected a "
            "whole file; upload it again"
        )
    if image.mode.startswith("I;16"):
        pixels = np.asarray(image).astype(np.uint16)
        missing = image.info.get("transparency")  # tRNS: one value that stands for none
        alpha = None if missing is None else np.where(pixels == missing, 0, 65535)
        return Picture(pixels, None if alpha is None else alpha.astype(np.uint16))
    if image.mode not in _GREY | _COLOUR:
        raise DecodeError(
            f"the image has pixels of type {image.mode}; expected 8 or 16 bits per channel"
        )
    base = "L" if image.mode in _GREY else "RGB"
    if not image.has_transparency_data:
        return Picture(np.asarray(image.convert(base)))
    bands = np.asarray(image.convert("LA" if base == "L" else "RGBA"))
    return Picture(bands[..., 0] if base == "L" else bands[..., :3], bands[..., -1])


def _samples(picture: Picture) -> Pixels:
    """Return the pixels with alpha behind their colours."""
    if picture.alpha is None:
        return picture.pixels
    return np.dstack([picture.pixels, picture.alpha])


def _is_deep_colour(image: Image.Image, body: bytes) -> bool:
    """Tell whether Pillow would narrow the file to 8 bits: several channels of 16 bits each."""
    if image.format != "PNG":
        return False
    depth, colour_type = body[24], body[25]  # in IHDR, always the first chunk
    return depth == 16 and colour_type != 0


def _remark(body: bytes) -> str | None:
    """Say what else a thermal camera's JPEG holds, which nothing here reads."""
    if any(name == _FLIR for name in _application_names(body)):
        return (
            "the file is a FLIR radiometric JPEG: its palette picture was fused, not the "
            "temperatures that it holds as well; export them as 16-bit TIFF to fuse those"
        )
    return None


def _application_names(body: bytes) -> Iterator[bytes]:
    """Yield what the APP1 segments before a JPEG's pixels start with."""
    at = 2 if body.startswith(b"\xff\xd8") else len(body)
    while at + 4 <= len(body) and body[at] == _FILL:
        marker = body[at + 1]
        if marker in _END_OF_HEADER:
            return
        if marker == _FILL or marker in _STANDALONE:
            at += 1 if marker == _FILL else 2
            continue
        if marker == _APP1:
            yield body[at + 4 : at + 4 + len(_FLIR)]
        at += 2 + max(2, int.from_bytes(body[at + 2 : at + 4], "big"))
