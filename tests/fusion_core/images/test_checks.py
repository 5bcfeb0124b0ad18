"""What codecs pass over: half images, and files that cost far more than they say."""

import io
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.io import MemoryFile
from raw_images import png_chunk, png_header, raw_png
from raw_tags import LONG, SHORT, grey_tags, tiff_of_tags

from fusion_core.errors import DecodeError
from fusion_core.images.codecs import decode
from fusion_core.images.codecs_gdal import decode_raster


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(4).integers(1, np.iinfo(dtype).max, shape, dtype)


def jpeg(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", **options)
    return file.getvalue()


def taller(body: bytes, height: int) -> bytes:
    """Return a PNG file that says it is higher than its pixels are."""
    ihdr = body[12:20] + height.to_bytes(4, "big") + body[24:29]
    return body[:8] + png_chunk(b"IHDR", ihdr[4:]) + body[33:]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    "shape", [(16, 20), (16, 20, 2), (16, 20, 3), (16, 20, 4)], ids=lambda s: str(s)
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_whose_pixels_end_early_is_no_image_with_a_black_end(
    shape: tuple[int, ...], dtype: type, interlaced: bool
) -> None:
    body = raw_png(noise(*shape, dtype=dtype), interlaced)
    assert decode(body).pixels.shape[:2] == shape[:2]
    with pytest.raises(DecodeError, match="damaged"):
        decode(taller(body, 23))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("height", [1, 2, 7, 16])
def test_a_png_that_is_black_to_its_end_is_whole(height: int, interlaced: bool) -> None:
    for dtype in (np.uint8, np.uint16):
        for shape in [(height, 5), (height, 5, 3), (height, 5, 4)]:
            assert not decode(raw_png(np.zeros(shape, dtype), interlaced)).pixels.any()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_png_of_packed_black_pixels_is_whole(bits: int) -> None:
    line = bytes(1 + -(-13 * bits // 8))
    body = png_header(13, 6, bits, 0, interlaced=False)
    body += png_chunk(b"IDAT", zlib.compress(line * 6)) + png_chunk(b"IEND", b"")
    assert decode(body).pixels.shape == (6, 13)


def test_a_jpeg_that_ends_in_the_middle_is_refused_though_it_is_marked_as_ended() -> None:
    body = jpeg(noise(64, 80, 3), quality=90)
    with pytest.raises(DecodeError, match="its pixels end before the image does"):
        decode(body[: len(body) // 2] + b"\xff\xd9")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (61, 83)])
def test_a_jpeg_of_one_colour_is_whole(size: tuple[int, int], progressive: bool) -> None:
    for pixels in (np.full((*size, 3), 90, np.uint8), np.zeros(size, np.uint8)):
        assert decode(jpeg(pixels, progressive=progressive)).pixels.shape == pixels.shape


def test_a_jpeg_of_one_colour_with_bytes_between_its_parts_is_whole() -> None:
    body = jpeg(np.full((64, 80, 3), 90, np.uint8))
    assert decode(body[:-2] + b"\0\0\0" + body[-2:]).pixels.shape == (64, 80, 3)


def test_a_jpeg_of_endless_scans_is_refused_before_any_is_decoded() -> None:
    body = jpeg(noise(64, 80), progressive=True)
    last = body.rindex(b"\xff\xda")
    scans = body.count(b"\xff\xda")
    assert scans < 20
    decode(body[:last] + body[last:-2] * (500 - scans + 1) + body[-2:])
    with pytest.raises(DecodeError, match="501 progressive scans; expected at most 500"):
        decode(body[:last] + body[last:-2] * (501 - scans + 1) + body[-2:])


@pytest.fixture
def tiled() -> bytes:
    """A small TIFF file in one tile of 3000x3000 zeros."""
    body = zlib.compress(bytes(9_000_000))
    tags = {k: v for k, v in grey_tags(32, 24, bits=8).items() if k not in (273, 278, 279)}
    tile = {322: (LONG, [3000]), 323: (LONG, [3000]), 324: (LONG, [8]), 325: (LONG, [len(body)])}
    return tiff_of_tags({**tags, 259: (SHORT, [8]), **tile}, body)


def test_a_tile_counts_as_the_pixels_that_it_takes(tiled: bytes) -> None:
    assert decode(tiled, max_megapixels=9).pixels.shape == (24, 32)
    with pytest.raises(DecodeError, match=r"a tile of the image has 3000x3000 = 9.0 megapixels"):
        decode(tiled, max_megapixels=8.9)


@pytest.fixture
def sparse() -> Iterator[bytes]:
    """A file of a few KiB that says it has 300 bands of 4 megapixels."""
    fields = {"driver": "GTiff", "dtype": "uint16", "compress": "deflate", "sparse_ok": True}
    with MemoryFile() as memory:
        with memory.open(**fields, count=300, width=2000, height=2000, blockysize=2000):
            pass
        yield bytes(memory.read())


def test_bands_are_counted_before_any_is_read(
    sparse: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr(rasterio.io.DatasetReader, "read", read, raising=False)
    with pytest.raises(DecodeError, match="has 300 bands of type uint16"):
        decode_raster(sparse, 100)


@pytest.mark.parametrize("end", [8, 29, 33])
def test_a_damaged_header_is_not_said_to_be_no_image(end: int) -> None:
    with pytest.raises(DecodeError, match=r"starts as an image does.*header can't be read"):
        decode(raw_png(noise(4, 5))[:end])
