import io
import struct
from typing import Any

import numpy as np
import pytest
from exif_data import (
    EXIF,
    GPS,
    GREY,
    SRGB,
    TAKEN,
    assert_kept,
    exif_data,
    photograph,
    pixels_of,
    text,
    tiff_exif,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from raw_images import raw_png, raw_tiff
from raw_pages import LONG8, Page, tiff_of_pages
from raw_tags import LONG, SHORT

from fusion_core.images.codecs import decode, encode
from fusion_core.images.metadata import (
    NO_METADATA,
    Metadata,
    exif_of_tiff,
    exif_tags,
    fitting_icc,
    into_tiff,
)
from fusion_core.settings.fuse import ImageSettings

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_what_a_camera_wrote_is_kept_from_every_kind_of_file(format: str) -> None:
    body = photograph(format, SRGB)
    found = decode(body).metadata
    assert found.icc == SRGB
    assert found.exif is not None
    assert_kept(tiff_exif(found.exif))
    assert b"secret" in body
    assert b"secret" not in found.exif


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_exif_data_of_tiff_files_are_read_classic_or_big_in_either_byte_order(
    order: str, big: bool
) -> None:
    found = exif_of_tiff(exif_data(order, big=big, orientation=8))
    assert found is not None
    assert_kept(tiff_exif(found))


@pytest.mark.parametrize("kind", [13, 18])
def test_places_of_directories_are_read_in_the_types_made_for_them(kind: int) -> None:
    body = exif_data(big=True)
    for tag in (EXIF, GPS):
        old = struct.pack("<HHQ", tag, LONG8, 1)
        assert body.count(old) == 1
        body = body.replace(old, struct.pack("<HHQ", tag, kind, 1))
    found = exif_of_tiff(body)
    assert found is not None
    assert_kept(tiff_exif(found))


def test_how_a_picture_lay_is_not_carried_over_since_it_was_turned() -> None:
    picture = decode(photograph("JPEG", orientation=6))
    assert picture.pixels.shape == (33, 21, 3)
    assert picture.metadata.exif is not None
    assert_kept(tiff_exif(picture.metadata.exif))
    again = decode(encode(picture, ImageSettings(format="jpeg")))
    assert again.pixels.shape == (33, 21, 3)


def test_a_thumbnail_is_dropped() -> None:
    base = {271: text("Maker"), 259: (SHORT, [6]), 513: (LONG, [8]), 514: (LONG, [9])}
    thumbnail = Page({256: (LONG, [2]), **base}, [b"thumbnail"])
    pages = tiff_of_pages([Page({271: text("Maker"), 274: (SHORT, [1])}, [b""]), thumbnail])
    file = io.BytesIO()
    Image.fromarray(pixels_of(np.uint8, 3)).save(file, format="JPEG", exif=b"Exif\0\0" + pages)
    assert b"thumbnail" in file.getvalue()
    found = decode(file.getvalue()).metadata.exif
    assert found is not None
    assert tiff_exif(found)[271] == "Maker"
    assert b"thumbnail" not in found
    assert len(found) < 60


@pytest.mark.parametrize(
    ("icc", "grey", "fits"),
    [
        (SRGB, False, True),
        (SRGB, True, False),
        (GREY, True, True),
        (GREY, False, False),
        (SRGB[:16] + b"CMYK" + SRGB[20:], False, False),
        (SRGB[:16] + b"Lab " + SRGB[20:], False, False),
        (b"", False, False),
        (None, False, False),
        ("RGB", False, False),
    ],
)
def test_a_profile_fits_if_it_is_one_of_the_channels(icc: Any, grey: bool, fits: bool) -> None:
    assert fitting_icc(icc, grey=grey) == (icc if fits else None)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_a_profile_of_inks_is_left_out_since_the_picture_is_rgb_then(format: str) -> None:
    inks = SRGB[:16] + b"CMYK" + SRGB[20:]
    body = photograph(format, inks, mode="CMYK")
    assert inks[:128] in body
    found = decode(body)
    assert found.pixels.shape[2] == 3
    assert found.metadata.icc is None
    assert found.metadata.exif is not None


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_profile_of_another_space_is_left_out(format: str) -> None:
    assert decode(photograph(format, GREY)).metadata.icc is None
    if format != "WEBP":  # it holds colours only
        assert decode(photograph(format, SRGB, mode="L")).metadata.icc is None
        assert decode(photograph(format, GREY, mode="L")).metadata.icc == GREY


def test_a_picture_without_metadata_has_none() -> None:
    for body in (raw_png(pixels_of(np.uint16, 3)), raw_tiff(pixels_of(np.uint8, 1))):
        assert decode(body).metadata == NO_METADATA
    plain = raw_tiff(pixels_of(np.uint8, 1))
    assert into_tiff(plain, NO_METADATA) is plain


def test_exif_data_of_megabytes_are_left_out() -> None:
    assert exif_of_tiff(exif_data(t270=text("x" * 1_000_000))) is not None
    assert exif_of_tiff(exif_data(t270=text("x" * 1_100_000))) is None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0nonsense",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0" + exif_data()[:-150],
        b"Exif\0\0" + exif_data().replace(struct.pack("<HHI", TAKEN, 2, 20), b"\xff" * 8),
        b"Exif\0\0" + exif_data(t34853=(LONG, [1 << 31])),
        b"Exif\0\0" + exif_data(t34665=(LONG, [3])),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_data_cost_no_pixel(exif: bytes, format: str) -> None:
    pixels, file = pixels_of(np.uint8, 3), io.BytesIO()
    options = {"lossless": True} if format == "WEBP" else {"quality": 100, "subsampling": 0}
    Image.fromarray(pixels).save(file, format=format, exif=exif, **options)
    found = decode(file.getvalue())
    assert np.abs(found.pixels.astype(int) - pixels).max() <= 4
    for kind in ("png", "tiff", "jpeg"):
        again = encode(found, ImageSettings(format=kind))  # type: ignore[arg-type]
        assert decode(again).pixels.shape == pixels.shape


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150)
@given(data=st.data(), big=st.booleans())
def test_no_damage_to_exif_data_raises(data: st.DataObject, big: bool) -> None:
    body = bytearray(exif_data(big=big))
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(4, len(body) - 1))] = data.draw(st.integers(0, 255))
    found = exif_of_tiff(bytes(body))
    plain = raw_tiff(pixels_of(np.uint8, 1))
    put = into_tiff(plain, Metadata(None, found))
    assert put.startswith(plain[:4])
    assert all(name.startswith("EXIF_") for name in exif_tags(Metadata(None, found)))
