"""Draws contact sheets: pairs and their fused images side by side, with a magnified detail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fusion_core.errors import DecodeError

THUMBNAIL_WIDTH = 240
TALLEST = 360  # a thumbnail higher than this is narrowed instead
MAGNIFICATION = 4
MARGIN = 20
GAP = 8
GROUP_GAP = 24
LINE = 20
ROW_GAP = 18
BACKGROUND = (30, 31, 34)
FRAME = (48, 50, 54)
TEXT = (232, 232, 228)
FAINT = (160, 162, 166)
ACCENT = (255, 176, 32)
COLUMNS = ("infrared", "visible", "fused")

Box = tuple[float, float, float, float]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class SheetRow:
    """One row of a contact sheet.

    Attributes:
        pair_id: shown above the images; a long one is shortened in its middle.
        ir: infrared image, uint8 or uint16, (H, W) or (H, W, 3) or (H, W, 4) with alpha last.
        vi: visible image, likewise.
        fused: fused image, likewise.
        metrics: values by name, shown in this order; None and what is not finite read "n/a".
    """

    pair_id: str
    ir: NDArray[np.generic]
    vi: NDArray[np.generic]
    fused: NDArray[np.generic]
    metrics: Mapping[str, float | None]


def draw_contact_sheet(rows: Sequence[SheetRow], title: str) -> Image.Image:
    """Draws one row per pair: infrared, visible, fused, then the same detail of the three.

    Each thumbnail is ``THUMBNAIL_WIDTH`` pixels wide. The detail is a quarter of the image's
    width and height, chosen by ``salient_box``; a frame in the thumbnails says where it is.
    16-bit images are stretched between their 1st and 99th percentile, and alpha is laid over
    the background.

    Args:
        rows: what to draw, from top to bottom; with none, the sheet says so.
        title: the heading.

    Returns:
        An RGB image.

    Raises:
        DecodeError: an array of a row is not an image of a type named in ``SheetRow``.
    """
    if not rows:
        sheet = Image.new("RGB", (3 * THUMBNAIL_WIDTH, 4 * LINE + 2 * MARGIN), BACKGROUND)
        _write(sheet, (MARGIN, MARGIN), shorten(title, sheet.width - 2 * MARGIN, 22), 22, TEXT)
        _write(sheet, (MARGIN, MARGIN + 2 * LINE), "No pairs to show.", 14, FAINT)
        return sheet
    width = 2 * MARGIN + 6 * THUMBNAIL_WIDTH + 4 * GAP + GROUP_GAP
    strips = [_draw_row(row, width) for row in rows]
    top = MARGIN + 3 * LINE
    height = top + sum(strip.height + ROW_GAP for strip in strips) + MARGIN - ROW_GAP
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    _write(sheet, (MARGIN, MARGIN - 4), shorten(title, width - 2 * MARGIN, 22), 22, TEXT)
    names = (*COLUMNS, *(f"{name}, detail x{MAGNIFICATION}" for name in COLUMNS))
    for name, left in zip(names, _lefts(), strict=True):
        _write(sheet, (left, MARGIN + 2 * LINE - 6), name, 13, FAINT)
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height + ROW_GAP
    return sheet


def salient_box(ir: NDArray[np.generic], vi: NDArray[np.generic]) -> Box:
    """The detail where the infrared image stands out most and the visible one shows least.

    Args:
        ir: (H, W), or (H, W, C) of which the first channel counts.
        vi: likewise, of any size; here the second channel counts, if there is one.

    Returns:
        Left, top, right and bottom as shares of the width and height, in [0, 1]; the box is
        1 / ``MAGNIFICATION`` wide and high.
    """
    grey = _small(ir if ir.ndim == 2 else ir[..., 0])
    seen = np.pad(_small(vi if vi.ndim == 2 else vi[..., 1]), 2, mode="reflect")
    around = _box_mean(np.pad(grey, 16, mode="reflect"), 33)
    # A house against the cold sky is not what is looked for: the detail must be warm as such.
    excess = np.clip(grey - np.maximum(around, np.percentile(grey, 75)), 0.0, None)
    # An engine is far hotter than a person, but should not count for more.
    excess = np.minimum(excess, 0.5 * excess.max()) ** 2
    variance = np.clip(_box_mean(seen**2, 5) - _box_mean(seen, 5) ** 2, 0.0, None)
    excess /= 1.0 + variance / max(float(variance.mean()), 1e-9)
    side = 96 // MAGNIFICATION
    places = 96 - side + 1
    # A warm thing should sit in the middle, so what is there counts more than what is at the rim.
    inner = _box_mean(excess, side // 2)[side // 4 :, side // 4 :][:places, :places]
    total = _box_mean(excess, side) + 0.5 * inner
    row, column = np.unravel_index(int(np.argmax(total)), total.shape)
    if total[row, column] <= 1e-9:
        row = column = np.intp((96 - side) // 2)  # nothing stands out: the middle will do
    left, top = float(column) / 96, float(row) / 96
    return (left, top, left + 1 / MAGNIFICATION, top + 1 / MAGNIFICATION)


def shorten(text: str, width: float, size: int) -> str:
    """Cuts the middle out of a text that is wider than ``width`` pixels at this font size."""
    font = _font(size)
    if font.getlength(text) <= width:
        return text
    keep = len(text) - 1
    while keep > 2 and font.getlength(_elided(text, keep)) > width:
        keep -= 1
    return _elided(text, keep)


def as_rgb(image: NDArray[np.generic]) -> Image.Image:
    """An array as it is shown: 8 bits, colour, alpha laid over the background.

    Raises:
        DecodeError: the type is not uint8 or uint16, or the shape not that of an image.
    """
    channels = image.shape[2] if image.ndim == 3 else 1
    fits = image.ndim in (2, 3) and (image.ndim == 2 or channels in (3, 4))
    if not fits or 0 in image.shape or image.dtype not in (np.uint8, np.uint16):
        raise DecodeError(
            f"can't show an array of {image.dtype} and shape {image.shape}; expected uint8 or"
            " uint16 of shape (H, W), (H, W, 3) or (H, W, 4)"
        )
    full = 255.0 if image.dtype == np.uint8 else 65535.0
    values = np.asarray(image, dtype=np.float32).reshape(*image.shape[:2], channels)
    alpha = values[..., 3:] / full if channels == 4 else np.ones((1, 1, 1), dtype=np.float32)
    colour = values[..., :3]
    if image.dtype == np.uint16:
        seen = colour[alpha[..., 0] > 0] if channels == 4 else colour
        low, high = np.percentile(seen, (1, 99)) if seen.size else (0.0, full)
        scaled = (colour - np.float32(low)) / np.float32(max(high - low, 1.0))
        colour = np.float32(255) * np.clip(scaled, 0.0, 1.0)
    over = colour * alpha + np.asarray(BACKGROUND, dtype=np.float32) * (1 - alpha)
    return Image.fromarray(np.round(over).astype(np.uint8))


def _draw_row(row: SheetRow, width: int) -> Image.Image:
    """One row as a strip of the sheet's width: caption, three thumbnails, three details."""
    try:
        images = [as_rgb(image) for image in (row.ir, row.vi, row.fused)]
    except DecodeError as error:
        raise DecodeError(f"pair {row.pair_id!r}: {error}") from error
    box = salient_box(row.ir, row.vi)
    cells = [_fit(image, image.size) for image in images]
    details = []
    for image, cell in zip(images, cells, strict=True):
        part = [edge * image.size[side % 2] for side, edge in enumerate(box)]
        details.append(
            image.resize(cell.size, Image.Resampling.BICUBIC, (part[0], part[1], part[2], part[3]))
        )
        ImageDraw.Draw(cell).rectangle(
            [edge * (cell.size[side % 2] - 1) for side, edge in enumerate(box)], outline=ACCENT
        )
    name = shorten(row.pair_id, 3 * THUMBNAIL_WIDTH, 15)
    captions = _wrap(row.metrics, 3 * THUMBNAIL_WIDTH + 2 * GAP)
    above = LINE * max(1, len(captions)) + 4
    tall = max(cell.height for cell in cells)
    strip = Image.new("RGB", (width, above + tall), BACKGROUND)
    _write(strip, (MARGIN, 0), name, 15, TEXT)
    for line, caption in enumerate(captions):
        _write(strip, (_lefts()[3], line * LINE + 1), caption, 13, TEXT)
    pen = ImageDraw.Draw(strip)
    for cell, left in zip([*cells, *details], _lefts(), strict=True):
        pen.rectangle((left, above, left + THUMBNAIL_WIDTH - 1, above + tall - 1), fill=FRAME)
        across, down = (THUMBNAIL_WIDTH - cell.width) // 2, (tall - cell.height) // 2
        strip.paste(cell, (left + across, above + down))
    return strip


def _fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    scale = min(THUMBNAIL_WIDTH / size[0], TALLEST / size[1])
    target = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    return image.resize(target, Image.Resampling.LANCZOS)


def _lefts() -> list[int]:
    second = MARGIN + 3 * THUMBNAIL_WIDTH + 2 * GAP + GROUP_GAP
    return [
        start + column * (THUMBNAIL_WIDTH + GAP)
        for start in (MARGIN, second)
        for column in range(3)
    ]


def _wrap(metrics: Mapping[str, float | None], width: float) -> list[str]:
    """The metrics as lines that are at most ``width`` pixels wide."""
    font, lines = _font(13), [""]
    for name, value in metrics.items():
        shown = "n/a" if value is None or not isfinite(value) else f"{value:.3g}"
        longer = f"{lines[-1]}    {name} {shown}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(f"{name} {shown}")
        else:
            lines[-1] = longer
    return [shorten(line, width, 13) for line in lines]


def _elided(text: str, keep: int) -> str:
    head = (keep + 1) // 2
    return f"{text[:head]}...{text[len(text) - keep // 2 :]}"


def _small(plane: NDArray[np.generic]) -> NDArray[np.float64]:
    """An (H, W) plane as (96, 96): the place of a detail needs no more."""
    image = Image.fromarray(np.asarray(plane, dtype=np.float32))
    return np.asarray(image.resize((96, 96), Image.Resampling.BOX), dtype=np.float64)


def _box_mean(plane: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Means of all side x side squares of an (H, W) plane: (H - side + 1, W - side + 1)."""
    total = np.pad(plane, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    squares = total[side:, side:] - total[:-side, side:] - total[side:, :-side]
    return np.asarray((squares + total[:-side, :-side]) / (side * side))


def _font(size: int) -> Font:
    return ImageFont.load_default(size=size)


def _write(
    image: Image.Image, place: tuple[int, int], text: str, size: int, colour: tuple[int, int, int]
) -> None:
    ImageDraw.Draw(image).text(place, text, fill=colour, font=_font(size))
