"""Separable filters and windowed moments, kept to windows that lie inside the image."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch


class Moments(NamedTuple):
    """Windowed sums, weighted with the window's taps.

    Attributes:
        source: Sums of the sources, (2, B, 1, h, w).
        fused: Sums of the fused image, (1, B, 1, h, w).
        source_square: Sums of the squared sources, (2, B, 1, h, w).
        fused_square: Sums of the squared fused image, (1, B, 1, h, w).
        product: Sums of source times fused image, (2, B, 1, h, w).
    """

    source: torch.Tensor
    fused: torch.Tensor
    source_square: torch.Tensor
    fused_square: torch.Tensor
    product: torch.Tensor


def gaussian_taps(size: int, sigma: float) -> list[float]:
    """Return the taps of a Gaussian window.

    Args:
        size: Number of taps, odd; they lie at the offsets -(size - 1) / 2 to (size - 1) / 2.
        sigma: Standard deviation in pixels.

    Returns:
        ``size`` taps with sum 1.
    """
    centre = size // 2
    raw = [math.exp(-((i - centre) ** 2) / (2 * sigma**2)) for i in range(size)]
    total = math.fsum(raw)
    return [tap / total for tap in raw]


def correlate(images: torch.Tensor, taps: Sequence[float], dim: int, step: int = 1) -> torch.Tensor:
    """Correlate along one dimension, only where the window is inside ("valid").

    Sums of integers times integer taps are exact in float64, whatever their order.

    Args:
        images: Tensor of any shape, at least ``len(taps)`` long along ``dim``.
        taps: Weights, first to last; they are not mirrored.
        dim: Dimension to filter.
        step: Distance between the windows kept; the first one always is.

    Returns:
        Tensor with ``ceil((n - len(taps) + 1) / step)`` entries along ``dim`` in place of n.
    """
    windows = images.unfold(dim, len(taps), step)
    # Shifted sums: PyTorch's float64 convolution on CPUs takes some ten times as long.
    total = windows[..., 0] * taps[0]
    for position, tap in enumerate(taps[1:], start=1):
        total.add_(windows[..., position], alpha=tap)
    return total


def smooth(images: torch.Tensor, taps: Sequence[float], step: int = 1) -> torch.Tensor:
    """Filter rows and columns with the same taps, only where the window is inside ("valid").

    Args:
        images: Tensor (..., H, W), both sides at least ``len(taps)``.
        taps: Weights of the separable window along either axis.
        step: Distance between the windows kept, along both axes.

    Returns:
        Tensor (..., h, w) with h and w as for ``correlate``.
    """
    return correlate(correlate(images, taps, -2, step), taps, -1, step)


def moments(sources: torch.Tensor, fused: torch.Tensor, taps: Sequence[float]) -> Moments:
    """Sum first and second moments over each window; the fused image's serve both sources.

    Args:
        sources: Tensor (2, B, 1, H, W), both sides at least ``len(taps)``.
        fused: Tensor (1, B, 1, H, W).
        taps: Weights of the separable window along either axis.

    Returns:
        The weighted sums, each (1 or 2, B, 1, H - len(taps) + 1, W - len(taps) + 1).
    """
    stacked = torch.cat([sources, fused, sources.square(), fused.square(), sources * fused])
    sums = smooth(stacked, taps)
    return Moments(sums[:2], sums[2:3], sums[3:5], sums[5:6], sums[6:])
