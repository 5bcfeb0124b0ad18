"""Files that are no images, or no longer, or not of a kind that is fused."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from raw_images import png_chunk, png_header, raw_png, raw_tiff

from fusion_core.errors import DecodeError
from fusion_core.images.codecs import decode, encode
from fusion_core.images.picture import Picture
from fusion_core.settings.fuse import ImageSettings

# Outside of tests the module itself silences them; pytest puts its own filters before that.
pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]


def noise(dtype: type, channels: int) -> np.ndarray:
    rng = np.random.default_rng(8)
    shape = (17, 19) if channels == 1 else (17, 19, channels)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def whole_files() -> dict[str, bytes]:
    files = {
        f"{kind} {np.dtype(dtype).itemsize * 8} bits x {channels}": encode(
            Picture(noise(dtype, channels)),
            ImageSettings(format=kind),  # type: ignore[arg-type]
        )
        for kind, dtype in [
            ("png", np.uint8),
            ("png", np.uint16),
            ("tiff", np.uint8),
            ("tiff", np.uint16),
            ("jpeg", np.uint8),
            ("webp", np.uint8),
        ]
        for channels in (1, 3)
    }
    bmp = io.BytesIO()
    Image.fromarray(noise(np.uint8, 3)).save(bmp, format="BMP")
    grey_alpha = {
        "png 16 bits x 2": raw_png(noise(np.uint16, 2)),
        "tiff 16 bits x 2": raw_tiff(noise(np.uint16, 2)),
    }
    return files | grey_alpha | {"bmp": bmp.getvalue()}


FILES = whole_files()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused_and_never_half_an_image(name: str, part: float) -> None:
    body = FILES[name]
    with pytest.raises(DecodeError, match=r"damaged|no image"):
        decode(body[: int(len(body) * part)])


@settings(max_examples=200)
@given(st.data())
def test_damage_anywhere_gives_a_picture_or_a_decode_error(data: st.DataObject) -> None:
    body = bytearray(FILES[data.draw(st.sampled_from(sorted(FILES)))])
    for _ in range(data.draw(st.integers(0, 3))):
        # headers are where damage is most various
        last = data.draw(st.sampled_from([60, len(body) - 1]))
        position = data.draw(st.integers(0, min(last, len(body) - 1)))
        body[position] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(body)) | st.just(len(body)))
    try:
        found = decode(bytes(body[:cut]), max_megapixels=1)
    except DecodeError:
        return
    assert found.pixels.dtype in (np.uint8, np.uint16)
    assert found.pixels.ndim == 2 or found.pixels.shape[2] == 3
    assert found.alpha is None or found.alpha.shape == found.pixels.shape[:2]


@settings(max_examples=50)
@given(st.binary(max_size=200), st.sampled_from([b"", b"II*\0", b"MM\0+", b"\x89PNG\r\n\x1a\n"]))
def test_anything_else_is_refused(body: bytes, magic: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(magic + body)


def test_an_empty_file_is_refused_as_empty() -> None:
    with pytest.raises(DecodeError, match=r"empty \(0 bytes\)"):
        decode(b"")


def test_text_is_refused_and_quoted() -> None:
    with pytest.raises(DecodeError, match=r"no image: it starts with b'Dear Sir'"):
        decode(b"Dear Sir, here are the pictures")


@pytest.mark.parametrize("kind", ["GIF", "PPM", "ICO"])
def test_other_image_formats_are_refused(kind: str) -> None:
    file = io.BytesIO()
    Image.fromarray(noise(np.uint8, 3)).save(file, format=kind)
    with pytest.raises(DecodeError, match="expected PNG, JPEG, WebP, TIFF, JPEG 2000 or BMP"):
        decode(file.getvalue())


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused(kind: str) -> None:
    frames = [Image.fromarray(noise(np.uint8, 3) // divisor) for divisor in (1, 2)]
    file = io.BytesIO()
    frames[0].save(file, format=kind, save_all=True, append_images=frames[1:])
    with pytest.raises(DecodeError, match="animated; expected a single picture"):
        decode(file.getvalue())


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint32, np.int16])
def test_pixels_that_are_not_8_or_16_bits_are_refused_by_their_type(dtype: Any) -> None:
    named = np.dtype(dtype).name
    with pytest.raises(DecodeError, match=rf"type {named}; expected one or three of 8 or 16 bits"):
        decode(raw_tiff(np.ones((5, 6), dtype)))


@pytest.mark.parametrize(("dtype", "bands"), [(np.float32, 3), (np.uint32, 3), (np.uint16, 6)])
def test_other_tiffs_of_several_bands_are_refused(dtype: Any, bands: int) -> None:
    with pytest.raises(DecodeError, match="expected one or three of 8 or 16 bits"):
        decode(raw_tiff(np.ones((5, 6, bands), dtype)))


# What comes after these headers is missing, so whoever tried to decode them would find damage.
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour_type", [0, 2, 4, 6])
@pytest.mark.parametrize("size", [(12_000, 10_000), (10, 30_000_000), (2**31 - 1, 2**31 - 1)])
def test_a_huge_png_is_refused_by_its_header_alone(
    bits: int, colour_type: int, size: tuple[int, int]
) -> None:
    header = png_header(*size, bits, colour_type, interlaced=False) + png_chunk(b"IDAT", b"")
    with pytest.raises(DecodeError, match=r"megapixels; at most 100 are|too large to decode"):
        decode(header, max_megapixels=100)


@pytest.mark.parametrize(("dtype", "bands"), [(np.uint8, 3), (np.uint16, 1), (np.uint16, 2)])
def test_a_huge_tiff_is_refused_by_its_header(dtype: Any, bands: int) -> None:
    shape = (50, 60) if bands == 1 else (50, 60, bands)
    body = raw_tiff(np.zeros(shape, dtype))
    huge = body.replace(
        b"\0\1\4\0\1\0\0\0" + (60).to_bytes(4, "little"), b"\0\1\4\0\1\0\0\0\0\0\1\0"
    )
    assert huge != body
    with pytest.raises(DecodeError, match=r"65536x50 = 3\.3 megapixels; at most 1 are decoded"):
        decode(huge, max_megapixels=1)


def test_the_limit_is_the_callers() -> None:
    body = raw_png(np.zeros((100, 100), np.uint8))
    assert decode(body, max_megapixels=0.01).pixels.shape == (100, 100)
    with pytest.raises(DecodeError, match=r"at most 0\.0099 are decoded"):
        decode(body, max_megapixels=0.0099)


def test_a_file_after_a_damaged_one_is_decoded_as_ever() -> None:
    for name, body in FILES.items():
        before = decode(body).pixels
        with pytest.raises(DecodeError):
            decode(body[: len(body) // 2])
        np.testing.assert_array_equal(decode(body).pixels, before, name)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_data_cost_no_pixel(kind: str) -> None:
    file = io.BytesIO()
    damaged = b"Exif\0\0\xff\xff\x2a\0\x08\0\0\0"
    Image.fromarray(noise(np.uint8, 3)).save(file, format=kind, exif=damaged)
    found = decode(file.getvalue())
    assert found.pixels.shape == noise(np.uint8, 3).shape
    assert found.metadata.exif is None
