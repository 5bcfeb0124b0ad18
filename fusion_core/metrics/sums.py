"""The sums of an image's tiles, from which all seven metrics follow."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from fusion_core.metrics.conventions import METRIC_NAMES, Convention
from fusion_core.metrics.counts import SampleCounts, image_samples
from fusion_core.metrics.edges import edge_sums, edge_value
from fusion_core.metrics.gradients import difference_sums, frequency_value, gradient_value
from fusion_core.metrics.histogram_scd import correlation_value, entropy_value, pixel_sums
from fusion_core.metrics.kernels.tile_kernels import is_for, kernel_sums
from fusion_core.metrics.ssim import ssim_sums, ssim_value
from fusion_core.metrics.tiles import MetricTile, windows
from fusion_core.metrics.vif import vif_sums, vif_value

Sums = dict[str, torch.Tensor]
"""Sums over a tile by name, as the modules of the metrics add them up."""


def tile_sums(tile: MetricTile, convention: Convention) -> Sums:
    """Add up one tile for all seven metrics."""
    # The textbook's gradients are first differences and take the place of the central ones.
    if is_for(tile, convention):
        windows_and_edges = kernel_sums(tile)
    else:
        windows_and_edges = {
            "vif": vif_sums(tile),
            "ssim": ssim_sums(tile, convention),
            **edge_sums(tile, convention),
        }
    return {
        **windows_and_edges,
        **difference_sums(tile, convention),
        **pixel_sums(tile),
    }


def add_sums(parts: Iterable[Sums]) -> Sums:
    """Add up the sums of tiles; there must be one at least."""
    first, *rest = parts
    return {name: sum((part[name] for part in rest), first[name]) for name in first}


def image_sums(images: torch.Tensor, convention: Convention) -> Sums:
    """Add up whole images (3, B, H, W) uint8."""
    cut = windows(*images.shape[-2:])
    return add_sums(tile_sums(MetricTile.cut(images, window), convention) for window in cut)


def values(
    sums: Sums,
    height: int,
    width: int,
    *,
    convention: Convention,
    lost: SampleCounts | None = None,
) -> dict[str, torch.Tensor]:
    """Turn the sums of images of ``height`` x ``width`` pixels into their scores, each (B,).

    Args:
        sums: Their sums.
        height: Their height in pixels.
        width: Their width.
        convention: Which definitions were used.
        lost: How many samples did not count, for want of data.
    """
    whole = image_samples(height, width, convention)
    samples = whole - lost if lost else whole
    scores = {
        "vif": vif_value(sums["vif"], convention),
        "ag": gradient_value(sums["gradients"], height, width, samples["ag"] / max(whole["ag"], 1)),
        "scd": correlation_value(sums["sums"], sums["products"], samples["pixels"]),
        "qabf": edge_value(sums["edges"]),
        "sf": frequency_value(sums["differences"], samples, convention),
        "en": entropy_value(sums["histogram"]),
        "ssim": ssim_value(sums["ssim"], samples["ssim"], convention),
    }
    return {name: scores[name] for name in METRIC_NAMES}
