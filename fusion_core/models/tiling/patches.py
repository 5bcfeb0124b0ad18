"""Takes samples from all over an image and lays them out as one small image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fusion_core.models.tiling.grid import Slices


class Luminances(Protocol):
    """Infrared and visible luminance in [0, 1], (H, W), float32."""

    @property
    def ir(self) -> NDArray[np.float32]:
        """Infrared."""
        ...

    @property
    def vi(self) -> NDArray[np.float32]:
        """Visible."""
        ...


def sample_patches(
    read: Callable[[Slices], Luminances], size: tuple[int, int], cells: int, side: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Take full-resolution samples from all over a pair of images.

    Args:
        read: Gives the luminances of a window.
        size: Height and width of the images.
        cells: Cells of a grid over the images, along each side; each gives one patch.
        side: Side of a patch in pixels. Where the patches would cover a side of the images, that
            side is taken whole.

    Returns:
        Infrared and visible luminance in [0, 1], (h, w).
    """
    rows, columns = (_samples(total, cells, side) for total in size)
    strips = []
    for row in rows:
        parts = [read((row, column)) for column in columns]
        strips.append(
            [np.concatenate(plane, 1) for plane in ([p.ir for p in parts], [p.vi for p in parts])]
        )
    ir, vi = (np.concatenate(plane, 0) for plane in zip(*strips, strict=True))
    return ir, vi


def _samples(total: int, cells: int, side: int) -> list[slice]:
    """Return the middle of each of so many cells of a side, or the whole side."""
    if total <= cells * side:
        return [slice(0, total)]
    starts = (int((k + 0.5) * total / cells - side / 2) for k in range(cells))
    return [slice(start, start + side) for start in starts]
