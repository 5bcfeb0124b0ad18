"""Grey values by a scaling of one's own; by the type's range they are in test_scores."""

import numpy as np
import pytest

from fusion_core.errors import MetricError
from fusion_core.metrics import to_grey255
from fusion_core.metrics.scaling import Scaling


def test_a_scaling_says_what_becomes_black_and_white() -> None:
    counts = np.array([[0, 7999, 8000, 8002, 8100, 8500, 9000, 9001, 65535]], np.uint16)
    found = to_grey255(counts, Scaling(8000, 9000))
    assert found.dtype == np.uint8
    # 0.51, 25.5 and 127.5 of 255, rounded halves up
    assert found.tolist() == [[0, 0, 0, 1, 26, 128, 255, 255, 255]]


def test_eight_bits_are_scaled_as_well() -> None:
    grey = np.array([[0, 50, 60, 101, 255]], np.uint8)
    assert to_grey255(grey, Scaling(50, 101)).tolist() == [[0, 0, 50, 255, 255]]
    assert to_grey255(grey) is grey


def test_the_range_of_the_type_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    for dtype, top in ((np.uint8, 255.0), (np.uint16, 65535.0)):
        for shape in ((30, 40), (30, 40, 3)):
            image = rng.integers(0, top, shape, dtype, endpoint=True)
            np.testing.assert_array_equal(to_grey255(image, Scaling(0, top)), to_grey255(image))


def test_colours_are_scaled_before_they_become_grey_and_clipped_after_it() -> None:
    scaling = Scaling(1000, 2020)  # four counts to a grey value
    reds = np.array([[[2020, 1000, 1000], [1000, 2020, 1000], [1000, 1000, 2020]]], np.uint16)
    assert to_grey255(reds, scaling).tolist() == [[76, 150, 29]]
    beyond = np.array([[[3040, 1000, 1000], [0, 0, 0], [9000, 9000, 9000]]], np.uint16)
    # twice as much red as white has is 152, and no more than 255 of all of them
    assert to_grey255(beyond, scaling).tolist() == [[152, 0, 255]]


def test_a_scaling_below_nothing_is_one_all_the_same() -> None:
    assert to_grey255(np.array([[0, 100]], np.uint16), Scaling(-100, 155)).tolist() == [[100, 200]]


def test_strips_are_scaled_like_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(6).integers(0, 60000, (67, 90, 3), np.uint16)
    whole = to_grey255(image, Scaling(500, 40000))
    monkeypatch.setattr("fusion_core.metrics.greyscale._STRIP", 500)
    np.testing.assert_array_equal(to_grey255(image, Scaling(500, 40000)), whole)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("scaling", [None, Scaling(20, 200.5)])
def test_colours_become_grey_by_the_plain_sum_of_three_products(
    dtype: type, scaling: Scaling | None
) -> None:
    random = np.random.default_rng(8)
    if dtype == np.float32:
        image, scaling = random.random((80, 90, 3), np.float32), None
        scaled = image.astype(np.float64) * 255
    else:
        image = random.integers(0, np.iinfo(dtype).max, (80, 90, 3), dtype, endpoint=True)
        scaled = image / (1 if dtype == np.uint8 else 257)
    if scaling is not None:
        scaled = (image - 20.0) * (255 / 180.5)
    weights = (0.298936021293775, 0.587043074451121, 0.114020904255103)  # of MATLAB's rgb2gray
    red, green, blue = (scaled[..., i] * weights[i] for i in range(3))
    expected = np.floor(np.clip(red + green + blue, 0, 255) + 0.5)
    np.testing.assert_array_equal(to_grey255(image, scaling), expected)


def test_a_type_that_has_no_grey_values_is_refused_with_a_scaling_too() -> None:
    with pytest.raises(MetricError, match="holds int32, expected uint8"):
        to_grey255(np.zeros((2, 2), np.int32), Scaling(0, 9))
