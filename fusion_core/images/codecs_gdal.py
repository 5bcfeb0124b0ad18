"""Decodes and encodes with GDAL: TIFF both ways, JPEG 2000 and PNG of several 16-bit channels."""

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import rasterio
from PIL import Image, ImageCms
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader, MemoryFile

from fusion_core.errors import DecodeError, EncodeError
from fusion_core.images.colour import Pixels
from fusion_core.images.description import Description, describe_dataset
from fusion_core.images.jp2_boxes import JPEG2000_MAGIC, read_boxes
from fusion_core.images.metadata import NO_METADATA, Metadata, fitting_icc, into_tiff
from fusion_core.images.picture import Picture, check_size, upright
from fusion_core.images.samples import (
    inks_to_rgb,
    palette_to_rgb,
    spread_bits,
    without_premultiplication,
)
from fusion_core.images.tiff_tags import TIFF_MAGIC, read_tags
from fusion_core.settings.fuse import ImageSettings

# A photograph has no place on Earth, and its owner needn't hear so for every file.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

_DRIVERS = {"GTiff": TIFF_MAGIC, "PNG": (b"\x89PNG",), "JP2OpenJPEG": JPEG2000_MAGIC}


def decode_raster(body: bytes, max_megapixels: float, orientation: int | None = None) -> Picture:
    """Decode a TIFF, JPEG 2000 or PNG file into grey or colour that lies upright.

    A place on Earth, and a declared scale, are passed over: whoever wants them reads a scene.

    Args:
        body: The file's bytes.
        max_megapixels: Larger images, and images in larger tiles, are refused.
        orientation: How it lies, where that stands in no tag of TIFF.

    Raises:
        DecodeError: Its pixels are of a kind that isn't fused, or it is too large, or its tiles
            are.
        RasterioError: It is damaged.
    """
    driver = next(name for name, magic in _DRIVERS.items() if body.startswith(magic))
    with (
        rasterio.Env(GDAL_PAM_ENABLED="NO", GTIFF_IGNORE_READ_ERRORS="NO"),
        MemoryFile(body) as memory,
        memory.open(driver=driver) as source,
    ):
        # Before any is read: there may be 65,535 bands, and they may be tiles of any size.
        check_size(source.width, source.height, max_megapixels)
        file = io.BytesIO(body)
        boxes = read_boxes(file)
        described = describe_dataset(source, read_tags(file), boxes)
        described = replace(described, placed=False, nodata=False, scaled=False)
        _check(described, source)
        rows, columns = source.block_shapes[0]
        check_size(columns, rows, max_megapixels, "a tile of the image")
        pixels, alpha = _lab(body) if described.colours == "lab" else _colours(source, described)
        alpha = _masked(source, alpha, pixels)
        icc = boxes.icc if boxes else _icc(source)
    if described.alpha == "premultiplied" and alpha is not None:
        pixels = without_premultiplication(pixels, alpha)
    if described.inverted:
        pixels = pixels.dtype.type(max(described.white, 255)) - pixels
    metadata = Metadata(fitting_icc(icc, grey=described.colours == "grey"))
    metadata = metadata if described.colours in ("grey", "rgb", "palette") else NO_METADATA
    picture = Picture(pixels, alpha, white=_white(described, pixels), metadata=metadata)
    return upright(picture, orientation or described.orientation)


def encode_tiff(picture: Picture, settings: ImageSettings) -> bytes:
    """Encode an image as TIFF.

    Raises:
        EncodeError: GDAL can't write it.
    """
    pixels = np.atleast_3d(picture.pixels)
    bands = [pixels[..., k] for k in range(pixels.shape[2])]
    bands += [] if picture.alpha is None else [picture.alpha]
    options: dict[str, Any] = {"driver": "GTiff", "compress": settings.compression}
    options |= {"photometric": "rgb"} if len(bands) >= 3 else {}
    options |= {} if picture.alpha is None else {"alpha": "non-premultiplied"}
    options |= {} if picture.white is None else {"nbits": picture.white.bit_length()}
    height, width = pixels.shape[:2]
    try:
        with rasterio.Env(GDAL_PAM_ENABLED="NO"), MemoryFile() as memory:
            with memory.open(
                height=height, width=width, count=len(bands), dtype=pixels.dtype, **options
            ) as target:
                target.write(np.stack(bands))
            body = bytes(memory.read())
    except RasterioError as error:
        raise EncodeError(f"tiff can't hold this image: {error}") from error
    return into_tiff(body, picture.metadata)


def _check(described: Description, source: DatasetReader) -> None:
    if not described.is_photograph:
        types = ", ".join(sorted(set(source.dtypes)))
        raise DecodeError(
            f"the image has {source.count} bands of type {types}; expected one or three of "
            "8 or 16 bits, and alpha"
        )
    if problem := described.problem():
        raise DecodeError(f"the image can't be fused: {problem}")


def _colours(source: DatasetReader, described: Description) -> tuple[Pixels, Pixels | None]:
    """Read grey (H, W) or RGB (H, W, 3), and alpha (H, W) if there is one."""
    if described.colours == "palette":
        colours, opacity = palette_to_rgb(source.read(1), source.colormap(1))
        alpha = source.read(2) if described.alpha != "none" else opacity
        return colours, alpha
    bands = source.read()
    if described.bits < 8:
        bands = spread_bits(bands, described.bits)
    if described.colours == "grey":
        pixels = bands[0]
    elif described.colours == "cmyk" and bands.dtype == np.uint16:
        pixels = inks_to_rgb(bands[:4])
    else:  # GDAL makes RGB and opacity of 8-bit inks by itself
        pixels = np.ascontiguousarray(bands[:3].transpose(1, 2, 0))
    if described.alpha == "none":
        return pixels, None
    if described.bits > 8:  # 10 bits of opacity, say, are opaque at 1023
        top = np.iinfo(bands.dtype).max
        return pixels, np.rint(bands[-1] * (top / described.white)).astype(bands.dtype)
    return pixels, bands[-1]


def _lab(body: bytes) -> tuple[Pixels, Pixels | None]:
    """Decode 8-bit L*a*b* with Pillow: GDAL has no colour management."""
    with Image.open(io.BytesIO(body), formats=("TIFF",)) as image:
        space, screen = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        colours = image if image.mode == "LAB" else image.convert("LAB")
        to_rgb = ImageCms.buildTransform(space, screen, "LAB", "RGB")
        shown = ImageCms.applyTransform(colours, to_rgb)
    assert shown is not None
    return np.asarray(shown), None


def _masked(source: DatasetReader, alpha: Pixels | None, pixels: Pixels) -> Pixels | None:
    """Return alpha, made of the file's mask or nodata value where it has no alpha."""
    flags = source.mask_flag_enums[0]
    declared = MaskFlags.per_dataset in flags or MaskFlags.nodata in flags
    if alpha is not None or MaskFlags.alpha in flags or not declared:
        return alpha
    top = np.iinfo(pixels.dtype).max
    mask: Pixels = np.where(source.dataset_mask() > 0, top, 0).astype(pixels.dtype)
    return mask


def _icc(source: DatasetReader) -> bytes | None:
    told = source.tags(ns="COLOR_PROFILE").get("SOURCE_ICC_PROFILE")
    return base64.b64decode(told) if told else None


def _white(described: Description, pixels: Pixels) -> int | None:
    return described.white if 8 < described.bits < 16 and pixels.dtype == np.uint16 else None
