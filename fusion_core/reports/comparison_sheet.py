"""Draws comparison sheets: what several methods made of the same pairs, detail by detail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
    paste_cell,
    shorten,
    stacked,
    stretch_limits,
    write_text,
)

_LABELS_TOP = LINE + 6


@dataclass(frozen=True)
class ComparisonRow:
    """One row of a comparison sheet: a pair, and what each method made of it.

    Attributes:
        pair_id: Shown above the images; a long one is shortened in its middle.
        ir: Infrared image, uint8 or uint16, (H, W) or (H, W, 3) or (H, W, 4) with alpha last.
        vi: Visible image, likewise.
        fused: Fused images by method, likewise; every row of a sheet has the same methods.
    """

    pair_id: str
    ir: NDArray[np.generic]
    vi: NDArray[np.generic]
    fused: Mapping[str, NDArray[np.generic]]


def draw_comparison_sheet(rows: Iterable[ComparisonRow], title: str) -> Image.Image:
    """Draw one row per pair: infrared, visible and each method, and below each the same detail.

    The detail is a quarter of the image's width and height, chosen by ``salient_box``; a frame in
    the thumbnails says where it is. 16-bit images are stretched between their 1st and 99th
    percentile, the fused ones of a pair all alike, so that a darker one is shown darker.

    Args:
        rows: What to draw, from top to bottom, one at least; taken one at a time, so that not all
            of their images need be in memory.
        title: The heading.

    Returns:
        An RGB image.

    Raises:
        DecodeError: An array of a row is not an image of a type named in ``ComparisonRow``.
    """
    sheet = stacked(title, [_draw_row(row) for row in rows], MARGIN + 3 * LINE)
    note = f"below each picture: the framed detail, magnified x{MAGNIFICATION}"
    note = shorten(note, sheet.width - 2 * MARGIN, 13)
    write_text(sheet, (MARGIN, MARGIN + 2 * LINE - 10), note, size=13, colour=FAINT)
    return sheet


def _draw_row(row: ComparisonRow) -> Image.Image:
    """Draw a row as a strip: the pair's id, the columns' names, thumbnails, details."""
    try:
        limits = stretch_limits(*row.fused.values()) if row.fused else None
        images = [as_rgb(row.ir), as_rgb(row.vi)]
        images += [as_rgb(image, limits) for image in row.fused.values()]
    except DecodeError as error:
        raise DecodeError(f"pair {row.pair_id!r}: {error}") from error
    box = salient_box(row.ir, row.vi)
    cells = [thumbnail_and_detail(image, box) for image in images]
    tall = max(thumbnail.height for thumbnail, _ in cells)
    tops = (_LABELS_TOP + LINE, _LABELS_TOP + LINE + tall + GAP)
    width = 2 * MARGIN + len(cells) * (THUMBNAIL_WIDTH + GAP) - GAP
    strip = Image.new("RGB", (width, tops[1] + tall), BACKGROUND)
    write_text(
        strip, (MARGIN, 0), shorten(row.pair_id, width - 2 * MARGIN, 15), size=15, colour=TEXT
    )
    names = ("infrared", "visible", *row.fused)
    for column, (name, shown) in enumerate(zip(names, cells, strict=True)):
        left = MARGIN + column * (THUMBNAIL_WIDTH + GAP)
        label = shorten(name, THUMBNAIL_WIDTH, 14)
        write_text(strip, (left, _LABELS_TOP), label, size=14, colour=TEXT if column > 1 else FAINT)
        for image, top in zip(shown, tops, strict=True):
            paste_cell(strip, image, (left, top, THUMBNAIL_WIDTH, tall))
    return strip
