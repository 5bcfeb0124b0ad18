"""PNG files of ours are what the specification asks for, by readers that know nothing of ours."""

import io
import zlib
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from rasterio.io import MemoryFile

from fusion_core.images import png
from fusion_core.images.checks import check_png
from fusion_core.images.png import encode_png

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def noise(height: int, width: int, channels: int, dtype: Any, seed: int = 1) -> NDArray[Any]:
    shape = (height, width) if channels == 1 else (height, width, channels)
    random = np.random.default_rng(seed)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def chunks(body: bytes) -> list[tuple[bytes, bytes]]:
    """Take a file apart, and check each chunk's length and checksum."""
    assert body[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        name, data = body[at + 4 : at + 8], body[at + 8 : at + 8 + length]
        checksum = int.from_bytes(body[at + 8 + length : at + 12 + length], "big")
        assert checksum == zlib.crc32(name + data)
        found.append((name, data))
        at += 12 + length
    assert at == len(body)
    return found


def unfiltered(body: bytes, height: int, bytes_per_pixel: int) -> NDArray[np.uint8]:
    """Undo the filters byte by byte, as the specification writes them down."""
    data = dict(chunks(body))[b"IDAT"]
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, -1)
    found = np.zeros((height + 1, rows.shape[1] - 1), np.uint8)
    for i, row in enumerate(rows, start=1):
        for j, value in enumerate(row[1:]):
            left = found[i, j - bytes_per_pixel] if j >= bytes_per_pixel else 0
            predicted = {0: 0, 1: left, 2: found[i - 1, j]}[int(row[0])]
            found[i, j] = (int(value) + int(predicted)) % 256
    return found[1:]


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_gdal_reads_every_kind_at_every_level(level: int, dtype: Any, channels: int) -> None:
    pixels = noise(13, 17, channels, dtype)
    with MemoryFile(encode_png(pixels, level)) as memory, memory.open(driver="PNG") as source:
        found = source.read()
        assert source.colorinterp[0].name in ("gray", "red")
    np.testing.assert_array_equal(found, np.atleast_3d(pixels).transpose(2, 0, 1))
    assert found.dtype == dtype


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pillow_reads_every_kind_of_8_bits(channels: int) -> None:
    pixels = noise(13, 17, channels, np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels, 1))) as image:
        assert image.mode == ("L", "LA", "RGB", "RGBA")[channels - 1]
        np.testing.assert_array_equal(np.asarray(image), pixels)


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    channels=st.integers(1, 4),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    seed=st.integers(0, 99),
    gentle=st.booleans(),
)
def test_filters_are_undone_by_the_specification(
    size: tuple[int, int], channels: int, dtype: Any, seed: int, gentle: bool
) -> None:
    pixels = noise(*size, channels, dtype, seed)
    pixels = np.cumsum(pixels % 3, axis=0, dtype=dtype) if gentle else pixels
    found = unfiltered(encode_png(pixels, 6), size[0], channels * pixels.itemsize)
    stored = np.frombuffer(found.tobytes(), pixels.dtype.newbyteorder(">"))
    np.testing.assert_array_equal(stored.reshape(pixels.shape), pixels)


def test_rows_take_the_filter_that_suits_them() -> None:
    level, upright = np.mgrid[:40, :50].astype(np.uint8) * 5
    filters = [
        zlib.decompress(dict(chunks(encode_png(pixels, 1)))[b"IDAT"])[::51]
        for pixels in (level, upright)
    ]
    assert filters == [bytes([1] * 40), bytes([1] + [2] * 39)]


def test_strips_meet_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.cumsum(noise(50, 30, 3, np.uint8) % 4, axis=0, dtype=np.uint8)
    whole = encode_png(pixels, 1)
    monkeypatch.setattr(png, "_STRIP", 30 * 3 * 7)
    assert encode_png(pixels, 1) == whole


def test_higher_levels_give_smaller_files_and_the_same_bytes_each_time() -> None:
    pixels = np.cumsum(noise(200, 300, 3, np.uint8) % 5, axis=1, dtype=np.uint8)
    files = {level: encode_png(pixels, level) for level in (0, 1, 6, 9)}
    assert files == {level: encode_png(pixels, level) for level in files}
    sizes = [len(file) for file in files.values()]
    assert all(more > less for more, less in pairwise(sizes))
    assert sizes[0] > pixels.nbytes
    for file in files.values():
        check_png(file)


def test_gdal_knows_the_file_without_its_pixels() -> None:
    body = encode_png(noise(300, 400, 1, np.uint16), 0)
    with rasterio.Env(), MemoryFile(body[:2000]) as memory, memory.open(driver="PNG") as source:
        assert (source.width, source.height, source.dtypes) == (400, 300, ("uint16",))
