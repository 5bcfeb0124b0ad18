"""VIF: visual information fidelity."""

from __future__ import annotations

import torch

from fusion_core.metrics.conventions import VIF_WINDOWS, Convention
from fusion_core.metrics.filters import gaussian_taps, padded_width, smooth
from fusion_core.metrics.masks import all_valid, counted_blocks
from fusion_core.metrics.moments import (
    LocalCovariances,
    LocalMoments,
    local_covariances,
    local_moments,
)
from fusion_core.metrics.tiles import HALO_AFTER, MetricTile, sum_pixels

NOISE_VARIANCE = 2.0
"""Variance of the visual noise, in squared grey values."""

_TINY = 1e-10
_HALVINGS = 3

_FEW = 1 << 16
"""Pixels up to which an image is worked on in float64: it has so few windows that what fp32 rounds
in each, a hundred-thousandth where a source has two near levels, isn't evened out."""


def vif_sums(tile: MetricTile) -> torch.Tensor:
    """Add up the information of a tile's windows, (2 sources, B, kept and available) in nats."""
    images = tile.centred(max(tile.width, padded_width(tile.width, VIF_WINDOWS[1], 2)))
    if few := images.shape[-2] * tile.width <= _FEW:
        images = images.double()
    covariances = local_moments if few else local_covariances
    (rows, columns), columns_read = tile.size, tile.width
    valid = tile.data(HALO_AFTER)
    sums = images.new_zeros(2, images.shape[1], 2, dtype=torch.float64)
    for scale, size in enumerate(VIF_WINDOWS):
        taps = gaussian_taps(size, size / 5)
        if scale > 0:
            if min(images.shape[-2], columns_read) < size:
                break
            images = smooth(images, taps, 2, columns_read)
            valid = all_valid(valid, size)
            valid = None if valid is None else valid[::2, ::2]
            columns_read = images.shape[-1]
            rows, columns = -(-rows // 2), -(-columns // 2)
        if min(images.shape[-2], columns_read) < size:
            break
        # Windows that start beyond the core belong to the next tile.
        height = min(rows, images.shape[-2] - size + 1)
        width = min(columns, columns_read - size + 1)
        for block, counted in counted_blocks(height, width, images, all_valid(valid, size)):
            sums += _information(covariances(block.cut(images, size - 1), taps), counted)
    return sums


def vif_value(sums: torch.Tensor, convention: Convention = "published") -> torch.Tensor:
    """Turn sums over an image's tiles into its value, (B,)."""
    ratios = sums[..., 0] / sums[..., 1]
    return ratios.sum(dim=0) if convention == "published" else ratios.mean(dim=0)


def _information(
    moments: LocalCovariances | LocalMoments, counted: torch.Tensor | None
) -> torch.Tensor:
    """Return the information kept and available at one scale, (2, B, 2), in nats."""
    variances = torch.threshold_(moments.variances, _TINY, 0.0)
    # A negative gain counts as none: all that the fused image holds is then noise.
    covariances = moments.covariances.clamp_(min=0)
    sources, fused = variances[:2], variances[2]
    # The part of the fused image's variance that the source explains. By Cauchy and Schwarz the
    # minimum changes nothing but what rounding has made.
    inverse = (sources + _TINY).reciprocal_()
    explained = torch.minimum(covariances.square_(), sources * fused).mul_(inverse)
    noise = (fused - explained).add_(NOISE_VARIANCE)
    signal = explained.mul_(inverse).mul_(sources)
    kept = _sum_log1p(signal.div_(noise), counted)
    available = _sum_log1p(sources.div_(NOISE_VARIANCE), counted)
    return torch.stack([kept, available], dim=-1)


def _sum_log1p(maps: torch.Tensor, counted: torch.Tensor | None) -> torch.Tensor:
    """Add up log(1 + x) of the last two dimensions, in fp64.

    A sum of logarithms is that of a product, and (1 + x) (1 + y) = 1 + (x + y + x y), which keeps
    the digits of small values. So one logarithm is taken for eight of them; eight factors of 2^13,
    the largest that grey values give, are far from the largest number of fp32.
    """
    if counted is not None:
        maps = torch.where(counted, maps, 0)
    total = maps.new_zeros(maps.shape[:-2], dtype=torch.float64)
    for _ in range(_HALVINGS):
        half = maps.shape[-2] // 2
        first, second, rest = (
            maps[..., :half, :],
            maps[..., half : 2 * half, :],
            maps[..., 2 * half :, :],
        )
        total += sum_pixels(rest.log1p())
        maps = torch.add(first, second).addcmul_(first, second)
    return total + sum_pixels(maps.log1p_())
