import numpy as np
import pytest
from generated_scenes import collar, texture
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from fusion_core.images.nodata_fill import filled


def masked(size: tuple[int, int], seed: int, share: float) -> NDArray[np.bool_]:
    """Blobs that hold no data."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(size), 3)
    return np.asarray(noise >= np.quantile(noise, share))


@settings(max_examples=60)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    share=st.floats(0, 0.95),
    seed=st.integers(0, 99),
)
def test_what_is_valid_stays_and_the_rest_is_within_its_range(
    height: int, width: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.random((height, width), np.float32)
    valid = rng.random((height, width)) >= share
    valid.flat[rng.integers(valid.size)] = True
    found = filled(np.where(valid, image, np.float32(np.nan)), valid)
    assert found.dtype == np.float32
    assert found.shape == image.shape
    assert (found[valid] == image[valid]).all()
    low, high = image[valid].min(), image[valid].max()
    assert found.min() >= low - 1e-6
    assert found.max() <= high + 1e-6


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_stays_constant(value: float) -> None:
    size = (61, 83)
    valid = collar(size)
    found = filled(np.where(valid, np.float32(value), np.float32(7)), valid)
    np.testing.assert_allclose(found, value, atol=1e-6)


def test_an_image_without_gaps_is_returned_as_it_is() -> None:
    image = texture(1, (30, 41)).astype(np.float32)
    assert (filled(image, np.ones(image.shape, bool)) == image).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (40, 33)])
@pytest.mark.parametrize("content", [5.0, np.nan, np.inf])
def test_where_nothing_is_valid_all_is_zero(size: tuple[int, int], content: float) -> None:
    assert (filled(np.full(size, content, np.float32), np.zeros(size, bool)) == 0).all()


@pytest.mark.parametrize("content", [0.0, -9999.0, np.nan, np.inf])
def test_what_stands_where_no_data_are_does_not_matter(content: float) -> None:
    image, valid = texture(2, (70, 90)).astype(np.float32), masked((70, 90), 4, 0.4)
    expected = filled(image, valid)
    assert np.isfinite(expected).all()
    assert (filled(np.where(valid, image, np.float32(content)), valid) == expected).all()


def test_a_single_value_spreads_over_everything() -> None:
    valid = np.zeros((37, 52), bool)
    valid[30, 3] = True
    np.testing.assert_allclose(filled(np.where(valid, np.float32(0.4), 0), valid), 0.4, atol=1e-6)


def test_a_gap_by_hand() -> None:
    # one level coarser the pairs of columns are 2 and 6, and both gaps lie between: at a quarter
    image, valid = np.float32([[2, 9, 9, 6]]), np.array([[True, False, False, True]])
    assert filled(image, valid).tolist() == [[2, 3, 5, 6]]


@pytest.mark.parametrize("mask", ["collar", "blobs"])
def test_no_seam_shows_where_the_data_end(mask: str) -> None:
    size = (256, 288)
    image = (0.55 + 0.4 * texture(3, size)).astype(np.float32)
    valid = collar(size) if mask == "collar" else masked(size, 5, 0.35)
    found = filled(image, valid)
    distance, nearest = ndimage.distance_transform_edt(~valid, return_indices=True)
    beside = (distance > 0) & (distance <= 2)
    off = np.abs(found - image[tuple(nearest)])[beside]
    within = np.abs(np.diff(image, axis=1))[valid[:, 1:] & valid[:, :-1]].mean()
    assert off.mean() < 2 * within  # about as near as neighbours are to each other
    assert off.max() < 0.25 * (image.max() - image.min())
    # zeros instead would be a cliff of at least 0.55
    assert off.max() < 0.2


def test_far_from_the_data_it_is_smooth() -> None:
    size = (256, 256)
    image, valid = texture(6, size).astype(np.float32), np.zeros(size, bool)
    valid[:, :100] = True
    found = filled(image, valid)
    rough = [np.abs(np.diff(part, axis=0)).mean() for part in (image, found[:, 160:])]
    assert rough[1] < 0.2 * rough[0]
    assert abs(found[:, -1].mean() - image[valid].mean()) < 0.1
