"""Random, constant, tiny and 16-bit images score as in the independent implementation."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from metric_cases import KINDS, assert_close, make
from metric_reference import reference_scores, textbook_scores
from scored_by_torch import by_torch

from fusion_core.metrics import score

shapes = st.tuples(st.integers(1, 52), st.integers(1, 52))
kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 2**32 - 1)


def assert_same(ir: np.ndarray, vi: np.ndarray, fused: np.ndarray) -> None:
    published = reference_scores(ir, vi, fused)
    assert_close(score(ir, vi, fused), published, ir.shape)
    with by_torch():
        assert_close(score(ir, vi, fused), published, ir.shape)
    textbook = score(ir, vi, fused, "textbook"), textbook_scores(ir, vi, fused)
    assert_close(*textbook, ir.shape)


@settings(max_examples=150)
@given(shape=shapes, of=st.tuples(kinds, kinds, kinds), seed=seeds)
def test_images_of_every_kind(shape, of, seed):
    rng = np.random.default_rng(seed)
    assert_same(*(make(kind, shape, rng) for kind in of))


@settings(max_examples=60)
@given(shape=shapes, kind=kinds, weight=st.floats(0, 1), seed=seeds)
@example(shape=(17, 29), kind="two levels", weight=0.125, seed=1)
def test_fused_images_that_keep_something_of_both(shape, kind, weight, seed):
    rng = np.random.default_rng(seed)
    ir, vi = make(kind, shape, rng), make("noise", shape, rng)
    fused = np.round(weight * ir + (1 - weight) * vi).astype(np.uint8)
    assert_same(ir, vi, fused)


@settings(max_examples=150)
@given(data=st.data(), shape=st.tuples(st.integers(1, 8), st.integers(1, 8)))
def test_tiny_images_of_arbitrary_pixels(data, shape):
    images = [data.draw(arrays(np.uint8, shape)) for _ in range(3)]
    assert_same(*images)


@settings(max_examples=40)
@given(data=st.data(), shape=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_tiny_images_whose_edges_are_often_upright_or_level(data, shape):
    few_levels = st.sampled_from((0, 1, 200))
    images = [data.draw(arrays(np.uint8, shape, elements=few_levels)) for _ in range(3)]
    assert_same(*images)


@pytest.mark.parametrize("side", [16, 17, 24, 25, 32, 33, 40, 41, 42])
def test_sides_at_which_a_scale_of_vif_comes_or_goes(side):
    rng = np.random.default_rng(side)
    assert_same(*(make("noise", (side, 60), rng) for _ in range(3)))
    assert_same(*(make("noise", (60, side), rng) for _ in range(3)))
