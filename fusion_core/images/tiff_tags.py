"""Reads the few tags of a TIFF file that say what its pixels mean, and that GDAL keeps to itself.

Classic and BigTIFF, either byte order; no pixel is read, and no more of the file than its
directories.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""What classic and BigTIFF files start with, in either byte order."""

_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _ORIENTATION = 254, 256, 257, 262, 274
_SAMPLES, _PALETTE, _EXTRA, _RAW = 277, 320, 338, 50706
_EXIF, _GPS = 34665, 34853
_WANTED = {_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _EXTRA, _RAW}
_WANTED |= {_EXIF, _GPS}
_SIZES = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4), 13: ("I", 4), 16: ("Q", 8), 18: ("Q", 8)}
_MOST_VALUES, _MOST_ENTRIES, _MOST_PAGES = 64, 4096, 64
_REDUCED_OR_MASK = 0b101
_SAME_SIZE = 0.5
"""Share of the first page's pixels from which another one counts as a page: thumbnails and
overviews that aren't marked as such are smaller."""


class Readable(Protocol):
    """A file that can be read at any place."""

    def seek(self, offset: int, /) -> int: ...  # noqa: D102
    def read(self, count: int, /) -> bytes: ...  # noqa: D102


@dataclass(frozen=True)
class TiffTags:
    """The tags of a TIFF file's first image.

    Attributes:
        photometric: PhotometricInterpretation; 1, black is zero, where it isn't told.
        orientation: 1 to 8; 1 where it isn't told, or is none of these.
        samples: Samples of each pixel.
        extra: ExtraSamples: what the last samples are (1 and 2 are associated and unassociated
            alpha, 0 is anything).
        reduced: Whether it is marked as a thumbnail or a mask.
        palette: Whether it has a palette, whatever it says of its photometric interpretation.
        raw: Whether it is a camera's raw file (DNG).
        pages: Images of about its size that the file holds.
        exif: Where the directory of its EXIF data lies; 0 where there is none.
        gps: Likewise that of its place.
    """

    photometric: int = 1
    orientation: int = 1
    samples: int = 1
    extra: tuple[int, ...] = ()
    reduced: bool = False
    palette: bool = False
    raw: bool = False
    pages: int = 1
    exif: int = 0
    gps: int = 0


def is_big(head: bytes) -> bool:
    """Tell whether a TIFF file that starts so is a BigTIFF."""
    return head[2:4] in (b"+\0", b"\0+")


def seek(file: Readable, offset: int) -> None:
    """Go to a place that a file names.

    Raises:
        struct.error: No file has such a place.
    """
    try:
        file.seek(offset)
    except (OSError, OverflowError, ValueError) as error:  # ext4 ends at 16 TiB, others elsewhere
        raise struct.error(f"a place {offset} bytes into a file") from error


def read_tags(file: Readable) -> TiffTags | None:
    """Read the tags of a TIFF file; None if it is no such file, or its directory is damaged."""
    try:
        directories = list(_directories(file))
    except (struct.error, IndexError, KeyError):
        return None
    if not directories:
        return None
    first = directories[0]
    pixels = _pixels(first)
    pages = [
        other
        for other in directories[1:]
        if not _one(other, _SUBFILE, 0) & _REDUCED_OR_MASK and _pixels(other) > _SAME_SIZE * pixels
    ]
    orientation = _one(first, _ORIENTATION, 1)
    return TiffTags(
        photometric=_one(first, _PHOTOMETRIC, 1),
        orientation=orientation if orientation in range(1, 9) else 1,
        samples=_one(first, _SAMPLES, 1),
        extra=first.get(_EXTRA, ()),
        reduced=bool(_one(first, _SUBFILE, 0) & _REDUCED_OR_MASK),
        palette=_PALETTE in first,
        raw=_RAW in first,
        pages=1 + len(pages),
        exif=_one(first, _EXIF, 0),
        gps=_one(first, _GPS, 0),
    )


def _pixels(directory: dict[int, tuple[int, ...]]) -> int:
    return _one(directory, _WIDTH, 0) * _one(directory, _HEIGHT, 0)


def _one(directory: dict[int, tuple[int, ...]], tag: int, default: int) -> int:
    return directory.get(tag, (default,))[0]


def _directories(file: Readable) -> Iterator[dict[int, tuple[int, ...]]]:
    """Yield the wanted tags of one directory after the other."""
    file.seek(0)
    head = file.read(16)
    if not head.startswith(TIFF_MAGIC):
        return
    order = "<" if head[:2] == b"II" else ">"
    big = is_big(head)
    offset = struct.unpack_from(f"{order}Q", head, 8)[0] if big else 0
    if not big:
        offset = struct.unpack_from(f"{order}I", head, 4)[0]
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < _MOST_PAGES:
        seen.add(offset)
        try:
            found, offset = _directory(file, offset, order, big=big)
        except struct.error:
            if len(seen) == 1:
                raise
            return  # what lies behind the first image is damaged, which costs it nothing
        yield found


def _directory(
    file: Readable, offset: int, order: str, *, big: bool
) -> tuple[dict[int, tuple[int, ...]], int]:
    """Return the wanted tags of the directory at ``offset``, and where the next one is."""
    count_code, entry_size, inline = ("Q", 20, 8) if big else ("H", 12, 4)
    count_size = struct.calcsize(f"{order}{count_code}")
    seek(file, offset)
    count = struct.unpack(f"{order}{count_code}", file.read(count_size))[0]
    if count > _MOST_ENTRIES:
        raise struct.error("a directory of too many entries")
    body = file.read(count * entry_size + inline)
    found: dict[int, tuple[int, ...]] = {}
    for k in range(count):
        at = k * entry_size
        tag, kind = struct.unpack_from(f"{order}HH", body, at)
        number = struct.unpack_from(f"{order}{'Q' if big else 'I'}", body, at + 4)[0]
        if tag == _PALETTE:
            found[tag] = ()  # its colours are of no interest here
        if tag not in _WANTED or kind not in _SIZES or not 0 < number <= _MOST_VALUES:
            continue
        code, size = _SIZES[kind]
        field = body[at + entry_size - inline : at + entry_size]
        if number * size > inline:
            seek(file, struct.unpack(f"{order}{'Q' if big else 'I'}", field)[0])
            field = file.read(number * size)
        found[tag] = struct.unpack_from(f"{order}{number}{code}", field)
    following = struct.unpack_from(f"{order}{'Q' if big else 'I'}", body, count * entry_size)[0]
    return found, following
