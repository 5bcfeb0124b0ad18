import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_pages import BYTE, LONG8, Page, tiff_of_pages
from raw_tags import LONG, SHORT, Tag

from fusion_core.images.tiff_tags import TIFF_MAGIC, TiffTags, is_big, read_tags

KINDS = [("<", False), (">", False), ("<", True), (">", True)]
SUBFILE, ORIENTATION, PALETTE, EXTRA, RAW, EXIF, GPS = 254, 274, 320, 338, 50706, 34665, 34853


def page(width: int = 8, height: int = 6, **tags: Tag) -> Page:
    """Return a page of black, with further tags by ``t`` and their number."""
    found: dict[int, Tag] = {
        256: (LONG, [width]),
        257: (SHORT, [height]),
        258: (SHORT, [8]),
        262: (SHORT, [1]),
        277: (SHORT, [1]),
        278: (LONG, [height]),
    }
    found |= {int(name[1:]): tag for name, tag in tags.items()}
    return Page(found, [b"\0" * (width * height)])


def tags_of(*pages: Page, order: str = "<", big: bool = False) -> TiffTags | None:
    return read_tags(io.BytesIO(tiff_of_pages(pages, order, big=big)))


def links(body: bytes) -> list[int]:
    """Return where the links to the directories of a little-endian classic TIFF lie."""
    found = [4]
    while at := struct.unpack_from("<I", body, found[-1])[0]:
        found.append(at + 2 + 12 * struct.unpack_from("<H", body, at)[0])
    return found[:-1]


def linked(body: bytes, link: int, target: int) -> bytes:
    return body[:link] + struct.pack("<I", target) + body[link + 4 :]


@pytest.mark.parametrize(("order", "big"), KINDS)
def test_every_tag_is_read_in_classic_and_big_files_of_either_byte_order(
    order: str, big: bool
) -> None:
    first = page(
        t254=(LONG, [1]),
        t262=(SHORT, [2]),
        t274=(SHORT, [6]),
        t277=(SHORT, [5]),
        t320=(SHORT, range(768)),
        t338=(SHORT, [2, 0]),
        t50706=(BYTE, [1, 4, 0, 0]),
        t34665=(LONG, [77]),
        t34853=(LONG, [99]),
    )
    wanted = TiffTags(2, 6, 5, (2, 0), True, True, True, 1, 77, 99)
    assert tags_of(first, order=order, big=big) == wanted


def test_what_is_not_told_is_grey_and_upright() -> None:
    bare = Page({256: (LONG, [8]), 257: (LONG, [6])}, [b"\0" * 48])
    assert tags_of(bare) == TiffTags(1, 1, 1, (), False, False, False, 1, 0, 0)


@pytest.mark.parametrize("number", range(1, 9))
def test_all_eight_orientations_are_read(number: int) -> None:
    found = tags_of(page(t274=(SHORT, [number])))
    assert found is not None
    assert found.orientation == number


@pytest.mark.parametrize("number", [0, 9, 255, 65535])
def test_an_orientation_that_is_none_is_upright(number: int) -> None:
    found = tags_of(page(t274=(SHORT, [number])))
    assert found is not None
    assert found.orientation == 1


@pytest.mark.parametrize("kind", [BYTE, SHORT, LONG])
def test_a_number_is_read_from_any_type_of_integer(kind: int) -> None:
    found = tags_of(page(t274=(kind, [8])))
    assert found is not None
    assert found.orientation == 8


@pytest.mark.parametrize(("order", "big"), KINDS)
@pytest.mark.parametrize("extra", [[1], [2, 0], [0, 0, 2], [0, 0, 0, 0, 1], [0] * 12 + [2]])
def test_extra_samples_are_read_inside_their_entry_and_behind_it(
    order: str, big: bool, extra: list[int]
) -> None:
    found = tags_of(page(t338=(SHORT, extra)), order=order, big=big)
    assert found is not None
    assert found.extra == tuple(extra)


def test_a_place_of_sixty_four_bits_is_read() -> None:
    found = tags_of(page(t34665=(LONG8, [1 << 40])), big=True)
    assert found is not None
    assert found.exif == 1 << 40


@pytest.mark.parametrize(
    ("kind", "code"),
    [(13, "I"), (18, "Q")],
    ids=["a directory's place", "a directory's place of 64 bits"],
)
def test_the_types_of_a_directorys_place_are_read(kind: int, code: str) -> None:
    body = tiff_of_pages([page(t34665=(LONG8, [321]))], big=True)
    old = struct.pack("<HHQ", EXIF, LONG8, 1)
    assert body.count(old) == 1
    found = read_tags(io.BytesIO(body.replace(old, struct.pack("<HHQ", EXIF, kind, 1))))
    assert found is not None
    assert found.exif == 321


@pytest.mark.parametrize(("order", "big"), KINDS)
@pytest.mark.parametrize(
    ("others", "pages"),
    [
        ([page()], 2),
        ([page(), page()], 3),
        ([page(80, 60)], 2),
        ([page(t254=(LONG, [1]))], 1),
        ([page(t254=(LONG, [4]))], 1),
        ([page(t254=(LONG, [5]))], 1),
        ([page(t254=(LONG, [2]))], 2),
        ([page(4, 3)], 1),
        ([page(8, 3)], 1),
        ([page(5, 5)], 2),
        ([page(4, 3), page(2, 2), page()], 2),
    ],
    ids=[
        *("of its size", "two of its size", "a larger one", "a reduced one", "a mask"),
        *("a mask of a reduced one", "marked as a page", "a small unmarked one"),
        *("half its size", "more than half its size", "one behind small ones"),
    ],
)
def test_pages_are_those_that_are_neither_thumbnails_nor_masks(
    order: str, big: bool, others: list[Page], pages: int
) -> None:
    found = tags_of(page(), *others, order=order, big=big)
    assert found is not None
    assert found.pages == pages


@pytest.mark.parametrize("back_to", [0, 1])
def test_a_chain_that_bites_its_tail_is_read_once(back_to: int) -> None:
    body = tiff_of_pages([page(t274=(SHORT, [3])), page()])
    starts = [struct.unpack_from("<I", body, link)[0] for link in links(body)]
    end = starts[1] + 2 + 12 * struct.unpack_from("<H", body, starts[1])[0]
    found = read_tags(io.BytesIO(linked(body, end, starts[back_to])))
    assert found is not None
    assert (found.pages, found.orientation) == (2, 3)


@pytest.mark.parametrize("where", ["behind the end", "within the second directory"])
def test_a_chain_that_is_cut_off_leaves_the_first_image(where: str) -> None:
    body = tiff_of_pages([page(t274=(SHORT, [3])), page()])
    second = links(body)[1]
    start = struct.unpack_from("<I", body, second)[0]
    cut = body[: start + 20] if where != "behind the end" else linked(body, second, 1 << 31)
    found = read_tags(io.BytesIO(cut))
    assert found is not None
    assert (found.pages, found.orientation) == (1, 3)


def test_a_chain_of_a_thousand_directories_is_not_followed_to_its_end() -> None:
    found = tags_of(*[page(2, 2)] * 1000)
    assert found is not None
    assert found.pages == 64


@pytest.mark.parametrize(("order", "big"), KINDS)
def test_a_first_directory_that_is_cut_off_gives_nothing(order: str, big: bool) -> None:
    body = tiff_of_pages([page(t338=(SHORT, [0] * 9))], order, big=big)
    start = 16 if big else 8
    assert read_tags(io.BytesIO(body)) is not None
    for length in range(len(body) - 16, start + 48, -5):  # the last are the values of a tag
        assert read_tags(io.BytesIO(body[:length])) is None, length
    for length in range(start):
        assert read_tags(io.BytesIO(body[:length])) is None, length


@pytest.mark.parametrize("body", [b"", b"II", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"II*\1" * 9])
def test_another_file_has_no_tags(body: bytes) -> None:
    assert read_tags(io.BytesIO(body)) is None


def test_a_directory_at_no_place_has_no_tags() -> None:
    assert read_tags(io.BytesIO(b"II*\0" + b"\0" * 30)) is None
    for far in (1 << 49, 1 << 62, (1 << 63) + 1, (1 << 64) - 1):
        body = b"II+\0\x08\0\0\0" + struct.pack("<Q", far) + b"\0" * 30
        assert read_tags(io.BytesIO(body)) is None


@pytest.mark.parametrize("number", [0, 65, 1 << 20, (1 << 32) - 1])
def test_a_tag_of_no_or_absurdly_many_values_is_passed_over(number: int) -> None:
    body = tiff_of_pages([page(t338=(SHORT, [2]), t274=(SHORT, [5]))])
    old = struct.pack("<HHI", EXTRA, SHORT, 1)
    hostile = body.replace(old, struct.pack("<HHI", EXTRA, SHORT, number))
    assert hostile != body
    found = read_tags(io.BytesIO(hostile))
    assert found is not None
    assert (found.extra, found.orientation) == ((), 5)


@pytest.mark.parametrize("count", [4097, 1 << 32, (1 << 64) - 1])
def test_a_directory_of_absurdly_many_entries_is_not_read(count: int) -> None:
    class Counting(io.BytesIO):
        asked = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.asked += size or 0
            return super().read(size)

    body = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, count) + b"\0" * 200_000
    file = Counting(body)
    assert read_tags(file) is None
    assert file.asked < 100


def test_an_unknown_type_of_a_tag_is_passed_over() -> None:
    body = tiff_of_pages([page(t274=(SHORT, [5]))])
    old = struct.pack("<HHI", ORIENTATION, SHORT, 1)
    for kind in (0, 2, 5, 12, 99):
        found = read_tags(io.BytesIO(body.replace(old, struct.pack("<HHI", ORIENTATION, kind, 1))))
        assert found is not None
        assert found.orientation == 1


@pytest.mark.parametrize(
    ("magic", "big"), list(zip(TIFF_MAGIC, (False, False, True, True), strict=True))
)
def test_a_file_tells_by_its_beginning_whether_it_is_big(magic: bytes, big: bool) -> None:
    assert is_big(magic + b"\0" * 12) == big


@settings(max_examples=300)
@given(
    magic=st.sampled_from(TIFF_MAGIC),
    start=st.sampled_from([0, 4, 8, 16, 24, (1 << 32) - 1, 1 << 63]),
    rest=st.binary(max_size=160),
)
def test_no_bytes_behind_the_magic_number_raise(magic: bytes, start: int, rest: bytes) -> None:
    order = "<" if magic.startswith(b"II") else ">"
    head = struct.pack(f"{order}HHQ", 8, 0, start) if is_big(magic) else b""
    head = head or struct.pack(f"{order}I", min(start, (1 << 32) - 1))
    found = read_tags(io.BytesIO(magic + head + rest))
    assert found is None or (found.orientation in range(1, 9) and found.pages >= 1)


@settings(max_examples=200)
@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_no_damage_to_a_file_raises(data: st.DataObject, kind: tuple[str, bool]):
    pages = [page(t338=(SHORT, [0] * 9)), page(), page(4, 3)]
    body = bytearray(tiff_of_pages(pages, kind[0], big=kind[1]))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(4, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    found = read_tags(io.BytesIO(bytes(body)))
    assert found is None or found.orientation in range(1, 9)
