import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFont

from fusion_core.reports.drawing import BACKGROUND, as_rgb, shorten, stretch_limits


def array(sheet: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(sheet)


def test_16_bits_are_stretched() -> None:
    ramp = np.tile(np.linspace(3000, 4000, 200).astype(np.uint16), (10, 1))
    shown = array(as_rgb(ramp))
    assert shown.min() == 0
    assert shown.max() == 255
    assert (np.diff(shown[0, :, 0].astype(int)) >= 0).all()
    np.testing.assert_array_equal(array(as_rgb(np.dstack([ramp] * 3))), shown)


def test_8_bits_are_shown_as_they_are() -> None:
    colour = np.random.default_rng(1).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    np.testing.assert_array_equal(array(as_rgb(colour)), colour)
    np.testing.assert_array_equal(array(as_rgb(colour[..., 0])), np.dstack([colour[..., 0]] * 3))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_alpha_lets_the_background_through(kind: type[np.uint8] | type[np.uint16]) -> None:
    full = np.iinfo(kind).max
    image = np.full((4, 4, 4), full, dtype=kind)
    image[:, 0, :3] = 0
    image[:2, :, 3] = 0
    shown = array(as_rgb(image))
    assert (shown[:2] == BACKGROUND).all()
    assert (shown[2:, 1:] == 255).all()


def test_16_bit_image_without_an_opaque_pixel_is_background() -> None:
    assert (array(as_rgb(np.zeros((3, 3, 4), dtype=np.uint16))) == BACKGROUND).all()


def test_images_of_one_stretch_keep_their_order_of_brightness() -> None:
    ramp = np.linspace(3000, 4000, 200).astype(np.uint16)[None].repeat(9, axis=0)
    darker = (ramp // 2).astype(np.uint16)
    low, high = limits = stretch_limits(ramp, darker)
    assert low == np.percentile([ramp, darker], 1)
    assert high == np.percentile([ramp, darker], 99)
    shown, shown_darker = (array(as_rgb(image, limits)).astype(int) for image in (ramp, darker))
    assert shown.min() > shown_darker.max()
    np.testing.assert_array_equal(array(as_rgb(ramp)), array(as_rgb(ramp, stretch_limits(ramp))))


def test_a_long_text_is_cut_in_its_middle() -> None:
    name = "archive/" + "very_long/" * 40 + "scene_0007"
    short = shorten(name, 300, 15)
    assert ImageFont.load_default(size=15).getlength(short) <= 300
    assert short.startswith("archive/")
    assert short.endswith("scene_0007")
    assert "..." in short
    assert shorten("scene_0007", 300, 15) == "scene_0007"
