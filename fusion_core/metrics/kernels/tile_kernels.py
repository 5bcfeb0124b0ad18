"""Sums of a tile by compiled loops, in place of those by PyTorch."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.metrics.conventions import VIF_WINDOWS, Convention
from fusion_core.metrics.filters import gaussian_taps
from fusion_core.metrics.kernels.compiling import is_installed
from fusion_core.metrics.tiles import HALO_AFTER, MetricTile, windows

_SSIM_WINDOW = 7


def is_for(tile: MetricTile, convention: Convention) -> bool:
    """Tell whether the loops add up such a tile: on a CPU, without gaps, as published."""
    fits = tile.images.is_cpu and tile.valid is None and len(tile.images) == 3
    return fits and convention == "published" and is_installed()


def compile_all() -> None:
    """Compile the loops where that hasn't been done yet, for else the first image waits for it."""
    images = torch.zeros(3, 1, 64, 64, dtype=torch.uint8)
    kernel_sums(MetricTile.cut(images, next(windows(64, 64))))


def kernel_sums(tile: MetricTile) -> dict[str, torch.Tensor]:
    """Add up VIF, SSIM, Qabf and AG of a tile; see ``vif_sums``, ``ssim_sums``, ``edge_sums``."""
    images = [_image_sums(tile, k) for k in range(tile.images.shape[1])]
    return {name: torch.stack([sums[name] for sums in images], -_AXES[name]) for name in _AXES}


_AXES = {"vif": 2, "ssim": 1, "edges": 1, "gradients": 1}
"""Where the batch is among each sum's axes, counted from the last."""


def _image_sums(tile: MetricTile, index: int) -> dict[str, torch.Tensor]:
    """Add up one image of the batch."""
    from fusion_core.metrics.kernels.edge_strength import edge_strength_sums
    from fusion_core.metrics.kernels.information import information_sums
    from fusion_core.metrics.kernels.similarity import similarity_sums

    grey = _array(tile.grey(HALO_AFTER)[:, index])
    centred = grey - tile.centre[:, index].double().numpy()
    windows = _array(tile.grey(_SSIM_WINDOW - 1)[:, index])
    similarity = np.zeros(2)
    if min(windows.shape[1:]) >= _SSIM_WINDOW:
        similarity = similarity_sums(windows)
    left, right, top, bottom = (bool(beyond) for beyond in tile.beyond)
    around = _array(tile.around[:, index])
    *edges, gradients = edge_strength_sums(around, top, left, bottom, right)
    return {
        "vif": torch.from_numpy(information_sums(centred, _taps(), *tile.size)),
        "ssim": torch.from_numpy(similarity),
        "edges": torch.tensor(edges, dtype=torch.float64),
        "gradients": torch.tensor(gradients, dtype=torch.float64),
    }


def _array(images: torch.Tensor) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images.numpy())


@cache
def _taps() -> tuple[NDArray[np.float64], ...]:
    return tuple(np.array(gaussian_taps(size, size / 5)) for size in VIF_WINDOWS)
