"""Counts the pixels, differences and windows that each metric is taken over."""

from __future__ import annotations

from collections import Counter

import torch

from fusion_core.metrics.conventions import VIF_WINDOWS, Convention
from fusion_core.metrics.masks import (
    difference_masks,
    edge_mask,
    gradient_mask,
    window_mask,
)
from fusion_core.metrics.ssim import WINDOW as SSIM_WINDOW
from fusion_core.metrics.tiles import MetricTile

SOBEL_WINDOW = 3
"""Side of Qabf's window in pixels."""

SampleCounts = Counter[str]
"""``pixels``, for EN and SCD; ``vertical`` and ``horizontal`` first differences, for SF; pixels
with a gradient, ``ag``; pixels with an edge strength, ``qabf``; windows, ``ssim``, and those of the
finest scale, ``vif``."""


def image_samples(height: int, width: int, convention: Convention) -> SampleCounts:
    """Count the samples of an image of ``height`` x ``width`` pixels that holds data only."""
    pixels = height * width
    textbook = convention == "textbook"
    return Counter(
        pixels=pixels,
        vertical=(height - 1) * width,
        horizontal=height * (width - 1),
        ag=(height - 1) * (width - 1) if textbook else pixels,
        qabf=_windows(height, width, SOBEL_WINDOW) if textbook else pixels,
        ssim=_windows(height, width, SSIM_WINDOW[convention]),
        vif=_windows(height, width, VIF_WINDOWS[0]),
    )


def lost_samples(tile: MetricTile, convention: Convention) -> SampleCounts:
    """Count the samples of a tile that do not count, because pixels of theirs hold no data.

    A window belongs to the tile whose core it starts in, so that an image's lost samples are the
    sum of its tiles'.
    """
    differences = difference_masks(tile)
    if differences is None:
        return Counter()
    vertical, horizontal = differences
    textbook = convention == "textbook"
    both = vertical[:, : horizontal.shape[1]] & horizontal[: vertical.shape[0]]
    masks = {
        "pixels": tile.data(),
        "vertical": vertical,
        "horizontal": horizontal,
        "ag": both if textbook else gradient_mask(tile),
        "qabf": window_mask(tile, SOBEL_WINDOW) if textbook else edge_mask(tile),
        "ssim": window_mask(tile, SSIM_WINDOW[convention]),
        "vif": window_mask(tile, VIF_WINDOWS[0]),
    }
    return Counter({name: _lost(mask) for name, mask in masks.items() if mask is not None})


def _windows(height: int, width: int, size: int) -> int:
    return max(height - size + 1, 0) * max(width - size + 1, 0)


def _lost(mask: torch.Tensor) -> int:
    return mask.numel() - int(mask.sum())
