import io
import struct

import numpy as np
import pytest
from declared_writers import OPACITY, PREMULTIPLIED, UNSPECIFIED, codestream, grey_profile, jp2
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms

from fusion_core.images.jp2_boxes import JPEG2000_MAGIC, Jp2Boxes, read_boxes

SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
GREY = np.arange(48, dtype=np.uint8).reshape(1, 6, 8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def box(name: bytes, body: bytes, *, long: bool = False) -> bytes:
    head = struct.pack(">I4sQ", 1, name, 16 + len(body)) if long else b""
    return (head or struct.pack(">I4s", 8 + len(body), name)) + body


def enumerated(number: int) -> bytes:
    return box(b"colr", struct.pack(">BBBI", 1, 0, 0, number))


def channels(*kinds: int) -> bytes:
    rows = b"".join(struct.pack(">HHH", k, kind, k) for k, kind in enumerate(kinds))
    return box(b"cdef", struct.pack(">H", len(kinds)) + rows)


def headed(*inside: bytes, before: bytes = b"", long: bool = False) -> bytes:
    """Return the beginning of a file whose header holds boxes."""
    return SIGNATURE + before + box(b"jp2h", b"".join(inside), long=long)


def boxes_of(body: bytes) -> Jp2Boxes | None:
    return read_boxes(io.BytesIO(body))


@pytest.mark.parametrize(
    ("number", "space"), [(16, "rgb"), (17, "grey"), (18, "rgb"), (12, None), (14, None)]
)
def test_enumerated_spaces_are_grey_rgb_or_another(number: int, space: str | None) -> None:
    assert boxes_of(headed(enumerated(number))) == Jp2Boxes(space)  # type: ignore[arg-type]


def test_a_profile_is_returned_and_tells_the_space() -> None:
    for profile, space in ((SRGB, "rgb"), (grey_profile(), "grey"), (b"\0" * 200, None)):
        found = boxes_of(headed(box(b"colr", b"\2\0\0" + profile)))
        assert found is not None
        assert (found.space, found.icc, found.alpha) == (space, profile, "none")


def test_the_first_of_several_colour_boxes_counts() -> None:
    profile = box(b"colr", b"\2\0\0" + SRGB)
    assert boxes_of(headed(enumerated(17), profile)) == Jp2Boxes("grey")


@pytest.mark.parametrize(
    ("kinds", "alpha"),
    [
        ((), "none"),
        ((0, 0, 0), "none"),
        ((0, 0, 0, OPACITY), "straight"),
        ((OPACITY, 0, 0, 0), "straight"),
        ((0, PREMULTIPLIED), "premultiplied"),
        ((0, OPACITY, PREMULTIPLIED), "premultiplied"),
        ((0, 0, 0, UNSPECIFIED), "none"),
    ],
)
def test_channels_tell_their_opacity(kinds: tuple[int, ...], alpha: str) -> None:
    found = boxes_of(headed(enumerated(16), channels(*kinds)))
    assert found is not None
    assert (found.space, found.alpha) == ("rgb", alpha)


def test_a_whole_file_is_read() -> None:
    pixels = GREY.repeat(4, 0)
    found = boxes_of(jp2(pixels, placed=True, extra=PREMULTIPLIED))
    assert found == Jp2Boxes("rgb", "premultiplied")
    profile = grey_profile()
    assert boxes_of(jp2(GREY, placed=False, colour=profile)) == Jp2Boxes("grey", "none", profile)


@pytest.mark.parametrize("long", [False, True])
def test_long_boxes_are_read_and_passed_over(long: bool) -> None:
    before = box(b"ftyp", b"jp2 \0\0\0\0jp2 ", long=long) + box(b"free", b"\0" * 9, long=True)
    colour = box(b"colr", struct.pack(">BBBI", 1, 0, 0, 17), long=long)
    other = box(b"res ", b"\0" * 5, long=True)
    found = boxes_of(headed(other, colour, channels(0, OPACITY), before=before, long=long))
    assert found == Jp2Boxes("grey", "straight")


def test_a_bare_codestream_and_another_file_have_no_boxes() -> None:
    for body in (codestream(GREY), JPEG2000_MAGIC[1], b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 50):
        assert boxes_of(body) is None


def test_a_file_without_a_header_tells_nothing() -> None:
    assert boxes_of(SIGNATURE + box(b"free", b"")) in (None, Jp2Boxes())
    to_the_end = struct.pack(">I4s", 0, b"jp2c") + b"\0" * 99
    assert boxes_of(SIGNATURE + to_the_end) == Jp2Boxes()


@pytest.mark.parametrize(
    "damaged",
    [
        box(b"cdef", b"\0"),
        box(b"cdef", struct.pack(">HHHH", 65535, 0, 0, 1)),
        box(b"colr", b"\1\0\0\0"),
    ],
    ids=["a count cut off", "more channels than bytes", "a number cut off"],
)
def test_a_damaged_box_makes_all_of_them_unread(damaged: bytes) -> None:
    assert boxes_of(headed(damaged)) is None


@pytest.mark.parametrize("length", [2, 7, 1 << 50, (1 << 63) + 5, (1 << 64) - 1])
def test_absurd_lengths_end_the_search(length: int) -> None:
    name = b"free"
    head = struct.pack(">I4s", length, name) if length < 8 else b""
    head = head or struct.pack(">I4sQ", 1, name, length)
    body = SIGNATURE + head + b"\0" * 40 + headed(enumerated(16))[len(SIGNATURE) :]
    assert boxes_of(body) in (None, Jp2Boxes())
    assert boxes_of(headed(head + b"\0" * 8, enumerated(16))) in (None, Jp2Boxes())


def test_a_file_of_ever_more_boxes_is_left_early() -> None:
    many = box(b"free", b"") * 100_000
    assert boxes_of(SIGNATURE + many + headed(enumerated(16))[len(SIGNATURE) :]) == Jp2Boxes()


def test_a_header_of_megabytes_is_not_read() -> None:
    assert boxes_of(headed(enumerated(16), box(b"free", b"\0" * (5 << 20)))) == Jp2Boxes()


@settings(max_examples=300)
@given(rest=st.binary(max_size=120), inside=st.booleans())
def test_no_bytes_behind_the_signature_raise(rest: bytes, inside: bool) -> None:
    boxes_of(headed(rest) if inside else SIGNATURE + rest)


@settings(max_examples=200)
@given(data=st.data())
def test_no_damage_to_a_header_raises(data: st.DataObject) -> None:
    body = bytearray(headed(enumerated(16), channels(0, 0, 0, OPACITY), long=True))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(12, len(body) - 1))] = data.draw(st.integers(0, 255))
    boxes_of(bytes(body))
