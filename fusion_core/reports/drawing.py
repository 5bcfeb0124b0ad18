"""The parts that all sheets are drawn with: colours, text, cells, and arrays as pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fusion_core.errors import DecodeError

MARGIN = 20
GAP = 8
LINE = 20
ROW_GAP = 18
BACKGROUND = (30, 31, 34)
FRAME = (48, 50, 54)
TEXT = (232, 232, 228)
FAINT = (160, 162, 166)
ACCENT = (255, 176, 32)

Limits = tuple[float, float]
Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def as_rgb(image: NDArray[np.generic], limits: Limits | None = None) -> Image.Image:
    """Return an array as a picture to show: 8 bits, colour, alpha laid over the background.

    Args:
        image: An array of uint8 or uint16, (H, W), (H, W, 3) or (H, W, 4) with alpha last.
        limits: What becomes black and white of a 16-bit image. Default: its own
            ``stretch_limits``.

    Raises:
        DecodeError: The type is not uint8 or uint16, or the shape not that of an image.
    """
    colour, alpha = _colour_and_alpha(image)
    if image.dtype == np.uint16:
        low, high = stretch_limits(image) if limits is None else limits
        scaled = (colour - np.float32(low)) / np.float32(max(high - low, 1.0))
        colour = np.float32(255) * np.clip(scaled, 0.0, 1.0)
    over = colour * alpha + np.asarray(BACKGROUND, dtype=np.float32) * (1 - alpha)
    return Image.fromarray(np.round(over).astype(np.uint8))


def stretch_limits(*images: NDArray[np.generic]) -> Limits:
    """Return the 1st and 99th percentile over all visible pixels of some images.

    Raises:
        DecodeError: An array is no image, as for ``as_rgb``.
    """
    parts = []
    for image in images:
        colour, alpha = _colour_and_alpha(image)
        parts.append(colour[np.broadcast_to(alpha[..., 0] > 0, colour.shape[:2])].ravel())
    seen = np.concatenate(parts)
    if not seen.size:
        return 0.0, 65535.0
    low, high = np.percentile(seen, (1, 99))
    return float(low), float(high)


def _colour_and_alpha(
    image: NDArray[np.generic],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return colour (H, W, 1 or 3), and alpha in [0, 1] that broadcasts to it."""
    channels = image.shape[2] if image.ndim == 3 else 1
    fits = image.ndim in (2, 3) and (image.ndim == 2 or channels in (3, 4))
    if not fits or 0 in image.shape or image.dtype not in (np.uint8, np.uint16):
        raise DecodeError(
            f"can't show an array of {image.dtype} and shape {image.shape}; expected uint8 or"
            " uint16 of shape (H, W), (H, W, 3) or (H, W, 4)"
        )
    values = np.asarray(image, dtype=np.float32).reshape(*image.shape[:2], channels)
    if channels < 4:
        return values, np.ones((1, 1, 1), dtype=np.float32)
    return values[..., :3], values[..., 3:] / np.float32(255 if image.dtype == np.uint8 else 65535)


def shorten(text: str, width: float, size: int) -> str:
    """Cut the middle out of a text that is wider than ``width`` pixels at this font size."""
    font = font_of(size)
    if font.getlength(text) <= width:
        return text
    keep = len(text) - 1
    while keep > 2 and font.getlength(_elided(text, keep)) > width:
        keep -= 1
    return _elided(text, keep)


def stacked(title: str, strips: Sequence[Image.Image], top: int) -> Image.Image:
    """Stack strips of one width below a heading.

    Args:
        title: The heading.
        strips: One or more pictures of one width.
        top: Where the first one begins, in pixels.
    """
    width = strips[0].width
    height = top + sum(strip.height + ROW_GAP for strip in strips) + MARGIN - ROW_GAP
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    write_text(
        sheet, (MARGIN, MARGIN - 4), shorten(title, width - 2 * MARGIN, 22), size=22, colour=TEXT
    )
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height + ROW_GAP
    return sheet


def paste_cell(sheet: Image.Image, image: Image.Image, place: tuple[int, int, int, int]) -> None:
    """Paste an image into the middle of a cell.

    Args:
        sheet: What is pasted onto.
        image: The image, no larger than the cell.
        place: The cell's left and top edge, its width and height.
    """
    left, top, width, height = place
    cell = (left, top, left + width - 1, top + height - 1)
    ImageDraw.Draw(sheet).rectangle(cell, fill=FRAME)
    sheet.paste(image, (left + (width - image.width) // 2, top + (height - image.height) // 2))


def write_text(
    image: Image.Image, place: tuple[int, int], text: str, *, size: int, colour: Colour
) -> None:
    """Write a line of text.

    Args:
        image: What is written onto.
        place: Left and top edge of the text.
        text: The line.
        size: Of the font, in pixels.
        colour: Of the text.
    """
    ImageDraw.Draw(image).text(place, text, fill=colour, font=font_of(size))


def told_picture(text: str) -> NDArray[np.uint8]:
    """Return a picture that says in words why there is no other, (180, 240, 3) uint8."""
    image = Image.new("RGB", (240, 180), FRAME)
    lines = textwrap.wrap(text, 36, max_lines=11)
    for number, line in enumerate(lines):
        write_text(image, (6, 6 + 15 * number), line, size=12, colour=TEXT)
    return np.asarray(image)


def font_of(size: int) -> Font:
    """Return the one font of all sheets, which comes with Pillow."""
    return ImageFont.load_default(size=size)


def _elided(text: str, keep: int) -> str:
    """Return a text with all but ``keep`` characters of its ends replaced by dots."""
    head = (keep + 1) // 2
    return f"{text[:head]}...{text[len(text) - keep // 2 :]}"
