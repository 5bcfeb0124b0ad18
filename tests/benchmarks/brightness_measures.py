"""What fused images make of bright skies, of black, and of the rims of what is hot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from weight_sets import Pair

MEASURES = (
    *("sky", "sky_visible", "sky_infrared", "black", "black_zeros", "rim_darker", "rim_brighter"),
)
SKY_LEVEL, SKY_DEVIATION, SKY_WINDOW = 170, 4, 15
HOT_LEVEL, HOT_DEVIATIONS, RIM = 140, 2, 8
TOLERANCE = 3  # grey levels that no eye sees
INSIDE = 3  # pixels from the rim of what is black


def brightness(fused: Sequence[tuple[Pair, NDArray[np.uint8]]]) -> dict[str, Any]:
    """Measure all images of a method together.

    Returns:
        Mean luminance of bright flat skies (the visible image's upper half, above 170 in the mean
        of 15x15 pixels, with a deviation below 4), beside that of both sources; mean and share of
        zeros of what is black on both sides, three pixels from its rim; and by how many grey levels
        more than 3 the rims of hot things, 2 to 8 pixels wide, are darker or brighter than both.
        None where no image has such a part.
    """
    sums = np.zeros(10)
    for pair, image in fused:
        ir, vi, out = (_luminance(side) for side in (pair.ir, pair.vi, image))
        sky, black, rim = _sky(vi), _black(ir, vi), _rim(ir)
        darker = np.maximum(np.minimum(ir, vi) - out - TOLERANCE, 0)[rim]
        brighter = np.maximum(out - np.maximum(ir, vi) - TOLERANCE, 0)[rim]
        sums += [
            *(sky.sum(), out[sky].sum(), vi[sky].sum(), ir[sky].sum()),
            *(black.sum(), out[black].sum(), (out[black] == 0).sum()),
            *(rim.sum(), darker.sum(), brighter.sum()),
        ]
    counts = [sums[0]] * 3 + [sums[4]] * 2 + [sums[7]] * 2
    values = [*sums[1:4], *sums[5:7], *sums[8:10]]
    means = (round(float(a / n), 3) if n else None for a, n in zip(values, counts, strict=True))
    return dict(zip(MEASURES, means, strict=True))


def _sky(vi: NDArray[np.float64]) -> NDArray[np.bool_]:
    level = ndimage.uniform_filter(vi, SKY_WINDOW)
    variance = ndimage.uniform_filter(vi * vi, SKY_WINDOW) - level * level
    upper = np.arange(len(vi))[:, None] < len(vi) / 2
    return np.asarray((level > SKY_LEVEL) & (variance < SKY_DEVIATION**2) & upper)


def _black(ir: NDArray[np.float64], vi: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(ndimage.binary_erosion((ir == 0) & (vi == 0), iterations=INSIDE))


def _rim(ir: NDArray[np.float64]) -> NDArray[np.bool_]:
    hot = (ir > ir.mean() + HOT_DEVIATIONS * ir.std()) & (ir > HOT_LEVEL)
    outer = ndimage.binary_dilation(hot, iterations=RIM)
    return np.asarray(outer & ~ndimage.binary_dilation(hot))


def _luminance(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey = Image.fromarray(image).convert("L")
    return np.asarray(grey, dtype=np.float64)
