import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from raw_images import raw_png, raw_tiff

from fusion_core.errors import EncodeError
from fusion_core.images.codecs import EXTENSIONS, LOSSLESS, decode, encode
from fusion_core.images.picture import Picture
from fusion_core.settings.fuse import ImageSettings
from fusion_core.settings.scenes import Compression

# Outside of tests the module itself silences it; pytest puts its own filters before that.
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

SIZE = (21, 34)


def noise(dtype: type, channels: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = SIZE if channels == 1 else (*SIZE, channels)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(channels: int) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    bands = [rows * 9, columns * 6, 220 - rows * 3 - columns * 4, 255 - rows * 5][:channels]
    stack = np.stack(bands, -1).clip(0, 255).astype(np.uint8)
    return stack[..., 0] if channels == 1 else stack


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_lossless_formats_give_back_every_pixel_depth_and_alpha(
    kind: Any, dtype: type, channels: int, has_alpha: bool
) -> None:
    picture = Picture(noise(dtype, channels), noise(dtype, 1, 4) if has_alpha else None)
    found = decode(encode(picture, ImageSettings(format=kind)))
    np.testing.assert_array_equal(found.pixels, picture.pixels)
    assert found.pixels.dtype == dtype
    if has_alpha:
        np.testing.assert_array_equal(found.alpha, picture.alpha)
        assert found.alpha is not None
        assert found.alpha.dtype == dtype
    else:
        assert found.alpha is None


@settings(max_examples=120, deadline=None)
@given(data=st.data(), kind=st.sampled_from(LOSSLESS))
def test_a_lossless_file_holds_the_pixels_at_hand(data: st.DataObject, kind: Any) -> None:
    """So that these can be scored in place of the file."""
    deep, channels = data.draw(st.booleans()), data.draw(st.sampled_from([1, 3]))
    white = data.draw(st.sampled_from([None, 511, 4095, 32767])) if deep else None
    dtype = np.uint16 if deep else np.uint8
    top = white or int(np.iinfo(dtype).max)
    size = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    samples = arrays(dtype, (*size, channels), elements=st.integers(0, top))
    pixels = data.draw(samples)
    pixels = pixels[..., 0] if channels == 1 else pixels
    alpha = data.draw(st.none() | arrays(dtype, size, elements=st.integers(0, top)))
    name, values = {
        "png": ("png_level", st.integers(0, 9)),
        "tiff": ("compression", st.sampled_from(get_args(Compression))),
    }[kind]
    options = {name: data.draw(values)}
    body = encode(Picture(pixels, alpha, white), ImageSettings(format=kind, **options))
    found = decode(body)
    np.testing.assert_array_equal(found.pixels, pixels)
    assert found.bit_depth == Picture(pixels).bit_depth


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossy_formats_give_back_nearly_the_pixels(kind: Any, channels: int) -> None:
    picture = Picture(smooth(channels))
    found = decode(encode(picture, ImageSettings(format=kind))).pixels
    wanted = picture.pixels
    if kind == "webp" and channels == 1:  # WebP knows no grey
        wanted = np.repeat(wanted[..., None], 3, -1)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).mean() < 2.5


def test_jpeg_keeps_colour_at_full_resolution() -> None:
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (200, 60, 60), (60, 60, 200)
    found = decode(encode(Picture(stripes), ImageSettings(format="jpeg"))).pixels
    assert np.abs(found.astype(int) - stripes).max() < 40


@pytest.mark.parametrize("channels", [1, 3])
def test_webp_keeps_alpha_exactly(channels: int) -> None:
    picture = Picture(smooth(channels), noise(np.uint8, 1))
    found = decode(encode(picture, ImageSettings(format="webp")))
    np.testing.assert_array_equal(found.alpha, picture.alpha)


def test_each_format_writes_what_its_name_says() -> None:
    for kind in EXTENSIONS:
        body = encode(Picture(smooth(3)), ImageSettings(format=kind))
        with Image.open(io.BytesIO(body)) as image:
            assert image.format == kind.upper()


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_quality_is_used(kind: Any) -> None:
    sizes = [
        len(encode(Picture(smooth(3)), ImageSettings(format=kind, quality=quality)))
        for quality in (20, 95)
    ]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 3), (np.uint16, 1), (np.uint16, 3)])
def test_png_level_is_used(dtype: type, channels: int) -> None:
    picture = Picture(noise(dtype, channels) % 4)
    sizes = [len(encode(picture, ImageSettings(png_level=level))) for level in (1, 9)]
    assert sizes[1] < 0.95 * sizes[0]


@pytest.mark.parametrize("level", [0, 9])
def test_every_png_level_serves_every_depth(level: int) -> None:
    for dtype in (np.uint8, np.uint16):
        body = encode(Picture(noise(dtype, 3)), ImageSettings(png_level=level))
        np.testing.assert_array_equal(decode(body).pixels, noise(dtype, 3))


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_formats_of_8_bits_refuse_16_and_name_formats_that_hold_them(
    kind: Any, channels: int
) -> None:
    with pytest.raises(EncodeError, match=f"{kind} holds 8 bits .* png or tiff"):
        encode(Picture(noise(np.uint16, channels)), ImageSettings(format=kind))


def test_jpeg_refuses_alpha_and_names_formats_that_hold_it() -> None:
    picture = Picture(smooth(3), noise(np.uint8, 1))
    with pytest.raises(EncodeError, match=r"jpeg holds no alpha .* png, webp or tiff"):
        encode(picture, ImageSettings(format="jpeg"))


@pytest.mark.parametrize(("kind", "longest"), [("jpeg", 65500), ("webp", 16383)])
def test_sides_longer_than_a_format_allows_are_refused(kind: Any, longest: int) -> None:
    settings = ImageSettings(format=kind)
    assert encode(Picture(np.zeros((1, longest), np.uint8)), settings)
    with pytest.raises(EncodeError, match=f"{kind} can't hold this {longest + 1}x1 image"):
        encode(Picture(np.zeros((1, longest + 1), np.uint8)), settings)


@pytest.mark.parametrize("transparent", [False, True])
def test_a_palette_becomes_its_colours(transparent: bool) -> None:
    image = Image.fromarray(noise(np.uint8, 1) % 3, "L").copy()
    image = image.convert("P")
    image.putpalette([200, 10, 10, 10, 200, 10, 10, 10, 200])
    options = {"transparency": bytes([255, 100, 0])} if transparent else {}
    found = decode(saved(image, "PNG", **options))
    index = np.asarray(image)
    colours = np.array([[200, 10, 10], [10, 200, 10], [10, 10, 200]])
    np.testing.assert_array_equal(found.pixels, colours[index])
    if transparent:
        np.testing.assert_array_equal(found.alpha, np.array([255, 100, 0])[index])
    else:
        assert found.alpha is None


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit_becomes_black_and_white(kind: str) -> None:
    bits = noise(np.uint8, 1) > 127
    found = decode(saved(Image.fromarray(bits), kind))
    np.testing.assert_array_equal(found.pixels, np.where(bits, 255, 0))
    assert found.pixels.dtype == np.uint8


def test_cmyk_becomes_rgb() -> None:
    ink = np.zeros((*SIZE, 4), np.uint8)
    ink[:] = (0, 255, 255, 0)  # no cyan: red
    found = decode(saved(Image.fromarray(ink, "CMYK"), "TIFF")).pixels
    assert (found == (255, 0, 0)).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_camera_held_sideways_gives_an_upright_image(kind: str) -> None:
    pixels = smooth(3)
    exif = Image.Exif()
    exif[274] = 6  # to be turned a quarter clockwise
    found = decode(saved(Image.fromarray(pixels), kind, exif=exif)).pixels
    upright = np.rot90(pixels, -1)
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).mean() < 3


def test_grey_with_alpha_stays_grey_with_alpha() -> None:
    bands = noise(np.uint8, 2)
    found = decode(raw_png(bands))
    np.testing.assert_array_equal(found.pixels, bands[..., 0])
    np.testing.assert_array_equal(found.alpha, bands[..., 1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
def test_every_kind_of_png_comes_as_it_is(dtype: type, channels: int, interlaced: bool) -> None:
    check_bands(raw_png(noise(dtype, channels), interlaced), noise(dtype, channels))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_kind_of_tiff_comes_as_it_is(dtype: type, channels: int, order: str) -> None:
    check_bands(raw_tiff(noise(dtype, channels), order), noise(dtype, channels))


def check_bands(body: bytes, bands: np.ndarray) -> None:
    """Compare a decoded file with (H, W) or (H, W, C), where the last of 2 or 4 bands is alpha."""
    found = decode(body)
    assert found.pixels.dtype == bands.dtype
    assert found.pixels.ndim == (3 if bands.shape[2:] in ((3,), (4,)) else 2)
    has_alpha = bands.shape[2:] in ((2,), (4,))
    assert (found.alpha is not None) == has_alpha
    stack = [found.pixels] if found.alpha is None else [found.pixels, found.alpha]
    np.testing.assert_array_equal(np.dstack(stack), np.atleast_3d(bands))


def test_users_are_not_warned_of_large_images_nor_of_places_on_earth() -> None:
    script = (
        "import numpy as np; from PIL import Image; from fusion_core.images.codecs import *;"
        "from fusion_core.settings.fuse import ImageSettings;"
        "Image.MAX_IMAGE_PIXELS = 10;"  # instead of 90 million, which would take a while
        "decode(encode(Picture(np.zeros((3, 5), np.uint8)), ImageSettings()));"
        "decode(encode(Picture(np.zeros((3, 5, 3), np.uint16)), ImageSettings()))"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", script],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
