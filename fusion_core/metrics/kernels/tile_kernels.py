"""Sums of a tile by compiled loops, in place of those by PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.metrics.conventions import VIF_WINDOWS, Convention
from fusion_core.metrics.filters import gaussian_taps
from fusion_core.metrics.kernels.compiling import is_installed
from fusion_core.metrics.masks import all_valid, edge_mask, gradient_mask, window_mask
from fusion_core.metrics.ssim import WINDOW
from fusion_core.metrics.tiles import HALO_AFTER, MetricTile, windows

Mask = NDArray[np.uint8]
_SSIM_WINDOW = WINDOW["published"]


def is_for(tile: MetricTile, convention: Convention) -> bool:
    """Tell whether the loops add up such a tile: of a pair, on a CPU, as published."""
    fits = tile.images.is_cpu and len(tile.images) == 3
    return fits and convention == "published" and is_installed()


def compile_all() -> None:
    """Compile the loops where that hasn't been done yet, for else the first image waits for it."""
    images = torch.zeros(3, 1, 64, 64, dtype=torch.uint8)
    kernel_sums(MetricTile.cut(images, next(windows(64, 64))))


def kernel_sums(tile: MetricTile) -> dict[str, torch.Tensor]:
    """Add up VIF, SSIM, Qabf and AG of a tile; see ``vif_sums``, ``ssim_sums``, ``edge_sums``."""
    counted = _counted(tile)
    images = [_image_sums(tile, k, counted) for k in range(tile.images.shape[1])]
    return {name: torch.stack([sums[name] for sums in images], -_AXES[name]) for name in _AXES}


_AXES = {"vif": 2, "ssim": 1, "edges": 1, "gradients": 1}
"""Where the batch is among each sum's axes, counted from the last."""


class _Counted(NamedTuple):
    """Which windows and pixels of a tile count, 1 or 0, with all that they need holding data.

    Attributes:
        information: VIF's windows, for each scale that has any.
        similarity: SSIM's windows.
        edges: Pixels for Qabf.
        gradients: Pixels for AG.
    """

    information: list[Mask]
    similarity: Mask
    edges: Mask
    gradients: Mask


def _counted(tile: MetricTile) -> _Counted:
    information = []
    sides: tuple[int, ...] = tuple(tile.grey(HALO_AFTER).shape[-2:])
    valid = tile.data(HALO_AFTER)
    for scale, size in enumerate(VIF_WINDOWS):
        if scale:
            valid = all_valid(valid, size)
            valid = None if valid is None else valid[::2, ::2]
            sides = tuple((side - size) // 2 + 1 for side in sides)
        if min(sides) < size:
            break
        information.append(_mask(all_valid(valid, size), [side - size + 1 for side in sides]))
    starts = [max(0, side - _SSIM_WINDOW + 1) for side in tile.grey(_SSIM_WINDOW - 1).shape[-2:]]
    return _Counted(
        information,
        _mask(window_mask(tile, _SSIM_WINDOW), starts),
        _mask(edge_mask(tile), tile.size),
        _mask(gradient_mask(tile), tile.size),
    )


def _mask(counted: torch.Tensor | None, sides: Sequence[int]) -> Mask:
    """Return a mask as the loops take it; without one, all of (height, width) count."""
    if counted is None:
        return np.ones(sides, np.uint8)
    return _array(counted.to(torch.uint8))


def _image_sums(tile: MetricTile, index: int, counted: _Counted) -> dict[str, torch.Tensor]:
    """Add up one image of the batch."""
    from fusion_core.metrics.kernels.edge_strength import edge_strength_sums
    from fusion_core.metrics.kernels.information import information_sums
    from fusion_core.metrics.kernels.similarity import similarity_sums

    grey = _array(tile.grey(HALO_AFTER)[:, index])
    centred = grey - tile.centre[:, index].double().numpy()
    information = information_sums(centred, _taps(), *tile.size, counted.information)
    starts = _array(tile.grey(_SSIM_WINDOW - 1)[:, index])
    similarity = np.zeros(2)
    if min(starts.shape[1:]) >= _SSIM_WINDOW:
        similarity = similarity_sums(starts, counted.similarity)
    around = _array(tile.around[:, index])
    left, right, top, bottom = (bool(beyond) for beyond in tile.beyond)
    *edges, gradients = edge_strength_sums(
        around, counted.edges, counted.gradients, (left, right, top, bottom)
    )
    return {
        "vif": torch.from_numpy(information),
        "ssim": torch.from_numpy(similarity),
        "edges": torch.tensor(edges, dtype=torch.float64),
        "gradients": torch.tensor(gradients, dtype=torch.float64),
    }


def _array(images: torch.Tensor) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images.numpy())


@cache
def _taps() -> tuple[NDArray[np.float64], ...]:
    return tuple(np.array(gaussian_taps(size, size / 5)) for size in VIF_WINDOWS)
