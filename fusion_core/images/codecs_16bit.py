"""Decodes and encodes PNG and TIFF files with several 16-bit channels, which Pillow can't."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile

from fusion_core.errors import DecodeError, EncodeError
from fusion_core.images.picture import Picture, check_size
from fusion_core.settings.fuse import ImageSettings

# A photograph has no place on Earth, and its owner needn't hear so for every file.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


def decode_deep(body: bytes, max_megapixels: float) -> Picture:
    """Decode a PNG or TIFF file of 16-bit channels.

    Raises:
        DecodeError: It has other bands than grey or RGB with or without alpha, or is too large, or
            its tiles are.
    """
    with _no_side_cars(), MemoryFile(body) as memory, memory.open() as source:
        check_size(source.width, source.height, max_megapixels)
        # Before any is read: there may be 65,535 bands, and they may be tiles of any size.
        types = ", ".join(sorted(set(source.dtypes)))
        if types != "uint16" or source.count not in (2, 3, 4):
            raise DecodeError(
                f"the image has {source.count} bands of type {types}; expected one or three of "
                "8 or 16 bits, and alpha"
            )
        rows, columns = source.block_shapes[0]
        check_size(columns, rows, max_megapixels, "a tile of the image")
        bands = source.read()
    alpha = bands[-1] if bands.shape[0] in (2, 4) else None
    colour = np.ascontiguousarray(bands[:3].transpose(1, 2, 0))
    return Picture(bands[0] if bands.shape[0] == 2 else colour, alpha)


def encode_deep(picture: Picture, settings: ImageSettings) -> bytes:
    """Encode a 16-bit image with several channels as PNG or TIFF.

    Raises:
        EncodeError: GDAL can't write it.
    """
    pixels = np.atleast_3d(picture.pixels)
    bands = [pixels[..., k] for k in range(pixels.shape[2])]
    bands += [] if picture.alpha is None else [picture.alpha]
    options: dict[str, Any] = (
        {"driver": "PNG", "ZLEVEL": max(1, settings.png_level)}  # GDAL's PNG knows no level 0
        if settings.format == "png"
        else {"driver": "GTiff", "compress": "deflate", "photometric": "rgb"}
        if len(bands) >= 3
        else {"driver": "GTiff", "compress": "deflate"}
    )
    if settings.format == "tiff" and picture.alpha is not None:
        options["alpha"] = "non-premultiplied"
    height, width = pixels.shape[:2]
    try:
        with _no_side_cars(), MemoryFile() as memory:
            with memory.open(
                height=height, width=width, count=len(bands), dtype="uint16", **options
            ) as target:
                target.write(np.stack(bands))
            return bytes(memory.read())
    except RasterioError as error:
        raise EncodeError(f"{settings.format} can't hold this image: {error}") from error


def _no_side_cars() -> rasterio.Env:
    return rasterio.Env(GDAL_PAM_ENABLED="NO")
