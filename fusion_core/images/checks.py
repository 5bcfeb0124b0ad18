"""Refuses damaged and hostile image files that codecs would accept.

A codec that runs out of pixels may leave the rest black or grey and say nothing, so that half an
image would be fused for a whole one; and a small file may cost much time and memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import rasterio
from PIL import Image
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from fusion_core.errors import DecodeError

_MOST_SCANS = 500
"""Of a progressive JPEG; encoders make about ten. One of 30 bytes costs a pass over all pixels."""

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
_PASSES = (*_ADAM7, (0, 1, 1, 2))  # first column, first row, step across, step down
_PIECE = 1 << 20
_ENDS_EARLY = "premature end"


def check_cost(image: Image.Image, body: bytes) -> None:
    """Check, before any pixel is decoded, that decoding costs no more than the image's size says.

    Raises:
        DecodeError: It is a JPEG file of more scans than any encoder makes.
    """
    if image.format in ("JPEG", "MPO") and "progressive" in image.info:
        scans = body.count(b"\xff\xda")
        if scans > _MOST_SCANS:
            raise DecodeError(
                f"the image has {scans} progressive scans; expected at most {_MOST_SCANS}. Save it "
                "anew as a baseline JPEG"
            )


def check_whole(image: Image.Image, body: bytes) -> None:
    """Check that the file holds all pixels of a decoded image.

    Only images that end as unfinished ones do are looked at again, which takes longer.

    Raises:
        DecodeError: They end before.
    """
    if image.format == "PNG" and _ends_in_zeros(image):
        check_png(body)
    elif image.format in ("JPEG", "MPO") and _ends_in_one_colour(image):
        _check_jpeg(body)


def check_png(body: bytes) -> None:
    """Check that a PNG file holds as many bytes of pixels as its header says.

    Raises:
        DecodeError: It holds fewer.
    """
    width, height = (int.from_bytes(body[at : at + 4], "big") for at in (16, 20))
    bits = body[24] * _CHANNELS[body[25]]
    grids = _PASSES if body[28] else ((0, 0, 1, 1),)
    expected = 0
    for left, top, across, down in grids:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        expected += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    found = 0
    for piece in _inflated(body):
        found += piece
        if found >= expected:
            return
    raise DecodeError(
        f"the image is damaged: its pixels end after {found} of {expected} bytes. Expected a whole "
        "file; upload it again"
    )


def _inflated(body: bytes) -> Iterator[int]:
    """Decompress the pixels piece by piece and yield the length of each."""
    stream = zlib.decompressobj()
    at = 8
    while at + 8 <= len(body) and not stream.eof:
        length, kind = int.from_bytes(body[at : at + 4], "big"), body[at + 4 : at + 8]
        rest = body[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        while rest and not stream.eof:
            piece = stream.decompress(rest, _PIECE)
            rest = stream.unconsumed_tail
            yield len(piece)
        at += 12 + length


def _check_jpeg(body: bytes) -> None:
    settings = {"GDAL_PAM_ENABLED": "NO", "GDAL_ERROR_ON_LIBJPEG_WARNING": "TRUE"}
    try:
        with (
            rasterio.Env(**settings),
            MemoryFile(body) as memory,
            memory.open(driver="JPEG") as source,
        ):
            # By rows, so that no second copy of the image is held.
            for _, window in source.block_windows(1):
                source.read(1, window=window)
    except RasterioError as error:
        reason = str(error.__cause__ or error)
        if _ENDS_EARLY in reason.lower():  # libjpeg also warns of what costs no pixel
            raise DecodeError(
                "the image is damaged: its pixels end before the image does. Expected a whole "
                "file; upload it again"
            ) from error


def _ends_in_zeros(image: Image.Image) -> bool:
    # Of an interlaced image one of the last two rows is written last.
    width, height = image.size
    rows = np.asarray(image.crop((0, max(0, height - 2), width, height)))
    return bool((rows.reshape(len(rows), -1) == 0).all(axis=1).any())


def _ends_in_one_colour(image: Image.Image) -> bool:
    width, height = image.size
    # The last block of a JPEG file, or what of it is inside the image.
    block = np.asarray(image.crop(((width - 1) // 8 * 8, (height - 1) // 8 * 8, width, height)))
    return bool((block == block[:1, :1]).all())
