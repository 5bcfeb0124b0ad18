"""What a hostile file is: how it is made, and what must become of the pair that it belongs to."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = (24, 32)
"""Height and width of a good file, and of hostile ones unless they are hostile by their size."""

_NOISE = np.random.default_rng(7).integers(0, 56, (*SIZE, 4), np.uint8)
_RAMP = np.linspace(0, 199, SIZE[1]).astype(np.uint8)

IR = _NOISE[..., 0] + _RAMP
VI = _NOISE[..., 1:] + _RAMP[::-1, None]


@dataclass(frozen=True)
class Fused:
    """A pair that is fused.

    Attributes:
        size: Height and width of the fused image, where the visible file is the hostile one.
    """

    size: tuple[int, int] = SIZE


@dataclass(frozen=True)
class Failed:
    """A pair that isn't fused: stage, type of error, pieces of the reason, whether for good."""

    stage: str
    error: str
    words: tuple[str, ...]
    status: str = "failed"


Expected = Fused | Failed
Body = Callable[[], bytes]


@dataclass(frozen=True)
class Hostile:
    """A hostile file, put in place of the infrared and then of the visible file of a good pair.

    Attributes:
        name: Names the case; without a suffix.
        how: How the file is made.
        body: Makes its bytes.
        expected: What must become of its pair.
        suffix: Of its name; a name in .tif may be a scene's and is looked into first.
        side: Where the side counts, the only one that it is put on.
    """

    name: str
    how: str
    body: Body
    expected: Expected
    suffix: str = ".png"
    side: str | None = None


def refused(*words: str) -> Failed:
    """The failure of a file that can't be decoded."""
    return Failed("decode", "DecodeError", words)


def unread(*words: str, error: str = "ReadError") -> Failed:
    """The failure of a file that can't be read, which blames the store and not the file."""
    return Failed("read", error, words, "undone")


DAMAGED = refused("damaged", "upload it again")
NO_IMAGE = refused("is no image: it starts with", "Check what was uploaded")
TOO_LARGE = refused("too large to decode", "Cut it into tiles")


def saved(pixels: NDArray[Any] | Image.Image, kind: str, **options: Any) -> bytes:
    """Return an image as Pillow writes it."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def patched(body: bytes, position: int, layout: str, *values: int | bytes) -> bytes:
    """Return bytes with others packed over them."""
    new = struct.pack(layout, *values)
    return body[:position] + new + body[position + len(new) :]


def rgb(width: int, height: int) -> NDArray[np.uint8]:
    """Return a smooth picture of any size."""
    return np.fromfunction(lambda y, x, c: (x + 2 * y + 40 * c) % 251, (height, width, 3)).astype(
        np.uint8
    )
