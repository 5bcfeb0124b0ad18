"""SSIM: structural similarity."""

from __future__ import annotations

import torch

from fusion_core.metrics.conventions import Convention
from fusion_core.metrics.filters import box_sums, gaussian_taps
from fusion_core.metrics.masks import counted_blocks, window_mask
from fusion_core.metrics.moments import local_moments
from fusion_core.metrics.tiles import MetricTile, sum_pixels

WINDOW = {"published": 7, "textbook": 11}
"""Side of the window in pixels."""

_RANGE = {"published": 2.0, "textbook": 255.0}
_SIGMA = 1.5


def ssim_sums(tile: MetricTile, convention: Convention = "published") -> torch.Tensor:
    """Add up the similarity over the windows of a tile, (2 sources, B) in fp64."""
    size = WINDOW[convention]
    images = tile.grey(after=size - 1)
    sums = images.new_zeros(2, images.shape[1], dtype=torch.float64)
    if min(images.shape[-2:]) < size:
        return sums
    height, width = (side - size + 1 for side in images.shape[-2:])
    for block, counted in counted_blocks(height, width, images, window_mask(tile, size)):
        part = block.cut(images, size - 1)
        if convention == "published":
            sums += 4 * sum_pixels(_published(part), counted)
        else:
            sums += sum_pixels(_textbook(part, tile.centre), counted)
    return sums


def ssim_value(
    sums: torch.Tensor, count: int, convention: Convention = "published"
) -> torch.Tensor:
    """Turn sums over an image's ``count`` windows into its value, (B,); NaN where it has none."""
    means = sums / count if count else torch.full_like(sums, torch.nan)
    return means.sum(dim=0) if convention == "published" else means.mean(dim=0)


def _published(images: torch.Tensor) -> torch.Tensor:
    """Return a quarter of the similarity in 7 x 7 uniform windows, (2, B, h, w).

    Sums of whole numbers are exact, which the published range of 2 demands: its constants are so
    small that rounding in the variances would show. Each factor is scaled by n^2 or n (n - 1) / 2.
    """
    count = WINDOW["published"] ** 2
    c1 = (0.01 * _RANGE["published"]) ** 2 * count**2 / 2
    c2 = (0.03 * _RANGE["published"]) ** 2 * count * (count - 1) / 2
    sums = box_sums(images.to(torch.int16)).to(torch.int32)
    grey = images.to(torch.int32)
    mean_products = sums[:2] * sums[2]
    covariances = box_sums(grey[:2] * grey[2]).mul_(count).sub_(mean_products)
    sums *= sums
    grey *= grey
    mean_squares = sums[:2].add_(sums[2])
    variances = box_sums(grey[:2].add_(grey[2])).mul_(count).sub_(mean_squares)
    # Converted first: PyTorch adds reals to integers several times as slowly.
    similarity = mean_products.to(torch.float32).add_(c1)
    similarity *= covariances.to(torch.float32).add_(c2)
    similarity /= mean_squares.to(torch.float32).add_(2 * c1)
    similarity /= variances.to(torch.float32).add_(2 * c2)
    return similarity


def _textbook(images: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Return the similarity in 11 x 11 Gaussian windows, (2, B, h, w)."""
    c1, c2 = (0.01 * _RANGE["textbook"]) ** 2, (0.03 * _RANGE["textbook"]) ** 2
    taps = gaussian_taps(WINDOW["textbook"], _SIGMA)
    # In fp64: the variances of flat windows are small beside the squares that they are made of.
    moments = local_moments(images.to(torch.float64) - centre, taps)
    means, variances = moments.means + centre, moments.variances
    similarity = 2 * means[:2] * means[2] + c1
    similarity *= 2 * moments.covariances + c2
    similarity /= means[:2] ** 2 + means[2] ** 2 + c1
    similarity /= variances[:2] + variances[2] + c2
    return similarity
