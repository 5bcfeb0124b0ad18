"""Masks of a tile's pixels and windows that hold data only.

A mask tells for each place, be it a pixel, a difference or a window, whether all pixels that belong
to it hold data. It is None where the tile has no gaps, and then nothing is computed.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from fusion_core.metrics.tiles import Block, MetricTile, blocks


def all_valid(valid: torch.Tensor | None, size: int) -> torch.Tensor | None:
    """Tell for each window of ``size`` x ``size`` pixels in a mask whether it is True throughout.

    Args:
        valid: Mask (h, w).
        size: Side of the window in pixels.

    Returns:
        Mask (h - size + 1, w - size + 1) by the window's first pixel; empty where none fits.
    """
    if valid is None:
        return None
    # Two windows that together cover a larger one say all about it, so their side can double.
    span = 1
    while span < size:
        step = min(span, size - span)
        valid = valid[:-step] & valid[step:]
        valid = valid[:, :-step] & valid[:, step:]
        span += step
    return valid


def window_mask(tile: MetricTile, size: int) -> torch.Tensor | None:
    """Mask the windows of ``size`` x ``size`` pixels that start in the core."""
    return all_valid(tile.data(size - 1), size)


def edge_mask(tile: MetricTile) -> torch.Tensor | None:
    """Mask the core's pixels by their 3 x 3 neighbourhood, as far as it lies in the image."""
    return all_valid(_around(tile), 3)


def gradient_mask(tile: MetricTile) -> torch.Tensor | None:
    """Mask the core's pixels by themselves and their four neighbours, as far as there are any.

    At the image's border these are the pixels that a one-sided difference reads.
    """
    around = _around(tile)
    if around is None:
        return None
    vertical = around[:-2, 1:-1] & around[2:, 1:-1]
    horizontal = around[1:-1, :-2] & around[1:-1, 2:]
    return around[1:-1, 1:-1] & vertical & horizontal


def difference_masks(tile: MetricTile) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Mask the vertical and the horizontal first differences that start in the core."""
    data = tile.data(1)
    if data is None:
        return None
    height, width = tile.size
    vertical, horizontal = data[1:] & data[:-1], data[:, 1:] & data[:, :-1]
    return vertical[:, :width], horizontal[:height]


def counted_blocks(
    height: int, width: int, images: torch.Tensor, mask: torch.Tensor | None
) -> Iterator[tuple[Block, torch.Tensor | None]]:
    """Cut ``height`` x ``width`` samples into blocks, see ``blocks``, and leave out empty ones.

    Args:
        height: Number of rows.
        width: Number of columns.
        images: The images, (K, B, ...).
        mask: Mask of the samples, at least (height, width).

    Yields:
        A block and its part of the mask, None where that is True throughout.
    """
    for block in blocks(height, width, images.shape[1], images.device):
        if mask is None:
            yield block, None
            continue
        counted = block.cut(mask)
        if counted.any():
            yield block, None if counted.all() else counted


def _around(tile: MetricTile) -> torch.Tensor | None:
    """Return the mask of ``tile.padded``, (h + 2, w + 2); beyond the image all is valid."""
    if tile.valid is None:
        return None
    return F.pad(tile.reach(tile.valid), tile.beyond, value=True)
