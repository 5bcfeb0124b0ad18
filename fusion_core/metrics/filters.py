"""Separable filters in fp32, kept to windows that lie inside the image."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F

_LANES = 16
"""Neighbouring pixels of a row that a CPU filters at once, as the channels of a convolution."""


@lru_cache
def gaussian_taps(size: int, sigma: float) -> tuple[float, ...]:
    """Return the taps of a Gaussian window.

    They are rounded to multiples of 2^-24 and sum to 1 exactly, in fp32 as well: a sum off by 1e-7
    would show as a variance wherever an image is flat and far from zero.

    Args:
        size: Number of taps, odd; they lie at the offsets -(size - 1) / 2 to (size - 1) / 2.
        sigma: Standard deviation in pixels.
    """
    centre = size // 2
    raw = [math.exp(-((i - centre) ** 2) / (2 * sigma**2)) for i in range(size)]
    total = math.fsum(raw)
    taps = [round(tap / total * 2**24) / 2**24 for tap in raw]
    taps[centre] += 1 - math.fsum(taps)
    return tuple(taps)


def smooth(
    maps: torch.Tensor, taps: tuple[float, ...], step: int = 1, width: int | None = None
) -> torch.Tensor:
    """Filter columns and rows with the same taps, only where the window is inside ("valid").

    Args:
        maps: Tensor (..., H, W), fp32 or fp64, both sides at least ``len(taps)``.
        taps: Weights of the separable window along either axis.
        step: Distance between the windows kept along both axes; the first one always is.
        width: Number of columns that count; those after it are padding of any finite value. A CPU
            filters maps of ``padded_width`` without copying them.

    Returns:
        Tensor (..., h, w) with h = ceil((H - len(taps) + 1) / step) and w likewise of ``width``.
    """
    width = width or maps.shape[-1]
    if maps.dtype == torch.float64:
        return _smooth_double(maps[..., :width], taps, step)
    if maps.is_cpu:
        missing = padded_width(width, len(taps), step) - maps.shape[-1]
        padded = F.pad(maps, (0, missing)) if missing else maps
        filtered = _smooth_blocks(padded.view(-1, *padded.shape[-2:]), taps, step)
    else:
        filtered = _smooth_gpu(maps[..., :width].reshape(-1, maps.shape[-2], width), taps, step)
    kept = filtered[..., : _kept(width, len(taps), step)]
    return kept.view(*maps.shape[:-2], *kept.shape[-2:])


def smooth_columns(maps: torch.Tensor, taps: tuple[float, ...]) -> torch.Tensor:
    """Filter the columns of fp32 maps, (..., H, W) to (..., H - len(taps) + 1, W).

    Args:
        maps: The maps; a CPU wants a width that ``padded_width`` returns.
        taps: Weights of the window.
    """
    stack = maps.reshape(-1, *maps.shape[-2:])
    if maps.is_cpu:
        weights = _block_weights(taps, 1)[0]
        columns = F.conv2d(_lanes(stack), weights, groups=_LANES).permute(0, 2, 3, 1).flatten(2)
    else:
        columns = _columns_gpu(stack, taps)
    return columns.view(*maps.shape[:-2], *columns.shape[-2:])


def smooth_rows(maps: torch.Tensor, taps: tuple[float, ...], width: int) -> torch.Tensor:
    """Filter the rows of fp32 maps, (..., H, W) to (..., H, width - len(taps) + 1).

    Args:
        maps: The maps; a CPU wants a width that ``padded_width`` returns.
        taps: Weights of the window.
        width: Number of columns that count; those after it are padding of any finite value.
    """
    stack = maps.reshape(-1, *maps.shape[-2:])
    if maps.is_cpu:
        weights = _block_weights(taps, 1)[1]
        rows = F.conv2d(_lanes(stack), weights).permute(0, 2, 3, 1).flatten(2)
    else:
        rows = _rows_gpu(stack, taps)
    kept = rows[..., : width - len(taps) + 1]
    return kept.view(*maps.shape[:-2], *kept.shape[-2:])


def padded_width(width: int, taps: int, step: int = 1) -> int:
    """Return the width of maps that ``smooth`` filters without a copy on a CPU."""
    blocks = math.ceil(_kept(width, taps, step) / _LANES)
    return (step * (blocks - 1) + _blocks_under(taps, step)) * _LANES


def box_sums(maps: torch.Tensor) -> torch.Tensor:
    """Sum integers over 7 x 7 windows that lie inside the image.

    Args:
        maps: Integer tensor (..., H, W), both sides at least 7; the sums must fit its type.

    Returns:
        Tensor (..., H - 6, W - 6).
    """
    pairs = maps[..., 1:, :] + maps[..., :-1, :]
    fours = pairs[..., 2:, :] + pairs[..., :-2, :]
    columns = fours[..., :-3, :].add_(pairs[..., 4:-1, :]).add_(maps[..., 6:, :])
    pairs = columns[..., 1:] + columns[..., :-1]
    fours = pairs[..., 2:] + pairs[..., :-2]
    return fours[..., :-3].add_(pairs[..., 4:-1]).add_(columns[..., 6:])


def _smooth_double(maps: torch.Tensor, taps: tuple[float, ...], step: int) -> torch.Tensor:
    """Filter fp64 maps by adding shifted copies: a third of the time of PyTorch's convolutions."""
    for axis in (-2, -1):
        windows = maps.unfold(axis, len(taps), step)
        maps = windows[..., 0] * taps[0]
        for k, tap in enumerate(taps[1:], start=1):
            maps.add_(windows[..., k], alpha=tap)
    return maps


def _smooth_gpu(maps: torch.Tensor, taps: tuple[float, ...], step: int) -> torch.Tensor:
    """Filter (N, H, W) along both axes."""
    return _rows_gpu(_columns_gpu(maps, taps, step), taps, step)


def _columns_gpu(maps: torch.Tensor, taps: tuple[float, ...], step: int = 1) -> torch.Tensor:
    """Filter (N, H, W) by a depthwise convolution, which PyTorch's own kernel keeps in fp32."""
    weights = torch.tensor(taps, device=maps.device).expand(len(maps), 1, 1, len(taps))
    return F.conv2d(maps[None], weights.mT, stride=(step, 1), groups=len(maps))[0]


def _rows_gpu(maps: torch.Tensor, taps: tuple[float, ...], step: int = 1) -> torch.Tensor:
    """Filter the rows likewise."""
    weights = torch.tensor(taps, device=maps.device).expand(len(maps), 1, 1, len(taps))
    return F.conv2d(maps[None], weights, stride=(1, step), groups=len(maps))[0]


def _smooth_blocks(maps: torch.Tensor, taps: tuple[float, ...], step: int) -> torch.Tensor:
    """Filter (N, H, padded width) on a CPU, some ten times as fast as a plain convolution.

    A row's 16 neighbours are the channels of a ``channels_last`` image, which is how they lie in
    memory. Columns are then filtered channel by channel, and rows by a dense convolution of one
    block and its right neighbours, so that both use the processor's whole vectors.
    """
    column_weights, row_weights = _block_weights(taps, step)
    columns = F.conv2d(_lanes(maps), column_weights, stride=(step, 1), groups=_LANES)
    both = F.conv2d(columns, row_weights, stride=(1, step)).permute(0, 2, 3, 1)
    return both.flatten(2)


def _lanes(maps: torch.Tensor) -> torch.Tensor:
    """View (N, H, padded width) as a ``channels_last`` image of (N, 16, H, padded width / 16)."""
    count, height, padded = maps.shape
    return maps.view(count, height, padded // _LANES, _LANES).permute(0, 3, 1, 2)


@lru_cache
def _block_weights(taps: tuple[float, ...], step: int) -> tuple[torch.Tensor, torch.Tensor]:
    size, blocks = len(taps), _blocks_under(len(taps), step)
    columns = torch.tensor(taps).view(1, 1, size, 1).repeat(_LANES, 1, 1, 1)
    rows = torch.zeros(_LANES, blocks * _LANES)
    for lane in range(_LANES):
        rows[lane, lane * step : lane * step + size] = torch.tensor(taps)
    return columns, rows.view(_LANES, blocks, _LANES).mT[:, :, None].contiguous()


def _blocks_under(taps: int, step: int) -> int:
    """Return how many blocks the windows of one block of outputs reach over."""
    return math.ceil((step * (_LANES - 1) + taps) / _LANES)


def _kept(width: int, taps: int, step: int) -> int:
    return (width - taps) // step + 1
