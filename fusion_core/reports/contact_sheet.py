"""Draws contact sheets: pairs and their fused images side by side, with a magnified detail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusion_core.errors import DecodeError
from fusion_core.reports.detail import (
    MAGNIFICATION,
    THUMBNAIL_WIDTH,
    salient_box,
    thumbnail_and_detail,
)
from fusion_core.reports.drawing import (
    BACKGROUND,
    FAINT,
    GAP,
    LINE,
    MARGIN,
    TEXT,
    as_rgb,
    font_of,
    paste_cell,
    shorten,
    stacked,
    write_text,
)

GROUP_GAP = 24
COLUMNS = ("infrared", "visible", "fused")


@dataclass(frozen=True)
class SheetRow:
    """One row of a contact sheet: a pair, its fused image, and its metrics.

    Attributes:
        pair_id: Shown above the images; a long one is shortened in its middle.
        ir: Infrared image, uint8 or uint16, (H, W) or (H, W, 3) or (H, W, 4) with alpha last.
        vi: Visible image, likewise.
        fused: Fused image, likewise.
        metrics: Values by name, shown in this order; None and what is not finite read "n/a".
    """

    pair_id: str
    ir: NDArray[np.generic]
    vi: NDArray[np.generic]
    fused: NDArray[np.generic]
    metrics: Mapping[str, float | None]


def draw_contact_sheet(rows: Sequence[SheetRow], title: str) -> Image.Image:
    """Draw one row per pair: infrared, visible, fused, then the same detail of the three.

    Each thumbnail is ``THUMBNAIL_WIDTH`` pixels wide. The detail is a quarter of the image's
    width and height, chosen by ``salient_box``; a frame in the thumbnails says where it is.
    16-bit images are stretched between their 1st and 99th percentile, and alpha is laid over
    the background.

    Args:
        rows: What to draw, from top to bottom; with none, the sheet says so.
        title: The heading.

    Returns:
        An RGB image.

    Raises:
        DecodeError: An array of a row is not an image of a type named in ``SheetRow``.
    """
    if not rows:
        sheet = Image.new("RGB", (3 * THUMBNAIL_WIDTH, 4 * LINE + 2 * MARGIN), BACKGROUND)
        write_text(
            sheet,
            (MARGIN, MARGIN),
            shorten(title, sheet.width - 2 * MARGIN, 22),
            size=22,
            colour=TEXT,
        )
        write_text(sheet, (MARGIN, MARGIN + 2 * LINE), "No pairs to show.", size=14, colour=FAINT)
        return sheet
    width = 2 * MARGIN + 6 * THUMBNAIL_WIDTH + 4 * GAP + GROUP_GAP
    sheet = stacked(title, [_draw_row(row, width) for row in rows], MARGIN + 3 * LINE)
    names = (*COLUMNS, *(f"{name}, detail x{MAGNIFICATION}" for name in COLUMNS))
    for name, left in zip(names, _lefts(), strict=True):
        write_text(sheet, (left, MARGIN + 2 * LINE - 6), name, size=13, colour=FAINT)
    return sheet


def _draw_row(row: SheetRow, width: int) -> Image.Image:
    """Draw a row as a strip of the sheet's width: caption, three thumbnails, three details."""
    try:
        images = [as_rgb(image) for image in (row.ir, row.vi, row.fused)]
    except DecodeError as error:
        raise DecodeError(f"pair {row.pair_id!r}: {error}") from error
    box = salient_box(row.ir, row.vi)
    cells, details = zip(*(thumbnail_and_detail(image, box) for image in images), strict=True)
    name = shorten(row.pair_id, 3 * THUMBNAIL_WIDTH, 15)
    captions = _wrap(row.metrics, 3 * THUMBNAIL_WIDTH + 2 * GAP)
    above = LINE * max(1, len(captions)) + 4
    tall = max(cell.height for cell in cells)
    strip = Image.new("RGB", (width, above + tall), BACKGROUND)
    write_text(strip, (MARGIN, 0), name, size=15, colour=TEXT)
    for line, caption in enumerate(captions):
        write_text(strip, (_lefts()[3], line * LINE + 1), caption, size=13, colour=TEXT)
    for cell, left in zip((*cells, *details), _lefts(), strict=True):
        paste_cell(strip, cell, (left, above, THUMBNAIL_WIDTH, tall))
    return strip


def _lefts() -> list[int]:
    """Return the left edges of the six columns."""
    second = MARGIN + 3 * THUMBNAIL_WIDTH + 2 * GAP + GROUP_GAP
    return [
        start + column * (THUMBNAIL_WIDTH + GAP)
        for start in (MARGIN, second)
        for column in range(3)
    ]


def _wrap(metrics: Mapping[str, float | None], width: float) -> list[str]:
    """Return the metrics as lines that are at most ``width`` pixels wide."""
    font, lines = font_of(13), [""]
    for name, value in metrics.items():
        shown = "n/a" if value is None or not isfinite(value) else f"{value:.3g}"
        longer = f"{lines[-1]}    {name} {shown}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(f"{name} {shown}")
        else:
            lines[-1] = longer
    return [shorten(line, width, 13) for line in lines]
