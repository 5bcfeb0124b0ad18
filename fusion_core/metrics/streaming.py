"""All seven metrics of a scene too large for memory, given tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy.typing as npt
import torch

from fusion_core.errors import MetricError
from fusion_core.metrics.conventions import Convention, check_convention
from fusion_core.metrics.inputs import grey_images
from fusion_core.metrics.scores import grey_tensor
from fusion_core.metrics.sums import Sums, add_sums, tile_sums, values
from fusion_core.metrics.tiles import Tile, Window, windows


class StreamedScores:
    """Scores a fused image given tile by tile, in memory bounded by the tile.

    The values are those of the whole image: every metric follows from sums over pixels or windows,
    and a tile is read with a halo that completes the windows starting in it.

    Args:
        height: Height of the image in pixels.
        width: Its width.
        convention: Which definitions to use where the field is split.
        device: Where to compute.

    Example:
        >>> stream = StreamedScores(height, width)
        >>> for window in stream.windows():
        ...     top, left, bottom, right = window.read
        ...     stream.add(window, *(read(top, left, bottom, right) for read in readers))
        >>> stream.scores()

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
    ) -> None:
        """Add one tile.

        Args:
            window: One of :meth:`windows`.
            ir: Infrared pixels of ``window.read``, of a kind that ``to_grey255`` takes.
            vi: Visible pixels, likewise.
            fused: Fused pixels, likewise.

        Raises:
            MetricError: The tile was added before or is none of the image's, or an array hasn't
                the window's shape or can't be turned into grey values.
        """
        if window.core not in self._missing:
            raise MetricError(
                f"metric score: the tile {window.core} was added before or is none of the image; "
                "expected each of windows() once"
            )
        greys = {
            name: grey_tensor(array) for name, array in (("ir", ir), ("vi", vi), ("fused", fused))
        }
        for name, grey in greys.items():
            if tuple(grey.shape[-2:]) != window.shape:
                raise MetricError(
                    f"metric score: {name} has shape {tuple(grey.shape[-2:])}, expected "
                    f"{window.shape}, the tile's core and halo; read the rows and columns of "
                    "window.read"
                )
        with torch.inference_mode():
            images = grey_images("score", **greys).to(self.device)
            tile = Tile.read(images, window, self.height, self.width)
            sums = tile_sums(tile, self.convention)
            self._sums = add_sums([self._sums, sums]) if self._sums else sums
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
        found = values(self._sums, self.height, self.width, self.convention)
        return {name: float(value) for name, value in found.items()}
