"""Chooses a detail of a pair and cuts it out of pictures, to be shown magnified beside them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fusion_core.reports.drawing import ACCENT

THUMBNAIL_WIDTH = 240
TALLEST = 360  # a thumbnail higher than this is narrowed instead
MAGNIFICATION = 4

Box = tuple[float, float, float, float]


def salient_box(ir: NDArray[np.generic], vi: NDArray[np.generic]) -> Box:
    """Return the detail where the infrared image stands out most and the visible one shows least.

    Args:
        ir: (H, W), or (H, W, C) of which the first channel counts.
        vi: Likewise, of any size; here the second channel counts, if there is one.

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
    # A bright lawn shows nothing of how methods differ, so the detail must have contrast in itself:
    # of 28 pairs of TNO and MSRS one shows bare ground or water, and without this four did.
    total *= np.sqrt(np.clip(_box_mean(grey**2, side) - _box_mean(grey, side) ** 2, 0.0, None))
    row, column = np.unravel_index(int(np.argmax(total)), total.shape)
    if total[row, column] <= 1e-9:
        row = column = np.intp((96 - side) // 2)  # nothing stands out: the middle will do
    left, top = float(column) / 96, float(row) / 96
    return (left, top, left + 1 / MAGNIFICATION, top + 1 / MAGNIFICATION)


def thumbnail_and_detail(image: Image.Image, box: Box) -> tuple[Image.Image, Image.Image]:
    """Return an image as a thumbnail with its detail framed, and the detail in the same size.

    Args:
        image: The image.
        box: The detail, as of ``salient_box``.
    """
    scale = min(THUMBNAIL_WIDTH / image.width, TALLEST / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    thumbnail = image.resize(size, Image.Resampling.LANCZOS)
    part = [edge * image.size[side % 2] for side, edge in enumerate(box)]
    detail = image.resize(size, Image.Resampling.BICUBIC, (part[0], part[1], part[2], part[3]))
    frame = [edge * (size[side % 2] - 1) for side, edge in enumerate(box)]
    ImageDraw.Draw(thumbnail).rectangle(frame, outline=ACCENT)
    return thumbnail, detail


def _small(plane: NDArray[np.generic]) -> NDArray[np.float64]:
    """Reduce an (H, W) plane to (96, 96): the place of a detail needs no more."""
    image = Image.fromarray(np.asarray(plane, dtype=np.float32))
    return np.asarray(image.resize((96, 96), Image.Resampling.BOX), dtype=np.float64)


def _box_mean(plane: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return the means of all side x side squares of a plane: (H - side + 1, W - side + 1)."""
    total = np.pad(plane, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    squares = total[side:, side:] - total[:-side, side:] - total[side:, :-side]
    return np.asarray((squares + total[:-side, :-side]) / (side * side))
