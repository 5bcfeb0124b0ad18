"""Separable filters against sums written out window by window."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from fusion_core.metrics.filters import (
    _columns_gpu,
    _rows_gpu,
    _smooth_gpu,
    box_sums,
    gaussian_taps,
    padded_width,
    smooth,
    smooth_columns,
    smooth_rows,
)

TAPS = {size: gaussian_taps(size, size / 5) for size in (3, 5, 9, 17)} | {
    11: gaussian_taps(11, 1.5),
    # Every tap another one, so that a filter that runs backwards is seen.
    4: (0.5, 0.25, 0.125, 0.125),
}


def windowed(maps: np.ndarray, taps: tuple[float, ...], step: int) -> np.ndarray:
    size = len(taps)
    views = sliding_window_view(maps, (size, size), axis=(-2, -1))[..., ::step, ::step, :, :]
    return np.einsum("...kl,k,l->...", views, taps, taps)


@pytest.mark.parametrize("size", [3, 5, 9, 17])
def test_taps_are_gaussian_and_sum_to_one_exactly_in_fp32(size):
    taps = TAPS[size]
    offsets = np.arange(size) - size // 2
    expected = np.exp(-(offsets**2) / (2 * (size / 5) ** 2))
    assert np.allclose(taps, expected / expected.sum(), rtol=0, atol=1e-7)
    assert np.array_equal(np.float32(taps), taps)
    assert sum(taps) == 1


@settings(max_examples=80)
@given(
    size=st.sampled_from(sorted(TAPS)),
    extra=st.tuples(st.integers(0, 40), st.integers(0, 60)),
    step=st.integers(1, 2),
    padding=st.integers(0, 20),
    seed=st.integers(0, 2**16),
)
def test_smoothing_weights_every_window_that_is_inside(size, extra, step, padding, seed):
    rng = np.random.default_rng(seed)
    height, width = size + extra[0], size + extra[1]
    maps = rng.uniform(-100, 100, (2, 3, height, width + padding)).astype(np.float32)
    expected = windowed(maps[..., :width].astype(np.float64), TAPS[size], step)
    needed = padded_width(width, size, step)
    padded = np.full((2, 3, height, max(needed, width)), 1e4, np.float32)
    padded[..., :width] = maps[..., :width]
    for found in (
        smooth(torch.from_numpy(maps[..., :width].copy()), TAPS[size], step),
        smooth(torch.from_numpy(padded[..., :needed].copy()), TAPS[size], step, width),
        _smooth_gpu(
            torch.from_numpy(maps[..., :width].reshape(6, height, width)), TAPS[size], step
        ).view(expected.shape),
    ):
        assert found.shape == expected.shape
        assert np.allclose(found.numpy(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [3, 4, 9, 17])
def test_columns_and_rows_one_after_the_other_are_smoothed_as_at_once(size):
    width = size + 37
    maps = torch.zeros(2, 3, size + 11, padded_width(width, size))
    maps[..., :width] = torch.rand(2, 3, size + 11, width)
    expected = smooth(maps, TAPS[size], width=width)
    columns = smooth_columns(maps, TAPS[size])
    assert torch.allclose(smooth_rows(columns, TAPS[size], width), expected, atol=1e-6)
    plain = _columns_gpu(maps[0], TAPS[size])
    assert torch.allclose(plain, columns[0], atol=1e-6)
    rows = _rows_gpu(plain, TAPS[size])[..., : width - size + 1]
    assert torch.allclose(rows, expected[0], atol=1e-6)


@settings(max_examples=40)
@given(extra=st.tuples(st.integers(0, 20), st.integers(0, 20)), seed=st.integers(0, 2**16))
def test_box_sums_are_exact(extra, seed):
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, 256, (2, 7 + extra[0], 7 + extra[1])).astype(np.int32) ** 2
    expected = sliding_window_view(maps, (7, 7), axis=(-2, -1)).sum(axis=(-2, -1))
    assert np.array_equal(box_sums(torch.from_numpy(maps)).numpy(), expected)
