"""Cuts an image into the tiles that every metric adds up, and a tile into blocks.

The tile is the unit of computation: the sums of an image are the sums of its tiles, whether they
come from memory at once or one by one from a scene too large for it. A tile owns its core, and
reads a halo around it, because a window that starts in the core may end outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F

_BLOCK = (120, 640)
"""Height and width of a block. Larger ones leave the cache, smaller ones cost more calls than they
save (measured)."""

TILE = 1024
"""Side of a tile's core in pixels; cores lie on multiples of it."""

HALO_BEFORE = 1
"""Pixels read above and left of a core, for central differences and the Sobel filter."""

HALO_AFTER = 40
"""Pixels read below and right of a core: a window of VIF's coarsest scale spans 41."""


@dataclass(frozen=True)
class Window:
    """Where a tile lies in its image, in pixels; ends are exclusive.

    Attributes:
        core: Rows and columns (top, left, bottom, right) that the tile owns.
        read: Rows and columns that have to be read for it: the core and its halo, as far as the
            image reaches.
    """

    core: tuple[int, int, int, int]
    read: tuple[int, int, int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of what is read."""
        top, left, bottom, right = self.read
        return bottom - top, right - left


def windows(height: int, width: int) -> Iterator[Window]:
    """Cut an image of ``height`` x ``width`` pixels into tiles, row by row."""
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            bottom, right = min(top + TILE, height), min(left + TILE, width)
            read = (
                max(top - HALO_BEFORE, 0),
                max(left - HALO_BEFORE, 0),
                min(bottom + HALO_AFTER, height),
                min(right + HALO_AFTER, width),
            )
            yield Window((top, left, bottom, right), read)


class Block(NamedTuple):
    """A part of a tile's core, or of the samples of its windows."""

    rows: slice
    columns: slice

    def cut(self, maps: torch.Tensor, more: int = 0) -> torch.Tensor:
        """Take the block and ``more`` pixels below and right of it out of maps (..., H, W)."""
        return maps[
            ...,
            self.rows.start : self.rows.stop + more,
            self.columns.start : self.columns.stop + more,
        ]


@dataclass(frozen=True)
class MetricTile:
    """The pixels of one tile.

    Attributes:
        images: What was read, (K, B, h, w) uint8: infrared, visible and fused image, or the fused
            image alone; the fused one is always the last.
        window: Where it lies.
        last_row: Whether the core reaches the image's last row.
        last_column: Whether it reaches its last column.
        valid: Where what was read holds data, (h, w) bool; None where it does throughout. The
            images are black elsewhere.
    """

    images: torch.Tensor
    window: Window
    _: KW_ONLY
    last_row: bool
    last_column: bool
    valid: torch.Tensor | None = None

    @classmethod
    def cut(cls, images: torch.Tensor, window: Window) -> MetricTile:
        """Take a tile out of whole images (K, B, H, W)."""
        top, left, bottom, right = window.read
        height, width = images.shape[-2:]
        part = images[..., top:bottom, left:right]
        return cls.read(part, window, height=height, width=width)

    @classmethod
    def read(
        cls,
        images: torch.Tensor,
        window: Window,
        *,
        height: int,
        width: int,
        valid: torch.Tensor | None = None,
    ) -> MetricTile:
        """Make a tile of what was read for a window of an image of ``height`` x ``width``."""
        bottom, right = window.core[2:]
        return cls(
            images, window, last_row=bottom == height, last_column=right == width, valid=valid
        )

    @property
    def top(self) -> int:
        """First row of the core in ``images``."""
        return self.window.core[0] - self.window.read[0]

    @property
    def left(self) -> int:
        """First column of the core in ``images``."""
        return self.window.core[1] - self.window.read[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the core."""
        top, left, bottom, right = self.window.core
        return bottom - top, right - left

    @property
    def width(self) -> int:
        """Columns of the core and the halo after it."""
        return int(self.images.shape[-1]) - self.left

    def grey(self, after: int = 0) -> torch.Tensor:
        """Return the core and up to ``after`` pixels below and right of it, uint8."""
        return self._core(self.images, after)

    def data(self, after: int = 0) -> torch.Tensor | None:
        """Return which pixels of ``grey`` hold data."""
        return None if self.valid is None else self._core(self.valid, after)

    @cached_property
    def centre(self) -> torch.Tensor:
        """Mean grey value of each image over the tile, (K, B, 1, 1), rounded to an integer.

        Values around it are small, so that their squares keep their digits in fp32.
        """
        if self.valid is not None:
            count = self.valid.sum().clamp_(min=1)
            sums = self.images.sum((-2, -1), keepdim=True, dtype=torch.float64)
            return (sums / count).round_().to(torch.float32)
        return self.images.mean((-2, -1), keepdim=True, dtype=torch.float32).round_()

    @cached_property
    def padded(self) -> torch.Tensor:
        """Core and one pixel around it, grey values minus ``centre``, fp32.

        Where the image ends, the pixel around it is black, as the Sobel filter of Qabf wants it.
        (K, B, h + 2, w + 2) for a core of h x w.
        """
        return self.around.to(torch.float32).sub_(self.centre)

    @cached_property
    def around(self) -> torch.Tensor:
        """The grey values of ``padded``, uint8."""
        return F.pad(self.reach(self.images), self.beyond)

    @property
    def beyond(self) -> tuple[int, int, int, int]:
        """Pixels around the core that lie outside the image: left, right, top, bottom."""
        top, left = self.window.core[:2]
        return int(left == 0), int(self.last_column), int(top == 0), int(self.last_row)

    def reach(self, maps: torch.Tensor) -> torch.Tensor:
        """Take the core and the pixels around it that lie in the image out of (..., h, w)."""
        height, width = self.size
        return maps[
            ...,
            : self.top + height + (not self.last_row),
            : self.left + width + (not self.last_column),
        ]

    def centred(self, padded_width: int) -> torch.Tensor:
        """Return the core and the whole halo after it, grey values minus ``centre``, fp32.

        Args:
            padded_width: So many columns are returned; those beyond the halo are 0.
        """
        grey = self.grey(HALO_AFTER)
        width = grey.shape[-1]
        planes = self.centre.new_empty(*grey.shape[:-1], padded_width)
        planes[..., width:] = 0
        planes[..., :width].copy_(grey).sub_(self.centre)
        return planes

    def _core(self, maps: torch.Tensor, after: int) -> torch.Tensor:
        height, width = self.size
        return maps[
            ..., self.top : self.top + height + after, self.left : self.left + width + after
        ]


def blocks(height: int, width: int, batch: int, device: torch.device) -> Iterator[Block]:
    """Cut ``height`` x ``width`` samples into blocks whose maps stay in a CPU's cache.

    Args:
        height: Number of rows.
        width: Number of columns.
        batch: Images in a batch; they count as if they lay side by side.
        device: Where the maps are; a GPU takes all at once.
    """
    if device.type != "cpu":
        yield Block(slice(0, height), slice(0, width))
        return
    columns = max(1, round(width * batch / _BLOCK[1]))
    rows = max(1, round(height / _BLOCK[0]))
    for i in range(rows):
        for j in range(min(columns, width)):
            yield Block(_part(height, i, rows), _part(width, j, min(columns, width)))


def _part(total: int, index: int, count: int) -> slice:
    return slice(total * index // count, total * (index + 1) // count)


def sum_pixels(maps: torch.Tensor, counted: torch.Tensor | None = None) -> torch.Tensor:
    """Add up the last two dimensions: rows in the maps' own type, then in fp64.

    Args:
        maps: Maps (..., H, W).
        counted: Which pixels are added up, (H, W) bool; all of them if None.
    """
    if counted is not None:
        maps = torch.where(counted, maps, 0)
    return maps.sum(-1).sum(-1, dtype=torch.float64)
