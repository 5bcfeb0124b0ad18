import io

import numpy as np
import pytest
from PIL import Image
from rasterio.errors import RasterioIOError
from rasterio.io import MemoryFile
from raw_images import raw_tiff

from fusion_core.errors import DecodeError
from fusion_core.images.codecs import decode, encode
from fusion_core.images.codecs_gdal import decode_raster
from fusion_core.images.picture import Picture
from fusion_core.settings.fuse import ImageSettings

# Outside of tests the module itself silences it; pytest puts its own filters before that.
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

PNG, TIFF = ImageSettings(format="png"), ImageSettings(format="tiff")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(6).integers(0, 65535, shape, np.uint16, endpoint=True)


@pytest.mark.parametrize("settings", [PNG, TIFF])
def test_other_readers_see_16_bits_and_the_right_order_of_channels(
    settings: ImageSettings,
) -> None:
    pixels = noise(9, 14, 3)
    body = encode(Picture(pixels), settings)
    with MemoryFile(body) as memory, memory.open() as source:
        assert source.dtypes == ("uint16",) * 3
        np.testing.assert_array_equal(source.read().transpose(1, 2, 0), pixels)
    with Image.open(io.BytesIO(body)) as image:  # Pillow reads the upper 8 bits of each
        seen = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(seen - pixels / 257).max() <= 1


@pytest.mark.parametrize("settings", [PNG, TIFF])
@pytest.mark.parametrize("channels", [1, 3])
def test_other_readers_see_alpha_as_alpha(settings: ImageSettings, channels: int) -> None:
    pixels = noise(9, 14) if channels == 1 else noise(9, 14, 3)
    body = encode(Picture(pixels, noise(9, 14)), settings)
    with MemoryFile(body) as memory, memory.open() as source:
        meanings = [meaning.name for meaning in source.colorinterp]
    assert meanings == (["gray"] if channels == 1 else ["red", "green", "blue"]) + ["alpha"]


def test_tiff_is_compressed() -> None:
    body = encode(Picture(np.zeros((200, 300, 3), np.uint16)), TIFF)
    assert len(body) < 200 * 300 * 6 // 20


def test_colour_comes_contiguous_for_the_codecs_and_the_network() -> None:
    picture = decode_raster(encode(Picture(noise(5, 6, 3)), PNG), 1)
    assert picture.pixels.flags.c_contiguous


def test_larger_images_are_refused_before_their_pixels_are_read() -> None:
    body = encode(Picture(noise(50, 60, 3)), PNG)
    header = body[:60]
    with pytest.raises(RasterioIOError):
        decode_raster(header, 1)
    with pytest.raises(DecodeError, match=r"60x50 = 0\.0 megapixels; at most 0\.002 are decoded"):
        decode_raster(header, 0.002)


def test_other_numbers_of_bands_are_refused_with_what_was_found() -> None:
    with pytest.raises(DecodeError, match="the image has 5 bands of type uint16"):
        decode_raster(raw_tiff(noise(5, 6, 5)), 1)


def test_a_type_that_is_not_16_bits_is_refused_with_what_was_found() -> None:
    with pytest.raises(DecodeError, match="3 bands of type float32; expected one or three"):
        decode_raster(raw_tiff(np.ones((5, 6, 3), np.float32)), 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bands", [3, 4])
def test_16_bits_are_turned_upright_as_8_bits_are(orientation: int, bands: int) -> None:
    pixels = noise(5, 9, bands) // 257 * 257
    deep = decode(raw_tiff(pixels, orientation=orientation))
    shallow = decode(raw_tiff((pixels // 257).astype(np.uint8), orientation=orientation))
    np.testing.assert_array_equal(deep.pixels, shallow.pixels.astype(np.uint16) * 257)
    assert (deep.alpha is None) == (shallow.alpha is None) == (bands == 3)
    if deep.alpha is not None and shallow.alpha is not None:
        np.testing.assert_array_equal(deep.alpha, shallow.alpha.astype(np.uint16) * 257)
    assert deep.pixels.shape == ((5, 9, 3) if orientation < 5 else (9, 5, 3))


def test_opacity_of_twelve_bits_is_whole_at_their_largest_value() -> None:
    bands = noise(4, 7, 9) >> 4
    bands[3] = 4095
    bands[3, :2] = 0
    fields = {"driver": "GTiff", "photometric": "rgb", "alpha": "yes", "nbits": 12}
    with MemoryFile() as memory:
        with memory.open(**fields, count=4, height=7, width=9, dtype="uint16") as target:
            target.write(bands)
        found = decode(bytes(memory.read()))
    assert found.white == 4095
    np.testing.assert_array_equal(found.pixels, np.moveaxis(bands[:3], 0, 2))
    assert found.alpha is not None
    assert (found.alpha[2:] == 65535).all()
    assert not found.alpha[:2].any()
