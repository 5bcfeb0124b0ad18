"""What is kept of a photograph's metadata, in files of every kind that is written."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from exif_data import (
    GPS,
    GREY,
    RATIONAL,
    SRGB,
    assert_kept,
    exif_data,
    photograph,
    pixels_of,
    text,
    tiff_exif,
)
from PIL import Image
from rasterio.io import MemoryFile
from raw_images import raw_tiff
from raw_pages import UNDEFINED, Page, tiff_of_pages
from raw_tags import LONG, SHORT, Tag, tiff_of_tags

from fusion_core.images.codecs import decode, encode
from fusion_core.images.metadata import NO_METADATA, Metadata, exif_of_tiff, exif_tags, into_tiff
from fusion_core.images.picture import Picture
from fusion_core.images.tiff_tags import read_tags
from fusion_core.settings.fuse import ImageSettings

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

CASES = [
    ("png", np.uint8, 1, False),
    ("png", np.uint8, 3, False),
    ("png", np.uint8, 3, True),
    ("png", np.uint16, 1, False),
    ("png", np.uint16, 1, True),
    ("png", np.uint16, 3, False),
    ("png", np.uint16, 3, True),
    ("jpeg", np.uint8, 1, False),
    ("jpeg", np.uint8, 3, False),
    ("webp", np.uint8, 1, False),
    ("webp", np.uint8, 3, True),
    ("tiff", np.uint8, 1, False),
    ("tiff", np.uint8, 3, False),
    ("tiff", np.uint8, 1, True),
    ("tiff", np.uint16, 1, False),
    ("tiff", np.uint16, 1, True),
    ("tiff", np.uint16, 3, False),
    ("tiff", np.uint16, 3, True),
]
"""Formats, depths, channels, and whether there is alpha."""
PILLOWS = [(np.uint8, 1, False), (np.uint8, 3, False), (np.uint16, 1, False)]
"""Kinds of TIFF that Pillow opens, whichever its version."""

KEPT = decode(photograph("JPEG")).metadata


def exif_in(body: bytes) -> Image.Exif:
    """Return EXIF data as Pillow reads them; of TIFF files without a look at their pixels."""
    if body.startswith(b"II*\0"):
        return tiff_exif(body)
    with Image.open(io.BytesIO(body)) as image:
        return image.getexif()


def icc_in(body: bytes) -> bytes | None:
    """Return the profile in a file, found without Pillow in TIFF files."""
    if not body.startswith(b"II*\0"):
        with Image.open(io.BytesIO(body)) as image:
            found: bytes | None = image.info.get("icc_profile")
            return found
    at = struct.unpack_from("<I", body, 4)[0]
    for k in range(struct.unpack_from("<H", body, at)[0]):
        tag, kind, count, place = struct.unpack_from("<HHII", body, at + 2 + 12 * k)
        if tag == 34675:
            assert kind == UNDEFINED
            return body[place : place + count]
    return None


@pytest.mark.parametrize(("kind", "dtype", "channels", "has_alpha"), CASES)
def test_all_that_is_kept_is_in_the_encoded_file(
    kind: Any, dtype: Any, channels: int, has_alpha: bool
) -> None:
    pixels = pixels_of(dtype, channels)
    alpha = pixels_of(dtype, 1) if has_alpha else None
    icc = GREY if channels == 1 else SRGB
    picture = Picture(pixels, alpha, metadata=Metadata(icc, KEPT.exif))
    body = encode(picture, ImageSettings(format=kind))
    assert_kept(exif_in(body))
    # WebP has colours only, and a profile of grey is none of theirs
    assert icc_in(body) == (None if (kind, channels) == ("webp", 1) else icc)
    assert body == encode(picture, ImageSettings(format=kind))


@pytest.mark.parametrize(("kind", "dtype", "channels", "has_alpha"), CASES)
@pytest.mark.parametrize("size", [(21, 33), (1, 1), (5, 7), (700, 9)])
def test_the_pixels_of_files_with_metadata_are_those_without(
    kind: Any, dtype: Any, channels: int, has_alpha: bool, size: tuple[int, int]
) -> None:
    pixels = pixels_of(dtype, channels, size)
    alpha = pixels_of(dtype, 1, size) if has_alpha else None
    icc = GREY if channels == 1 else SRGB
    for compression in ("deflate", "none", "lzw") if kind == "tiff" else ("deflate",):
        options = ImageSettings(format=kind, compression=compression)
        plain = encode(Picture(pixels, alpha), options)
        body = encode(Picture(pixels, alpha, metadata=Metadata(icc, KEPT.exif)), options)
        assert len(body) > len(plain)
        assert_same_to_gdal(plain, body)
        if kind != "tiff" or (dtype, channels, has_alpha) in PILLOWS:
            with Image.open(io.BytesIO(plain)) as before, Image.open(io.BytesIO(body)) as after:
                np.testing.assert_array_equal(np.asarray(after), np.asarray(before))
        found = decode(body)
        np.testing.assert_array_equal(found.pixels, decode(plain).pixels)
        assert found.metadata.exif == KEPT.exif


def assert_same_to_gdal(plain: bytes, body: bytes) -> None:
    with (
        MemoryFile(plain) as one,
        MemoryFile(body) as other,
        one.open() as before,
        other.open() as after,
    ):
        np.testing.assert_array_equal(after.read(), before.read())
        assert after.colorinterp == before.colorinterp
        assert after.tags(ns="IMAGE_STRUCTURE") == before.tags(ns="IMAGE_STRUCTURE")
        np.testing.assert_array_equal(after.dataset_mask(), before.dataset_mask())


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_a_tiff_file_of_either_kind_gets_metadata(order: str, big: bool) -> None:
    pixels = pixels_of(np.uint8, 1)
    tags: dict[int, Tag] = {
        256: (LONG, [33]),
        257: (LONG, [21]),
        258: (SHORT, [8]),
        259: (SHORT, [1]),
        262: (SHORT, [1]),
        271: text("another maker"),
        277: (SHORT, [1]),
        278: (LONG, [21]),
    }
    plain = tiff_of_pages([Page(tags, [pixels.tobytes()])], order, big=big)
    body = into_tiff(plain, Metadata(GREY, KEPT.exif))
    with MemoryFile(body) as memory, memory.open() as dataset:
        np.testing.assert_array_equal(dataset.read(1), pixels)
        if not big:  # GDAL reads EXIF data of classic files only
            assert dataset.tags(ns="EXIF")["EXIF_GPSLatitude"] == "(35) (1) (2.5)"
    found = exif_of_tiff(body)
    assert found is not None
    assert_kept(tiff_exif(found))


def test_exif_data_of_no_length_that_a_jpeg_holds_are_left_out_of_it() -> None:
    long = exif_of_tiff(exif_data(t270=text("x" * 70_000)))
    assert long is not None
    picture = Picture(pixels_of(np.uint8, 3), metadata=Metadata(SRGB, long))
    for kind, words in (("jpeg", 0), ("webp", 70_000), ("png", 70_000), ("tiff", 70_000)):
        body = encode(picture, ImageSettings(format=kind))  # type: ignore[arg-type]
        assert len(exif_in(body).get(270, "")) == words
        assert icc_in(body) == SRGB


def test_what_scenes_say_is_named_and_written_as_gdal_does() -> None:
    body = encode(Picture(pixels_of(np.uint8, 3), metadata=KEPT), ImageSettings(format="tiff"))
    with MemoryFile(body) as memory, memory.open() as dataset:
        theirs = dataset.tags(ns="EXIF")
    ours = exif_tags(KEPT)
    assert ours["EXIF_GPSLatitude"] == "(35) (1) (2.5)"
    assert ours["EXIF_Make"] == "Maker"
    shared = {name: value for name, value in ours.items() if name in theirs}
    assert len(shared) >= 4
    assert shared == {name: theirs[name].strip() for name in shared}
    assert exif_tags(NO_METADATA) == {}


def test_a_rational_of_nothing_survives() -> None:
    base = {GPS: (LONG, [8])}
    place = struct.pack("<HHHIII", 1, 6, RATIONAL, 1, 26, 0) + struct.pack("<II", 0, 0)
    found = exif_of_tiff(tiff_of_tags(base, place))
    assert found is not None
    body = into_tiff(raw_tiff(pixels_of(np.uint8, 1)), Metadata(None, found))
    assert np.isnan(float(tiff_exif(body).get_ifd(GPS)[6]))


@pytest.mark.parametrize("odd", [b"", b"\0"])
def test_all_directories_start_at_an_even_byte_as_tiff_asks_for(odd: bytes) -> None:
    body = into_tiff(raw_tiff(pixels_of(np.uint8, 1)) + odd, Metadata(GREY[:-1], KEPT.exif))
    place = struct.unpack_from("<I", body, 4)[0]
    assert place % 2 == 0
    tags = read_tags(io.BytesIO(body))
    assert tags is not None
    assert (tags.exif > 0, tags.exif % 2, tags.gps > 0, tags.gps % 2) == (True, 0, True, 0)
