"""Draws detection sheets: what a detector found in each method's image of the same pairs."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fusion_core.detection.comparison import DetectedPair
from fusion_core.reports.drawing import (
    ACCENT,
    BACKGROUND,
    FAINT,
    GAP,
    LINE,
    MARGIN,
    TEXT,
    Colour,
    as_rgb,
    paste_cell,
    shorten,
    stacked,
    write_text,
)
from fusion_core.reports.sheets import photographs
from fusion_core.storage.store import Storage
from fusion_core.storage.stored_file import StoredFile

LABELLED: Colour = (96, 214, 150)
"""Colour of what labels say is there."""

_TILE, _TALLEST = 360, 400
_DASH = 5  # pixels of a dash, and of the gap behind it
_LABELS_TOP = LINE + 6

Corners = Sequence[float]


@dataclass(frozen=True)
class ShownDetections:
    """A pair that is to be shown, by its files, with what was found in them.

    Attributes:
        detected: The pair, with its boxes by method and its labels.
        files: The images by method, infrared and visible first; those that have boxes are drawn.
        difference: How much the methods differ on it.
        score: Least score of the boxes that are drawn.
        classes: Only those of these classes are. Default: of all.
    """

    detected: DetectedPair
    files: Mapping[str, StoredFile]
    difference: int
    score: float
    classes: tuple[str, ...] = ()


def write_detection_sheet(
    output: Storage, path: str, pairs: Sequence[ShownDetections], title: str
) -> str:
    """Draw pairs with what was found in them, and write the sheet as PNG.

    A picture that is gone, damaged or not the one that was looked at is replaced by words that say
    so.

    Args:
        output: Where the sheet goes.
        path: Its path there.
        pairs: What is shown, one or more.
        title: The sheet's heading.

    Returns:
        URL of the sheet.

    Raises:
        StorageError: A store gives no answer, or the sheet can't be written.
    """

    def loaded() -> Iterator[tuple[ShownDetections, list[NDArray[np.generic]]]]:
        for pair in pairs:
            yield pair, photographs([*pair.files.values()])

    file = io.BytesIO()
    draw_detection_sheet(loaded(), title).save(file, format="PNG")
    output.write(path, file.getvalue())
    return output.url(path)


def draw_detection_sheet(
    rows: Iterable[tuple[ShownDetections, Sequence[NDArray[np.generic]]]], title: str
) -> Image.Image:
    """Draw one row per pair: each method's image with the boxes that were found in it.

    Args:
        rows: The pairs, from top to bottom, one at least, each with the images of its files, uint8
            or uint16, (H, W) or (H, W, 3); taken one at a time.
        title: The heading.

    Returns:
        An RGB image.

    Raises:
        DecodeError: An array is no image.
    """
    scores: list[float] = []

    def strips() -> Iterator[Image.Image]:
        for pair, images in rows:
            scores.append(pair.score)
            yield _draw_row(pair, images)

    sheet = stacked(title, _one_width(list(strips())), MARGIN + 3 * LINE)
    left, top = MARGIN, MARGIN + 2 * LINE - 10
    for text, colour, dashed in (
        (f"found, with a score from {scores[0]:g}", ACCENT, False),
        ("labelled", LABELLED, True),
    ):
        _rectangle(sheet, (left, top + 2, left + 22, top + 14), colour, dashed=dashed)
        write_text(sheet, (left + 30, top), text, size=13, colour=FAINT)
        left += 260
    return sheet


def _draw_row(pair: ShownDetections, images: Sequence[NDArray[np.generic]]) -> Image.Image:
    """Draw a pair as a strip: its id, the methods' names, their images with boxes."""
    detected = pair.detected
    shown = [
        (method, as_rgb(image))
        for method, image in zip(pair.files, images, strict=True)
        if method in detected.boxes
    ]
    tiles = []
    for method, image in shown:
        ratio = min(_TILE / image.width, _TALLEST / image.height)
        size = max(1, round(image.width * ratio)), max(1, round(image.height * ratio))
        tile = image.resize(size, Image.Resampling.LANCZOS)
        _draw_boxes(tile, pair, method)
        tiles.append((method, tile))
    tall = max(tile.height for _, tile in tiles)
    width = 2 * MARGIN + len(tiles) * (_TILE + GAP) - GAP
    strip = Image.new("RGB", (width, _LABELS_TOP + LINE + tall), BACKGROUND)
    told = f"{detected.pair_id}: differ by {pair.difference}"
    if detected.labels is not None:
        told += f", {len(detected.labels)} labelled"
    write_text(strip, (MARGIN, 0), shorten(told, width - 2 * MARGIN, 15), size=15, colour=TEXT)
    for column, (method, tile) in enumerate(tiles):
        left = MARGIN + column * (_TILE + GAP)
        label = shorten(method, _TILE, 14)
        write_text(strip, (left, _LABELS_TOP), label, size=14, colour=TEXT)
        paste_cell(strip, tile, (left, _LABELS_TOP + LINE, _TILE, tall))
    return strip


def _draw_boxes(tile: Image.Image, pair: ShownDetections, method: str) -> None:
    detected = pair.detected
    height, width = detected.shape
    x, y = tile.width / width, tile.height / height

    def place(corners: Corners) -> tuple[float, float, float, float]:
        left, top, wide, high = corners
        return left * x, top * y, (left + wide) * x, (top + high) * y

    for label in detected.labels or ():
        _rectangle(tile, place(label.corners), LABELLED, dashed=True)
    boxes = detected.boxes[method].chosen(pair.score, pair.classes)
    for corners, score, name in zip(boxes.corners, boxes.scores, boxes.classes, strict=True):
        at = place([float(one) for one in corners])
        _rectangle(tile, at, ACCENT)
        above = max(0, int(at[1]) - 13)
        write_text(tile, (int(at[0]) + 1, above), f"{name} {score:.2f}", size=11, colour=ACCENT)


def _rectangle(
    image: Image.Image,
    corners: tuple[float, float, float, float],
    colour: Colour,
    *,
    dashed: bool = False,
) -> None:
    """Draw a frame, two pixels wide, or dashed and one pixel wide."""
    pen = ImageDraw.Draw(image)
    left, top, right, bottom = (round(one) for one in corners)
    right, bottom = max(left, right), max(top, bottom)
    if not dashed:
        pen.rectangle((left, top, right, bottom), outline=colour, width=2)
        return
    for start in range(left, right + 1, 2 * _DASH):
        for y in (top, bottom):
            pen.line((start, y, min(start + _DASH - 1, right), y), fill=colour)
    for start in range(top, bottom + 1, 2 * _DASH):
        for x in (left, right):
            pen.line((x, start, x, min(start + _DASH - 1, bottom)), fill=colour)


def _one_width(strips: Sequence[Image.Image]) -> list[Image.Image]:
    width = max(strip.width for strip in strips)
    found = []
    for strip in strips:
        wide = Image.new("RGB", (width, strip.height), BACKGROUND)
        wide.paste(strip, (0, 0))
        found.append(wide)
    return found
