"""A thermal camera's JPEG, whose temperatures nothing here reads, is told from others."""

import io
import struct

import numpy as np
import pytest
from exif_data import SRGB, exif_data, pixels_of
from PIL import Image

from fusion_core.images.codecs import decode
from fusion_core.images.pair import PicturePair
from fusion_core.images.picture import Picture
from fusion_core.settings.scaling import ScalingSettings

FLIR = b"FLIR\0\x01\0\0FFF\0" + b"\0" * 60
REMARK = "FLIR radiometric JPEG: its palette picture was fused, not the temperatures"


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def jpeg(*segments: bytes, comment: bytes = b"") -> bytes:
    """Return a JPEG with segments behind its first marker."""
    file = io.BytesIO()
    options = {"comment": comment} if comment else {}
    Image.fromarray(pixels_of(np.uint8, 3)).save(file, format="JPEG", **options)
    body = file.getvalue()
    return body[:2] + b"".join(segments) + body[2:]


EXIF = segment(0xE1, b"Exif\0\0" + exif_data())
LARGE = [segment(0xEA, b"other\0" + bytes(60_000)) for _ in range(3)]
PROFILE = segment(0xE2, b"ICC_PROFILE\0\1\1" + SRGB)


@pytest.mark.parametrize(
    "before",
    [
        (),
        (EXIF,),
        (EXIF, PROFILE, *LARGE),
        (segment(0xE1, b"Exif\0\0" + exif_data(t270=(2, b"x" * 64_000 + b"\0"))), *LARGE),
        (b"\xff\xff\xff",),
    ],
    ids=["first", "behind EXIF", "behind 180 kB", "behind EXIF of 64 kB", "behind fill bytes"],
)
def test_the_segment_of_temperatures_is_found_wherever_it_lies(before: tuple[bytes, ...]) -> None:
    picture = decode(jpeg(*before, segment(0xE1, FLIR)))
    assert picture.remark is not None
    assert REMARK in picture.remark
    assert "export them as 16-bit TIFF" in picture.remark


@pytest.mark.parametrize(
    "segments",
    [
        (),
        (EXIF, PROFILE),
        (segment(0xE1, b"Exif\0\0" + exif_data(t271=(2, b"FLIR\0\x01\0"))),),
        (segment(0xE2, FLIR),),
        (segment(0xE1, b"FLIR Systems"),),
    ],
    ids=["none", "EXIF and profile", "made by FLIR", "a segment of another kind", "another name"],
)
def test_an_ordinary_jpeg_has_no_remark(segments: tuple[bytes, ...]) -> None:
    assert decode(jpeg(*segments)).remark is None


def test_the_word_within_a_comment_or_behind_the_pixels_means_nothing() -> None:
    assert decode(jpeg(comment=segment(0xE1, FLIR))).remark is None
    assert decode(jpeg() + segment(0xE1, FLIR)).remark is None


def test_a_file_of_another_kind_has_no_remark() -> None:
    file = io.BytesIO()
    Image.fromarray(pixels_of(np.uint8, 3)).save(file, format="PNG", exif=b"Exif\0\0" + FLIR)
    assert decode(file.getvalue()).remark is None


def test_a_pair_says_which_side_it_is() -> None:
    thermal, plain = decode(jpeg(segment(0xE1, FLIR))), Picture(pixels_of(np.uint8, 3))
    for ir, vi, start in ((thermal, plain, "infrared: "), (plain, thermal, "visible: ")):
        remark = PicturePair.of(ir, vi, ScalingSettings()).remark()
        assert remark is not None
        assert remark.startswith(start + "the file is a " + REMARK)
        assert remark.count("FLIR") == 1
    both = PicturePair.of(thermal, thermal, ScalingSettings()).remark()
    assert both is not None
    assert both.count("FLIR") == 2
    assert "; visible: " in both
    assert PicturePair.of(plain, plain, ScalingSettings()).remark() is None
