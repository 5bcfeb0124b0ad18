"""AG and SF: how strongly the fused image varies from pixel to pixel."""

from __future__ import annotations

import math

import torch

from fusion_core.metrics.conventions import Convention
from fusion_core.metrics.counts import SampleCounts
from fusion_core.metrics.masks import difference_masks
from fusion_core.metrics.tiles import Block, MetricTile, sum_pixels


def central_gradient_sum(
    tile: MetricTile,
    block: Block,
    part: torch.Tensor,
    *,
    across: torch.Tensor,
    down: torch.Tensor,
    counted: torch.Tensor | None = None,
) -> torch.Tensor:
    """Add up sqrt((dx^2 + dy^2) / 2) with differences as of ``numpy.gradient``, (B,) in fp64.

    Args:
        tile: The tile.
        block: The block in the tile's core.
        part: The block of the fused image with a border of one pixel, (B, h + 2, w + 2).
        across: Its horizontal central differences, doubled, (B, h + 2, w); overwritten.
        down: Its vertical central differences, doubled, (B, h, w + 2); overwritten.
        counted: Which pixels count, (h, w) bool; all of them if None.
    """
    across, down = across[..., 1:-1, :], down[..., 1:-1]
    inner = part[..., 1:-1]
    if tile.window.core[0] == 0 and block.rows.start == 0:
        down[..., 0, :] = 2 * (inner[..., 2, :] - inner[..., 1, :])
    if tile.last_row and block.rows.stop == tile.size[0]:
        down[..., -1, :] = 2 * (inner[..., -2, :] - inner[..., -3, :])
    inner = part[..., 1:-1, :]
    if tile.window.core[1] == 0 and block.columns.start == 0:
        across[..., 0] = 2 * (inner[..., 2] - inner[..., 1])
    if tile.last_column and block.columns.stop == tile.size[1]:
        across[..., -1] = 2 * (inner[..., -2] - inner[..., -3])
    strength = across.square_().addcmul_(down, down).sqrt_()
    return sum_pixels(strength, counted) / math.sqrt(8)


def difference_sums(
    tile: MetricTile, convention: Convention = "published"
) -> dict[str, torch.Tensor]:
    """Add up a tile's squared first differences of the fused image, in fp64.

    Returns:
        ``differences``: (2, B), the squared vertical and horizontal differences;
        ``gradients``, for the textbook convention: (B,), sqrt((dx^2 + dy^2) / 2).
    """
    height, width = tile.size
    rows, columns = height - tile.last_row, width - tile.last_column
    fused = tile.padded[-1]
    core = fused[:, 1:-1, 1:-1]
    vertical = fused[:, 2 : rows + 2, 1:-1] - core[:, :rows]
    horizontal = fused[:, 1:-1, 2 : columns + 2] - core[..., :columns]
    vertical.square_()
    horizontal.square_()
    masks = difference_masks(tile)
    if masks is not None:
        # A difference that does not count is 0, as if the image were flat there.
        vertical *= masks[0]
        horizontal *= masks[1]
    sums = {"differences": torch.stack([sum_pixels(vertical), sum_pixels(horizontal)])}
    if convention == "textbook":
        both = vertical[..., :columns] + horizontal[:, :rows]
        counted = None if masks is None else masks[0][:, :columns] & masks[1][:rows]
        sums["gradients"] = sum_pixels(both.mul_(0.5).sqrt_(), counted)
    return sums


def gradient_value(sums: torch.Tensor, height: int, width: int, share: float = 1.0) -> torch.Tensor:
    """Turn sums over an image's tiles into AG, (B,); NaN where a side is 1 px.

    Args:
        sums: The ``gradients`` of ``edge_sums``, or for the textbook convention those of
            ``difference_sums``.
        height: Height of the image in pixels.
        width: Its width.
        share: Share of its gradients that were added up; NaN comes of 0.
    """
    if min(height, width) < 2:
        return torch.full_like(sums, torch.nan)
    return sums / ((height - 1) * (width - 1) * share)


def frequency_value(
    sums: torch.Tensor, samples: SampleCounts, convention: Convention = "published"
) -> torch.Tensor:
    """Turn sums over an image's tiles into SF, (B,); NaN where either difference is missing.

    Args:
        sums: The ``differences`` of ``difference_sums``.
        samples: How many differences, and pixels, there are.
        convention: Which definition to use.
    """
    vertical, horizontal = samples["vertical"], samples["horizontal"]
    if min(vertical, horizontal) == 0:
        return torch.full_like(sums[0], torch.nan)
    if convention == "textbook":
        vertical = horizontal = samples["pixels"]
    return (sums[0] / vertical + sums[1] / horizontal).sqrt()
