import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fusion_core.images.colour import Pixels, luminance, replace_luminance
from fusion_core.metrics.scaling import Scaling

# The matrix of JFIF 1.02 (full-range BT.601), as it is printed there; written out in double
# precision so that it shares nothing with the code under test.
TO_YCC = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.168735892, -0.331264108, 0.5],
        [0.5, -0.418687589, -0.081312411],
    ]
)
DTYPES = [np.uint8, np.uint16]


def random_rgb(dtype: type, size: tuple[int, int] = (40, 50), seed: int = 1) -> Pixels:
    rng = np.random.default_rng(seed)
    return rng.integers(0, np.iinfo(dtype).max, (*size, 3), dtype, endpoint=True)


def by_matrix(rgb: Pixels, fused: NDArray[np.float64]) -> NDArray[np.float64]:
    """To YCbCr, put the new Y in, and back: before rounding and clipping."""
    ycc = rgb.astype(np.float64) @ TO_YCC.T
    ycc[..., 0] = fused * np.iinfo(rgb.dtype).max
    return ycc @ np.linalg.inv(TO_YCC).T


@pytest.mark.parametrize("dtype", DTYPES)
def test_luminance_is_the_first_row_of_the_matrix_over_the_largest_value(dtype: type) -> None:
    rgb = random_rgb(dtype)
    expected = (rgb.astype(np.float64) @ TO_YCC[0]) / np.iinfo(dtype).max
    found = luminance(rgb)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-7)


@pytest.mark.parametrize("dtype", DTYPES)
def test_luminance_of_grey_is_the_grey(dtype: type) -> None:
    grey = random_rgb(dtype)[..., 0]
    np.testing.assert_allclose(luminance(grey), grey / np.iinfo(dtype).max, atol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
def test_luminance_spans_zero_to_one_and_never_leaves_it(dtype: type) -> None:
    top = np.iinfo(dtype).max
    ends = luminance(np.array([[[0, 0, 0], [top, top, top]]], dtype))
    assert ends[0, 0] == 0
    assert ends[0, 1] == pytest.approx(1, abs=1e-6)


def in_one_pass(pixels: Pixels, fused: NDArray[np.float32], low: float, span: float) -> Pixels:
    """The arithmetic that decided the first images of this image version, on a whole image."""
    weights = np.array((0.299, 0.587, 0.114), np.float32)
    grey = pixels.astype(np.float32) if pixels.ndim == 2 else pixels @ weights
    before = np.clip((grey - np.float32(low)) / np.float32(span), 0, 1)
    change = (fused - before) * np.float32(span)
    wanted = pixels.astype(np.float32) + (change[..., None] if pixels.ndim == 3 else change)
    return np.clip(np.rint(wanted), 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    kind=st.sampled_from(["grey", "colour", "grey as colour"]),
    halves=st.booleans(),
    ranged=st.booleans(),
    seed=st.integers(0, 999),
)
def test_no_pixel_is_another_than_by_the_plain_arithmetic(
    dtype: type, size: tuple[int, int], kind: str, halves: bool, ranged: bool, seed: int
) -> None:
    """Half-way between two levels, as the mean of two grey images often is, above all."""
    top = int(np.iinfo(dtype).max)
    pixels = random_rgb(dtype, size, seed)
    pixels = pixels if kind == "colour" else np.repeat(pixels[..., :1], 3, axis=2)
    pixels = pixels[..., 0] if kind == "grey" else pixels
    low, high = (top // 5, top // 2) if ranged else (0, top)
    scaling = Scaling(float(low), float(high))
    before = luminance(pixels, scaling)
    other = np.random.default_rng(seed).integers(0, top, size, dtype, endpoint=True)
    fused = (luminance(other) + before) / 2 if halves else luminance(other)
    expected = in_one_pass(pixels, fused, low, high - low)
    np.testing.assert_array_equal(replace_luminance(pixels, fused, scaling), expected)
    found = replace_luminance(pixels, fused, scaling, before=before)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_replacing_luminance_equals_the_way_through_the_matrix(dtype: type) -> None:
    rgb = random_rgb(dtype)
    fused = np.random.default_rng(2).random(rgb.shape[:2]).astype(np.float32)
    exact = np.clip(by_matrix(rgb, fused.astype(np.float64)), 0, np.iinfo(dtype).max)
    found = replace_luminance(rgb, fused)
    assert found.dtype == dtype
    # half a level of rounding, and what single precision leaves of 65535 levels
    assert np.abs(found - exact).max() <= 0.5 + 0.02


def test_chroma_stays_where_nothing_is_clipped() -> None:
    rgb = random_rgb(np.uint16) // 4 + 20000
    wanted = luminance(rgb) + np.float32(0.1)
    found = replace_luminance(rgb, wanted)
    before, after = (image.astype(np.float64) @ TO_YCC[1:].T for image in (rgb, found))
    assert np.abs(before - after).max() <= 1
    assert np.abs(luminance(found) - wanted).max() < 1e-4


@settings(max_examples=50)
@given(st.integers(0, 65535), st.floats(0, 1), st.sampled_from(DTYPES))
def test_grey_stays_grey_in_colour_files_too(level: int, new: float, dtype: type) -> None:
    top = int(np.iinfo(dtype).max)
    rgb = np.full((2, 2, 3), min(level, top), dtype)
    found = replace_luminance(rgb, np.full((2, 2), new, np.float32))
    assert (found == found[..., :1]).all()
    assert abs(int(found[0, 0, 0]) - new * top) <= 0.5 + 0.02


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_grey_file_takes_the_new_luminance_as_it_is(dtype: type) -> None:
    top = np.iinfo(dtype).max
    fused = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    found = replace_luminance(np.zeros((3, 4), dtype), fused)
    np.testing.assert_array_equal(found, np.rint(fused.astype(np.float64) * top))
    assert found.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_its_own_luminance_gives_an_image_back(dtype: type) -> None:
    rgb = random_rgb(dtype)
    np.testing.assert_array_equal(replace_luminance(rgb, luminance(rgb)), rgb)


def test_what_leaves_the_range_is_clipped_and_does_not_wrap() -> None:
    rgb = np.array([[[250, 0, 0], [0, 0, 250]]], np.uint8)
    bright = replace_luminance(rgb, np.ones((1, 2), np.float32))
    assert bright[0, 0, 0] == 255
    assert bright[0, 1, 2] == 255
    dark = replace_luminance(rgb, np.zeros((1, 2), np.float32))
    assert dark[0, 0, 1] == 0
    assert dark[0, 1, 0] == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_image_in_strips_is_what_it_is_at_once(
    dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    rgb = rng.integers(0, np.iinfo(dtype).max + 1, (67, 90, 3)).astype(dtype)
    fused = rng.random((67, 90), np.float32)
    whole = luminance(rgb), replace_luminance(rgb, fused)
    monkeypatch.setattr("fusion_core.images.colour._STRIP", 500)
    np.testing.assert_array_equal(luminance(rgb), whole[0])
    np.testing.assert_array_equal(replace_luminance(rgb, fused), whole[1])
