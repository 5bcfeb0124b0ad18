"""All seven metrics of a scene too large for memory, given tile by tile."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fusion_core.errors import MetricError
from fusion_core.metrics.conventions import Convention, check_convention
from fusion_core.metrics.counts import SampleCounts, image_samples, lost_samples
from fusion_core.metrics.greyscale import grey_images
from fusion_core.metrics.scores import grey_tensor
from fusion_core.metrics.sums import Sums, add_sums, tile_sums, values
from fusion_core.metrics.tiles import MetricTile, Window, windows
from fusion_core.metrics.undefined import why_sums_undefined


class StreamedScores:
    """Scores a fused image given tile by tile, in memory bounded by the tile.

    The values are those of the whole image: every metric follows from sums over pixels or windows,
    and a tile is read with a halo that completes the windows starting in it.

    Pixels without data have no influence: a metric is taken over the pixels and windows that hold
    data only.

    - EN and SCD: pixels with data.
    - SF: first differences of two pixels with data. Published: each mean over the number of them;
      textbook: both sums over the number of pixels with data, as of an image that has no others.
    - AG: pixels with data whose neighbours, those that their differences read, hold data as well.
      The sum is divided by (H - 1)(W - 1) times the share of the gradients that are left.
    - Qabf: pixels whose 3 x 3 neighbourhood, as far as it lies in the image, holds data only.
    - SSIM, VIF: windows that hold data only. At VIF's coarser scales a pixel holds data where all
      that it was smoothed from do.

    Args:
        height: Height of the image in pixels.
        width: Its width.
        convention: Which definitions to use where the field is split.
        device: Where to compute.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(1).integers(0, 256, (3, 1200, 1500), np.uint8)
        >>> stream = StreamedScores(1200, 1500)
        >>> for window in stream.windows():
        ...     top, left, bottom, right = window.read
        ...     stream.add(window, *images[:, top:bottom, left:right])
        >>> round(stream.scores()["en"], 2)
        8.0

    Raises:
        MetricError: The image is empty, or there is no such convention.
    """

    def __init__(
        self,
        height: int,
        width: int,
        convention: Convention = "published",
        device: str = "cpu",
    ):
        check_convention(convention)
        if min(height, width) < 1:
            raise MetricError(
                f"metric score: an image of {width}x{height} pixels is empty, expected at least "
                "one pixel each way"
            )
        self.height, self.width = height, width
        self.convention = convention
        self.device = device
        self._sums: Sums = {}
        self._lost: SampleCounts = Counter()
        self._missing = {window.core for window in self.windows()}

    def windows(self) -> Iterator[Window]:
        """Yield the tiles to be added, in reading order; they may be added in any order."""
        return windows(self.height, self.width)

    def add(
        self,
        window: Window,
        ir: npt.NDArray[Any],
        vi: npt.NDArray[Any],
        fused: npt.NDArray[Any],
        *,
        valid: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Add one tile.

        Args:
            window: One of ``windows``.
            ir: Infrared pixels of ``window.read``, of a kind that ``to_grey255`` takes.
            vi: Visible pixels, likewise.
            fused: Fused pixels, likewise.
            valid: Which pixels of ``window.read`` hold data in all three images, (h, w) bool; all
                of them if None. What the others hold doesn't matter, were it NaN.

        Raises:
            MetricError: The tile was added before or is none of the image's, an array hasn't the
                window's shape or can't be turned into grey values, or the mask isn't boolean.
        """
        if window.core not in self._missing:
            raise MetricError(
                f"metric score: the tile {window.core} was added before or is none of the image; "
                "expected each of windows() once"
            )
        arrays = {"ir": ir, "vi": vi, "fused": fused}
        _check(window, arrays, valid)
        mask = None
        if valid is not None and not valid.all():
            arrays = {name: _without_gaps(array, valid) for name, array in arrays.items()}
            # Copied, because an array may be read-only or run backwards.
            mask = torch.from_numpy(np.array(valid)).to(self.device)
        greys = {name: grey_tensor(array) for name, array in arrays.items()}
        with torch.inference_mode():
            images = grey_images("score", **greys).to(self.device)
            tile = MetricTile.read(images, window, height=self.height, width=self.width, valid=mask)
            sums = tile_sums(tile, self.convention)
            self._sums = add_sums([self._sums, sums]) if self._sums else sums
            self._lost += lost_samples(tile, self.convention)
        self._missing.remove(window.core)

    def scores(self) -> dict[str, float]:
        """Return the value of each of ``METRIC_NAMES``, in that order; NaN where undefined.

        Raises:
            MetricError: Tiles are missing.
        """
        if self._missing:
            raise MetricError(
                f"metric score: {len(self._missing)} tiles were not added, such as "
                f"{min(self._missing)}; expected all of windows()"
            )
        found = values(
            self._sums, self.height, self.width, convention=self.convention, lost=self._lost
        )
        return {name: float(value) for name, value in found.items()}

    def undefined(self) -> dict[str, str]:
        """Return why each metric that is NaN has no value.

        Returns:
            By the metric's name the rule that the images break, such as "no window of 7x7 pixels
            holds data only".

        Raises:
            MetricError: Tiles are missing.
        """
        size = self.height, self.width
        samples = image_samples(*size, self.convention) - self._lost
        return {
            name: why_sums_undefined(
                name, self._sums, samples, size=size, convention=self.convention
            )
            for name, value in self.scores().items()
            if math.isnan(value)
        }


def _check(
    window: Window, arrays: dict[str, npt.NDArray[Any]], valid: npt.NDArray[np.bool_] | None
) -> None:
    """Raise MetricError where an array hasn't the window's shape, or the mask isn't boolean."""
    planes = {name: array.shape[:2] for name, array in arrays.items()}
    if valid is not None:
        planes["valid"] = valid.shape
        if valid.dtype != np.bool_:
            raise MetricError(
                f"metric score: valid holds {valid.dtype}, expected bool, True where a pixel holds "
                "data in all three images; compare the mask with the value that means so"
            )
    for name, shape in planes.items():
        if shape != window.shape:
            raise MetricError(
                f"metric score: {name} has shape {shape}, expected {window.shape}, the tile's core "
                "and halo; read the rows and columns of window.read"
            )


def _without_gaps(array: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Return the pixels with black where there is no data, (h, w) or (h, w, 3)."""
    mask = valid if array.ndim == 2 else valid[..., None]
    return np.where(mask, array, array.dtype.type(0))
