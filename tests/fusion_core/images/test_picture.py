import numpy as np
import pytest

from fusion_core.errors import DecodeError
from fusion_core.images.picture import Picture, check_size, reduced, resize, upright


def ramp(size: tuple[int, int], dtype: type) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return ((rows / size[0] + columns / size[1]) / 2 * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 16)])
def test_a_picture_knows_its_depth_and_bytes(dtype: type, bits: int) -> None:
    grey = np.zeros((4, 5), dtype)
    assert Picture(grey).bit_depth == bits
    assert Picture(grey).nbytes == 20 * bits // 8
    assert Picture(np.zeros((4, 5, 3), dtype), grey).nbytes == 80 * bits // 8


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (7, 90), (64, 33)])
def test_resizing_gives_the_size_asked_for_and_keeps_depth_and_channels(
    dtype: type, channels: int, size: tuple[int, int]
) -> None:
    grey = ramp((20, 30), dtype)
    pixels = grey if channels == 1 else np.dstack([grey, grey[::-1], grey[:, ::-1]])
    resized = resize(Picture(pixels, grey), *size).pixels
    assert resized.shape == size + pixels.shape[2:]
    assert resized.dtype == dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_smooth_image_is_the_same_when_enlarged(dtype: type) -> None:
    small, large = ramp((40, 60), dtype), ramp((80, 120), dtype)
    error = np.abs(resize(Picture(small), 80, 120).pixels.astype(float) - large.astype(float))
    assert error[8:-8, 8:-8].max() <= 0.02 * np.iinfo(dtype).max


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_overshoot_at_a_sharp_edge_is_clipped_and_does_not_wrap(dtype: type) -> None:
    top = np.iinfo(dtype).max
    edge = np.zeros((16, 16), dtype)
    edge[:, 8:] = top
    resized = resize(Picture(edge), 16, 64).pixels
    assert (resized[:, :28] < top // 4).all()
    assert (resized[:, 36:] > 3 * (top // 4)).all()


def test_each_channel_is_resized_from_itself() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:] = (10, 100, 200)
    assert (resize(Picture(pixels), 5, 11).pixels == (10, 100, 200)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_resizing_leaves_out_whatever_a_missing_pixel_has_a_share_in(dtype: type) -> None:
    top = np.iinfo(dtype).max
    pixels, alpha = np.full((40, 40), 90, dtype), np.full((40, 40), top, dtype)
    pixels[:, :10], alpha[:, :10] = top, 0
    found = resize(Picture(pixels, alpha), 80, 80)
    assert found.alpha is not None
    assert not found.alpha[:, :20].any()
    assert (found.alpha[:, 24:] == top).all()
    assert (found.pixels[found.alpha > 0] == 90).all()


def test_the_size_limit_itself_is_allowed() -> None:
    check_size(1000, 2000, 2.0)


def test_beyond_the_limit_the_message_names_size_limit_and_remedy() -> None:
    with pytest.raises(DecodeError, match=r"1001x2000 = 2\.0 megapixels; at most 2 .*tiles"):
        check_size(1001, 2000, 2.0)


@pytest.mark.parametrize("orientation", [0, 1, 9, 65535])
def test_an_image_that_lies_right_or_says_nonsense_is_left_as_it_is(orientation: int) -> None:
    picture = Picture(ramp((3, 5), np.uint16))
    assert upright(picture, orientation) is picture


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turning_gives_contiguous_pixels_for_the_network(orientation: int) -> None:
    band = ramp((3, 5), np.uint16)
    turned = upright(Picture(np.dstack([band] * 3), band), orientation)
    assert turned.alpha is not None
    assert turned.pixels.flags.c_contiguous
    assert turned.alpha.flags.c_contiguous
    np.testing.assert_array_equal(turned.pixels[..., 1], turned.alpha)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_large_picture_is_reduced_to_means_of_blocks(dtype: type) -> None:
    grey = np.array([[0, 2, 10, 12, 9], [4, 6, 14, 17, 9], [7, 7, 7, 7, 7]], dtype)
    assert reduced(Picture(grey, grey), 1, 1).pixels.tolist() == [[8]]
    halves = reduced(Picture(grey), 2, 2)
    assert halves.pixels.tolist() == [[3, 13]]
    assert halves.pixels.dtype == dtype
    colour = reduced(Picture(np.dstack([grey, grey + 1, grey // grey.max()])), 2, 2)
    assert colour.pixels.tolist() == [[[3, 4, 0], [13, 14, 0]]]


def test_a_picture_that_fits_is_not_reduced() -> None:
    pixels = ramp((30, 59), np.uint8)
    np.testing.assert_array_equal(reduced(Picture(pixels), 20, 30).pixels, pixels)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (3, 2000), (2000, 3)])
def test_a_narrow_picture_keeps_a_pixel_and_enough_of_its_length(size: tuple[int, int]) -> None:
    small = reduced(Picture(np.full(size, 9, np.uint8)), 100, 100)
    assert min(small.pixels.shape) >= 1
    assert 100 <= max(small.pixels.shape) < 200
    assert (small.pixels == 9).all()
