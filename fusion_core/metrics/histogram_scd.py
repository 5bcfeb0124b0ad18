"""EN and SCD: metrics that ignore where the pixels are."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from fusion_core.metrics.tiles import MetricTile

_EXACT = 256
"""So many products of grey values add up exactly in fp32: 256 x 255 x 255 < 2^24."""


def pixel_sums(tile: MetricTile) -> dict[str, torch.Tensor]:
    """Count and add up a tile's pixels, exactly.

    Returns:
        int64 tensors. ``histogram``: (B, 256) of the fused image; if the tile holds sources, also
        ``sums``: (B, 3) of the grey values and ``products``: (B, 3, 3) of them two by two, for A,
        B and F.
    """
    # Pixels without data are black, and add nothing but to the first bin of the histogram.
    images, data = tile.grey(), tile.data()
    sums = {"histogram": _histogram(images[-1])}
    if data is not None:
        sums["histogram"][:, 0] -= data.logical_not().sum()
    if len(images) == 3:
        # On a GPU fp32 products may be rounded to fewer digits.
        pixels = images.flatten(2).to(torch.float32 if images.is_cpu else torch.float64)
        if missing := -pixels.shape[-1] % _EXACT:
            pixels = F.pad(pixels, (0, missing))
        blocks = pixels.view(*pixels.shape[:2], -1, _EXACT).permute(1, 2, 0, 3)
        products = (blocks @ blocks.mT).sum(1, dtype=torch.float64)
        totals = blocks.sum(-1).sum(1, dtype=torch.float64)
        sums |= {"sums": totals.to(torch.int64), "products": products.to(torch.int64)}
    return sums


def entropy_value(histogram: torch.Tensor) -> torch.Tensor:
    """Turn a histogram (B, 256) into EN, (B,)."""
    shares = histogram / histogram.sum(dim=1, keepdim=True, dtype=torch.float64)
    bits: torch.Tensor = torch.special.entr(shares).sum(dim=1) / math.log(2)
    return bits


def correlation_value(sums: torch.Tensor, products: torch.Tensor, pixels: int) -> torch.Tensor:
    """Turn sums over an image's ``pixels`` pixels into SCD, (B,); NaN as of ``0 / 0``."""
    if pixels == 0:
        return torch.full_like(sums[:, 0], torch.nan, dtype=torch.float64)
    # Moved to about 0 in integers, so that what is constant comes out as exactly 0.
    centre = sums // pixels
    outer = centre[:, :, None] * sums[:, None]
    shift = pixels * centre[:, :, None] * centre[:, None]
    centred = (products - outer - outer.mT + shift).to(torch.float64) / pixels
    means = (sums - pixels * centre).to(torch.float64) / pixels
    covariances = centred - means[:, :, None] * means[:, None]
    return _correlation(covariances, 0, 1) + _correlation(covariances, 1, 0)


def _correlation(covariances: torch.Tensor, kept: int, other: int) -> torch.Tensor:
    """Return Pearson's r of the difference between F and source ``other`` with source ``kept``."""
    difference = covariances[:, 2] - covariances[:, other]
    variance = difference[:, 2] - difference[:, other]
    return difference[:, kept] / (variance * covariances[:, kept, kept]).sqrt()


def _histogram(images: torch.Tensor) -> torch.Tensor:
    """Count the grey values of each image (B, H, W), (B, 256)."""
    count = len(images)
    if count == 1:
        return torch.bincount(images.flatten(), minlength=256)[None]
    offsets = 256 * torch.arange(count, device=images.device)[:, None]
    values = images.flatten(1).to(torch.int64) + offsets
    return torch.bincount(values.flatten(), minlength=256 * count).view(count, 256)
