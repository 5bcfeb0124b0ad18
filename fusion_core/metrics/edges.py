"""Qabf: how well the fused image keeps the sources' edges."""

from __future__ import annotations

import math

import torch

from fusion_core.metrics.conventions import Convention
from fusion_core.metrics.gradients import central_gradient_sum
from fusion_core.metrics.masks import counted_blocks, edge_mask, gradient_mask
from fusion_core.metrics.tiles import Block, MetricTile, sum_pixels

STRENGTH_GAIN, STRENGTH_SLOPE, STRENGTH_CENTRE = 0.9994, 15.0, 0.5
ANGLE_GAIN, ANGLE_SLOPE, ANGLE_CENTRE = 0.9879, 22.0, 0.8

# Larger than any gradient, so that gx + gy / _STEEP has the sign of gx unless that is 0.
_STEEP = 4096.0


def edge_sums(tile: MetricTile, convention: Convention = "published") -> dict[str, torch.Tensor]:
    """Add up a tile's edges and gradients, which are made of the same central differences.

    Returns:
        ``edges``: (2, B), edge strength kept and edge strength there was, over both sources, if
        the tile holds sources; ``gradients``: (B,), see ``central_gradient_sum``. In fp64.
    """
    images = tile.padded
    batch = images.shape[1]
    edges = images.new_zeros(2, batch, dtype=torch.float64)
    gradients = images.new_zeros(batch, dtype=torch.float64)
    edge_pixels = edge_mask(tile)
    # Where a pixel has an edge it has a gradient as well.
    for block, counted in counted_blocks(*tile.size, images, gradient_mask(tile)):
        part = block.cut(images, 2)
        across = part[..., :-2] - part[..., 2:]
        down = part[..., 2:, :] - part[..., :-2, :]
        if len(images) == 3:
            edges += _edges_kept(
                across, down, tile=tile, block=block, convention=convention, mask=edge_pixels
            )
        gradients += central_gradient_sum(
            tile, block, part[-1], across=across[-1], down=down[-1], counted=counted
        )
    sums = {"gradients": gradients}
    return sums | {"edges": edges} if len(images) == 3 else sums


def edge_share(strength: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Return the share of an edge that counts as kept, of the shares of strength and angle kept."""
    of_strength = torch.sigmoid(STRENGTH_SLOPE * (strength - STRENGTH_CENTRE))
    of_angle = torch.sigmoid(ANGLE_SLOPE * (angle - ANGLE_CENTRE))
    return STRENGTH_GAIN * of_strength * ANGLE_GAIN * of_angle


def edge_value(sums: torch.Tensor) -> torch.Tensor:
    """Turn sums over an image's tiles into Qabf, (B,)."""
    return sums[0] / sums[1]


def _edges_kept(
    across: torch.Tensor,
    down: torch.Tensor,
    *,
    tile: MetricTile,
    block: Block,
    convention: Convention,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Return the edge strength kept and the edge strength there was, (2, B)."""
    # Sobel filters; whole numbers, so that gx = 0 and equal strengths are exact.
    gx = torch.add(across[..., :-2, :], across[..., 1:-1, :], alpha=2).add_(across[..., 2:, :])
    gy = torch.add(down[..., :-2], down[..., 1:-1], alpha=2).add_(down[..., 2:])
    squares = (gx * gx).addcmul_(gy, gy)
    strength = squares.sqrt()
    alignment = _angles_kept(gx, gy, squares)
    kept = _strengths_kept(strength, convention).mul_(alignment).mul_(strength[:2])
    there = strength[:2]
    counted = None if mask is None else block.cut(mask)
    if convention == "textbook":
        kept, there = (_inside(maps, tile, block) for maps in (kept, there))
        counted = None if counted is None else _inside(counted, tile, block)
    gain = STRENGTH_GAIN * ANGLE_GAIN
    sums = [sum_pixels(maps, counted).sum(dim=0) for maps in (kept, there)]
    return torch.stack([gain * sums[0], sums[1]])


def _strengths_kept(strength: torch.Tensor, convention: Convention) -> torch.Tensor:
    """Return the share of each source's edge strength that is kept, (2, B, h, w), without gain."""
    weaker = torch.minimum(strength[:2], strength[2])
    stronger = torch.maximum(strength[:2], strength[2])
    # Strengths are equal where their squares, whole numbers below 2^22, are.
    equal = torch.eq(weaker, stronger)
    if convention == "published":
        # Where strengths are equal, the code behind the tables takes the strength itself.
        stronger.masked_fill_(equal, 1)
    else:
        weaker.masked_fill_(equal, 1)
        stronger.masked_fill_(equal, 1)
    ratio = weaker.div_(stronger)
    return torch.rsub(ratio, -STRENGTH_CENTRE * STRENGTH_SLOPE, alpha=-STRENGTH_SLOPE).sigmoid_()


def _angles_kept(gx: torch.Tensor, gy: torch.Tensor, squares: torch.Tensor) -> torch.Tensor:
    """Return the share of each source's edge angle that is kept, (2, B, h, w), without gain.

    The difference of two angles atan(gy / gx), +pi/2 where gx = 0, is the angle between the two
    gradients once each is turned by 180 degrees if need be so that gx > 0, or gx = 0 and gy > 0.
    """
    half = torch.add(gx, gy, alpha=1 / _STEEP).sign_()
    # A flat fused image has the angle pi/2 as well: a gradient (0, 1) in place of (0, 0).
    flat = 1 - squares[2].clamp(max=1)
    gy[2] += flat
    half[2] += flat
    dot = (gx[:2] * gx[2]).addcmul_(gy[:2], gy[2]).mul_(half[:2]).mul_(half[2])
    cross = (gy[:2] * gx[2]).addcmul_(gx[:2], gy[2], value=-1).abs_()
    slope = ANGLE_SLOPE / (math.pi / 2)
    angle = cross.atan2_(dot)
    return torch.rsub(angle, ANGLE_SLOPE * (1 - ANGLE_CENTRE), alpha=slope).sigmoid_()


def _inside(maps: torch.Tensor, tile: MetricTile, block: Block) -> torch.Tensor:
    """Leave out the pixels at the image's border."""
    (height, width), (rows, columns) = tile.size, block
    top = int(tile.window.core[0] == 0 and rows.start == 0)
    left = int(tile.window.core[1] == 0 and columns.start == 0)
    bottom = int(tile.last_row and rows.stop == height)
    right = int(tile.last_column and columns.stop == width)
    return maps[..., top : maps.shape[-2] - bottom, left : maps.shape[-1] - right]
