import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.images.samples import (
    inks_to_rgb,
    palette_to_rgb,
    spread_bits,
    without_premultiplication,
)


@pytest.mark.parametrize(
    ("bits", "wanted"),
    [
        (1, [0, 255]),
        (2, [0, 85, 170, 255]),
        (3, [0, 36, 73, 109, 146, 182, 219, 255]),
        (4, [17 * k for k in range(16)]),
    ],
)
def test_few_bits_are_spread_over_eight(bits: int, wanted: list[int]) -> None:
    found = spread_bits(np.arange(1 << bits, dtype=np.uint8)[None], bits)
    assert found.dtype == np.uint8
    assert found.tolist() == [wanted]


@pytest.mark.parametrize("bits", range(1, 8))
def test_spread_values_reach_from_black_to_white_in_even_steps(bits: int) -> None:
    found = spread_bits(np.arange(1 << bits, dtype=np.uint8)[None], bits)[0].astype(int)
    assert (found[0], found[-1]) == (0, 255)
    assert np.ptp(np.diff(found)) <= 1


@pytest.mark.parametrize(
    ("inks", "wanted"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 255, 0, 0), (255, 0, 255)),
        ((0, 0, 255, 0), (255, 255, 0)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((100, 50, 0, 51), (124, 164, 204)),  # 155, 205 and 255 times 0.8
        ((10, 20, 30, 200), (53, 51, 49)),  # 52.8, 50.7, 48.5
    ],
)
def test_inks_by_hand(inks: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    planes = np.array(inks, np.uint8)[:, None, None]
    found = inks_to_rgb(planes)
    assert found.dtype == np.uint8
    assert found.tolist() == [[list(wanted)]]


def test_inks_of_sixteen_bits_keep_them() -> None:
    planes = np.array([1000, 0, 65535, 32768], np.uint16)[:, None, None]
    found = inks_to_rgb(planes)
    assert found.dtype == np.uint16
    assert found.tolist() == [[[32267, 32767, 0]]]  # 64535 and 65535 times 32767 / 65535


@settings(max_examples=50)
@given(st.lists(st.integers(0, 65535), min_size=4, max_size=4))
def test_inks_of_sixteen_bits_are_right_to_the_last_one(inks: list[int]) -> None:
    found = inks_to_rgb(np.array(inks, np.uint16)[:, None, None])[0, 0]
    exact = [(65535 - ink) * (65535 - inks[3]) / 65535 for ink in inks[:3]]
    assert np.abs(found - exact).max() <= 0.51


def test_a_palette_by_hand() -> None:
    indices = np.array([[0, 1], [7, 1]], np.uint8)
    palette = {0: (1, 2, 3, 255), 1: (200, 100, 50, 255)}
    rgb, opacity = palette_to_rgb(indices, palette)
    assert rgb.tolist() == [[[1, 2, 3], [200, 100, 50]], [[0, 0, 0], [200, 100, 50]]]
    assert rgb.flags.c_contiguous
    assert opacity is None


def test_entries_that_are_not_opaque_give_opacity() -> None:
    palette = {0: (1, 2, 3, 0), 1: (200, 100, 50, 40), 300: (9, 9, 9, 9), -1: (9, 9, 9, 9)}
    rgb, opacity = palette_to_rgb(np.array([[0, 1, 2, 255]], np.uint8), palette)
    assert opacity is not None
    assert opacity.tolist() == [[0, 40, 255, 255]]
    assert rgb.tolist() == [[[1, 2, 3], [200, 100, 50], [0, 0, 0], [0, 0, 0]]]


def test_premultiplied_values_by_hand() -> None:
    pixels = np.array([[100, 64, 30, 77, 200]], np.uint8)
    alpha = np.array([[255, 128, 60, 0, 100]], np.uint8)
    # 64 x 255 / 128 = 127.5, rounded to even; the last exceeds its opacity, which nothing should
    assert without_premultiplication(pixels, alpha).tolist() == [[100, 128, 128, 0, 255]]


def test_each_channel_is_divided_by_the_opacity_of_its_own_pixel() -> None:
    pixels = np.array([[[10, 20, 30]], [[10, 20, 30]], [[10, 20, 30]]], np.uint16)
    alpha = np.array([[65535], [655], [0]], np.uint16)
    found = without_premultiplication(pixels, alpha)
    assert found.dtype == np.uint16
    assert found[0, 0].tolist() == [10, 20, 30]
    assert found[1, 0].tolist() == [1001, 2001, 3002]  # 1000.5, 2001.07, 3001.6
    assert found[2, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_multiplying_and_taking_it_back_gives_the_colours(dtype: type, channels: int) -> None:
    rng = np.random.default_rng(8)
    top = int(np.iinfo(dtype).max)
    shape = (40, 50) if channels == 1 else (40, 50, channels)
    straight = rng.integers(0, top, shape, endpoint=True)
    alpha = rng.integers(top // 2, top, (40, 50), endpoint=True).astype(dtype)
    share = (alpha if channels == 1 else alpha[..., None]) / top
    stored = np.rint(straight * share).astype(dtype)
    found = without_premultiplication(stored, alpha)
    assert found.dtype == dtype
    assert np.abs(found.astype(int) - straight).max() <= 2  # half a step, of at least half opacity
    opaque = np.full((40, 50), top, dtype)
    np.testing.assert_array_equal(without_premultiplication(stored, opaque), stored)
