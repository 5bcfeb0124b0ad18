"""A decoded image in memory, and how it is turned, resized and reduced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusion_core.errors import DecodeError
from fusion_core.images.colour import Pixels
from fusion_core.images.metadata import NO_METADATA, Metadata


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        pixels: (H, W) grey or (H, W, 3) RGB, uint8 or uint16.
        alpha: (H, W) of the same type, or None. Where it is 0 there is no picture.
        white: Largest value that the file's bits can hold, where these are fewer than the type's.
        metadata: What the file tells of its colours, place and time.
        remark: What a reader of the fused image should know of the file, if anything.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    white: int | None = None
    metadata: Metadata = NO_METADATA
    remark: str | None = None

    @property
    def top(self) -> int:
        """Largest value that a pixel can have."""
        return self.white or int(np.iinfo(self.pixels.dtype).max)

    @property
    def bit_depth(self) -> int:
        """Bits per channel: 8 or 16."""
        return 8 * self.pixels.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays take."""
        return self.pixels.nbytes + (0 if self.alpha is None else self.alpha.nbytes)


_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: np.fliplr,
    3: lambda band: np.rot90(band, 2),
    4: np.flipud,
    5: lambda band: band.swapaxes(0, 1),
    6: lambda band: np.rot90(band, -1),
    7: lambda band: np.rot90(band, 2).swapaxes(0, 1),
    8: np.rot90,
}


_TRACE = 1e-3
"""Share of a missing pixel in a resized one from which that is missing too."""


def turned(orientation: int) -> Callable[[Pixels], Pixels]:
    """Return what turns an array (H, W, …) as an EXIF or TIFF orientation, 1 to 8, asks for."""
    return _TURNS.get(orientation, lambda band: band)


def upright(picture: Picture, orientation: int) -> Picture:
    """Return the image turned as its EXIF or TIFF orientation, 1 to 8, asks for."""
    if orientation not in _TURNS:
        return picture
    turn = turned(orientation)
    alpha = None if picture.alpha is None else np.ascontiguousarray(turn(picture.alpha))
    return replace(picture, pixels=np.ascontiguousarray(turn(picture.pixels)), alpha=alpha)


def resize(picture: Picture, height: int, width: int) -> Picture:
    """Return the image scaled (bicubic) to another size.

    Its alpha becomes 0 wherever a pixel that isn't there had a share in the new one, and stays the
    largest value elsewhere.
    """

    def scaled(band: NDArray[Any]) -> NDArray[Any]:
        real = Image.fromarray(band.astype(np.float32))
        return np.asarray(real.resize((width, height), Image.Resampling.BICUBIC))

    pixels = picture.pixels
    bands = [pixels] if pixels.ndim == 2 else [pixels[..., k] for k in range(3)]
    new = np.stack([np.clip(np.rint(scaled(band)), 0, picture.top) for band in bands], -1)
    new = (new[..., 0] if pixels.ndim == 2 else new).astype(pixels.dtype)
    alpha = None
    if picture.alpha is not None:
        there = np.abs(scaled(picture.alpha == 0)) < _TRACE
        alpha = there.astype(pixels.dtype) * np.iinfo(pixels.dtype).max
    return replace(picture, pixels=new, alpha=alpha)


def reduced(picture: Picture, height: int, width: int) -> Picture:
    """Return a large image as means of square blocks; alpha is dropped.

    The blocks are the largest that leave one of the two sides at least this long, so that the
    result can be scaled to fit into ``height`` and ``width`` without a loss. What makes no whole
    block at the right and lower edge is cut off.
    """
    pixels = picture.pixels
    high, wide = pixels.shape[:2]
    block = int(max(high / height, wide / width))
    if block < 2:
        return Picture(pixels)
    down, across = min(block, high), min(block, wide)
    rows, columns = high // down, wide // across
    whole = pixels[: rows * down, : columns * across]
    means = whole.reshape(rows, down, columns, across, -1).mean(axis=(1, 3), dtype=np.float32)
    return Picture(np.rint(means).astype(pixels.dtype).reshape(rows, columns, *pixels.shape[2:]))


def check_size(width: int, height: int, max_megapixels: float, what: str = "the image") -> None:
    """Raise DecodeError where an image, called ``what``, has more than ``max_megapixels``."""
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise DecodeError(
            f"{what} has {width}x{height} = {megapixels:.1f} megapixels; at most "
            f"{max_megapixels:g} are decoded. Raise max_megapixels or cut the image into tiles"
        )
