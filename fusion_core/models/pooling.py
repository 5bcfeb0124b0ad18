"""Pooling for tiles: over the whole scene that they are part of, and not over each by itself.

Two blocks see more than their surroundings: PSIM attends over a grid that spans the image, and FIM
weighs channels by their mean over it. Were a tile to pool over itself, neighbours would disagree
where they meet. So a preview of the whole scene goes through the network once, what it pooled is
kept, and every tile takes its place in that.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from fusion_core.models.blocks import PSIM, resize
from fusion_core.models.grid_sampling import sampling_matrix


class Weighing(Protocol):
    """A block that takes weights from whole images, such as FIM."""

    def weigh(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Return (B, D, 1, 1) of features or images (B, C, H, W)."""
        ...


class Pooling(Protocol):
    """The pooled values that the network uses in place of those of the image itself."""

    def attended(self, level: int, block: PSIM, ir: Tensor, vi: Tensor) -> Tensor:
        """Return what PSIM adds to both modalities, (B, 2C, H, W), for features (B, C, H, W)."""
        ...

    def weights(self, block: Weighing, deep: Tensor, shallow: Tensor) -> Tensor:
        """Return what a block such as FIM weighs, (B, D, 1, 1)."""
        ...


@dataclass
class PreviewPooling:
    """Pools over a preview of a scene and keeps the result for the scene's tiles.

    Attributes:
        grids: What PSIM attended to, (1, 2C, g, g), by level.
        channel_weights: FIM's weights, (1, D, 1, 1), or a mini network's levels; None in a network
            without either.
    """

    grids: dict[int, Tensor] = field(default_factory=dict)
    channel_weights: Tensor | None = None

    def attended(self, level: int, block: PSIM, ir: Tensor, vi: Tensor) -> Tensor:
        """Attend over the preview, and keep the grid."""
        self.grids[level] = block.attend(ir, vi)
        return resize(self.grids[level], (ir.shape[-2], ir.shape[-1]))

    def weights(self, block: Weighing, deep: Tensor, shallow: Tensor) -> Tensor:
        """Weigh the preview's channels, and keep the weights."""
        self.channel_weights = block.weigh(deep, shallow)
        return self.channel_weights


@dataclass(frozen=True)
class TilePooling:
    """The part of a scene's pooling that belongs to one tile.

    Attributes:
        preview: The preview's pooling.
        rows: First row of the tile and number of rows, as shares of the scene's height; a tile
            padded beyond the scene's edge may start below 0 or end beyond 1.
        columns: The same for its columns and the scene's width.
    """

    preview: PreviewPooling
    rows: tuple[float, float]
    columns: tuple[float, float]

    def attended(self, level: int, block: PSIM, ir: Tensor, vi: Tensor) -> Tensor:
        """Return the tile's part of the scene's grid, (1, 2C, H, W)."""
        part = self.part(level, *ir.shape[-2:])
        return part.to(ir.dtype, memory_format=torch.channels_last)

    def weights(self, block: Weighing, deep: Tensor, shallow: Tensor) -> Tensor:
        """Return the scene's weights."""
        assert self.preview.channel_weights is not None
        return self.preview.channel_weights

    def part(self, level: int, height: int, width: int) -> Tensor:
        """Return the tile's part of the scene's grid, (1, 2C, height, width), in fp32."""
        grid = self.preview.grids[level]
        rows = sampling_matrix(grid.shape[-2], height, *self.rows).to(grid.device)
        columns = sampling_matrix(grid.shape[-1], width, *self.columns).to(grid.device)
        return rows @ grid.float() @ columns.mT


@dataclass(frozen=True)
class ScenePooling:
    """The pooling of a scene's preview, and how the preview lies over the scene.

    Both preview and tiles are padded before they enter the network: by a margin on all sides, and
    below and right to a multiple.

    Attributes:
        preview: What was pooled.
        preview_size: Height and width of the preview before it was padded.
        scene_size: Height and width of the scene.
        multiple: Padded sides are multiples of this number of pixels.
        margin: Pixels added on all sides.
    """

    preview: PreviewPooling
    _: KW_ONLY
    preview_size: tuple[int, int]
    scene_size: tuple[int, int]
    multiple: int
    margin: int

    def tile(self, rows: slice, columns: slice) -> TilePooling:
        """Return the pooling of the tile that is read at these rows and columns of the scene."""
        spans = (
            self._span(side, preview, scene)
            for side, preview, scene in zip(
                (rows, columns), self.preview_size, self.scene_size, strict=True
            )
        )
        return TilePooling(self.preview, *spans)

    def _span(self, side: slice, preview: int, scene: int) -> tuple[float, float]:
        """Return the start and extent of a padded side of a tile in the padded preview."""
        scale = preview / scene
        start = (side.start - self.margin) * scale + self.margin
        extent = self._padded(side.stop - side.start) * scale
        whole = self._padded(preview)
        return start / whole, extent / whole

    def _padded(self, size: int) -> int:
        return -(-(size + 2 * self.margin) // self.multiple) * self.multiple
