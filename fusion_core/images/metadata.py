"""What a photograph tells of its colours, place and time, kept for the fused one.

That is its ICC profile, and of its EXIF data the camera, the moment, the place (GPS) and the like:
no thumbnail, no maker's note, and not how it lay, since it is turned upright.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, TiffImagePlugin

from fusion_core.images.png import chunk
from fusion_core.images.tiff_tags import is_big, read_tags

_BASE, _IFD = ExifTags.Base, ExifTags.IFD
_NESTED = (_IFD.Exif, _IFD.GPSInfo)
_Directory = TiffImagePlugin.ImageFileDirectory_v2
_KEPT = (
    _BASE.ImageDescription,
    _BASE.Make,
    _BASE.Model,
    _BASE.Software,
    _BASE.DateTime,
    _BASE.Artist,
    _BASE.Copyright,
)
_LEFT_OUT = {
    _BASE.MakerNote,
    _BASE.ExifImageWidth,
    _BASE.ExifImageHeight,
    _BASE.ExifInteroperabilityOffset,
}
_MOST_BYTES = 1 << 20
"""Of EXIF data. Profiles of printers have megabytes, EXIF data without thumbnails some hundred."""

_ICC_TAG = 34675
_PNG_START = 33  # behind the signature and IHDR


@dataclass(frozen=True)
class Metadata:
    """What a photograph tells of its colours, place and time.

    Attributes:
        icc: Its ICC profile, or None.
        exif: Its EXIF data, as a TIFF structure, or None.
    """

    icc: bytes | None = None
    exif: bytes | None = None

    def options(self, most_exif: int = _MOST_BYTES) -> dict[str, Any]:
        """Return it as options of Pillow's ``save``, without EXIF data of more bytes than that."""
        fits = self.exif is not None and len(self.exif) <= most_exif
        named = {"icc_profile": self.icc, "exif": self.exif if fits else None}
        return {name: value for name, value in named.items() if value is not None}


NO_METADATA = Metadata()


def exif_of(image: Image.Image) -> Image.Exif:
    """Return the EXIF data of a file that Pillow has opened; none where they are damaged."""
    try:
        exif = image.getexif()
        dict(exif)  # values are read when they are asked for
    except Exception:  # Pillow raises many types on damaged data, which are no damage to pixels
        return Image.Exif()
    return exif


def metadata_of(image: Image.Image) -> Metadata:
    """Return the metadata of a file that Pillow has opened.

    A profile for other channels than the decoded ones, such as of inks, is left out.
    """
    grey = image.mode.startswith("I;16") or image.mode[:2] in ("1", "L", "LA", "La")
    icc = fitting_icc(image.info.get("icc_profile"), grey=grey)
    exif = exif_of(image)
    return Metadata(icc, _kept(exif, exif.get_ifd))


def exif_of_tiff(body: bytes) -> bytes | None:
    """Return the EXIF data of a classic TIFF or BigTIFF file, of whatever kind its pixels are."""
    file = io.BytesIO(body)
    tags = read_tags(file)
    if tags is None:
        return None
    try:
        places = {_IFD.Exif: tags.exif, _IFD.GPSInfo: tags.gps}
        nested = {group: _directory(body, at, group) for group, at in places.items() if at}
        return _kept(_directory(body), lambda group: nested.get(group, {}))
    except Exception:  # as with damaged EXIF data elsewhere
        return None


def _directory(body: bytes, at: int = 0, group: int | None = None) -> _Directory:
    """Return the directory of a TIFF structure that lies ``at`` a place, or else its first."""
    big = is_big(body)
    # Pillow takes a BigTIFF header for one only if it is little-endian.
    head = (b"II+\0" if big else b"II*\0") + body[4 : 16 if big else 8]
    directory = _Directory(head, prefix=body[:2], group=group)
    file = io.BytesIO(body)
    file.seek(at or directory.next)
    directory.load(file)
    return directory


def fitting_icc(icc: object, *, grey: bool) -> bytes | None:
    """Return an ICC profile if it is one of such channels."""
    if isinstance(icc, bytes) and icc[16:20] == (b"GRAY" if grey else b"RGB "):
        return icc
    return None


def into_png(body: bytes, metadata: Metadata) -> bytes:
    """Return a PNG file with metadata in it."""
    chunks = b""
    if metadata.icc is not None:
        chunks += chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc))
    if metadata.exif is not None:
        chunks += chunk(b"eXIf", metadata.exif.removeprefix(b"Exif\0\0"))
    return body[:_PNG_START] + chunks + body[_PNG_START:]


def into_tiff(body: bytes, metadata: Metadata) -> bytes:
    """Return a TIFF file with metadata in its directory, which moves to the end.

    Args:
        body: A file of one image.
        metadata: What is put into it.
    """
    if metadata == NO_METADATA:
        return body
    big = is_big(body)
    order = "<" if body[:2] == b"II" else ">"
    count, word, entry, link = ("Q", "Q", 20, 8) if big else ("H", "I", 12, 4)
    first = struct.calcsize(f"{order}{count}")
    place = 8 if big else 4  # of the link to the directory, and how long that is

    def entries(data: bytes, at: int) -> dict[int, bytes]:
        number = struct.unpack_from(f"{order}{count}", data, at)[0]
        starts = range(at + first, at + first + number * entry, entry)
        cut = (data[start : start + entry] for start in starts)
        return {struct.unpack_from(f"{order}H", each)[0]: each for each in cut}

    end = len(body) + len(body) % 2
    added = _metadata_directory(body, metadata).tobytes(end)
    old = entries(body, struct.unpack_from(f"{order}{word}", body, place)[0])
    merged = sorted({**old, **entries(added, 0)}.items())
    directory = struct.pack(f"{order}{count}", len(merged)) + b"".join(each for _, each in merged)
    start = struct.pack(f"{order}{word}", end + len(added))
    rest = body[place + link :] + b"\0" * (end - len(body))
    return body[:place] + start + rest + added + directory + b"\0" * link


def _metadata_directory(body: bytes, metadata: Metadata) -> _Directory:
    """Return a directory of nothing but metadata, as such a TIFF file has them."""
    directory = _Directory(body[: 16 if is_big(body) else 8])
    if metadata.icc is not None:
        directory[_ICC_TAG] = metadata.icc
    if metadata.exif is not None:
        exif = Image.Exif()
        exif.load(metadata.exif)
        for tag, value in exif.items():
            if tag in _KEPT:
                directory[tag] = value
        for nested in _NESTED:
            if found := exif.get_ifd(nested):
                directory[nested] = found
    return directory


def exif_tags(metadata: Metadata) -> dict[str, str]:
    """Return EXIF data as GDAL names and writes them, for a scene's tags."""
    if metadata.exif is None:
        return {}
    exif = Image.Exif()
    exif.load(metadata.exif)
    named: dict[str, Any] = {ExifTags.TAGS.get(tag, ""): value for tag, value in exif.items()}
    for nested, names in ((_IFD.Exif, ExifTags.TAGS), (_IFD.GPSInfo, ExifTags.GPSTAGS)):
        for tag, value in exif.get_ifd(nested).items():
            named[names.get(tag, "")] = value
    return {
        f"EXIF_{name}": text for name, value in named.items() if name and (text := _text(value))
    }


def _text(value: Any) -> str:
    if isinstance(value, bytes | dict):
        return ""
    if isinstance(value, tuple):
        return " ".join(f"({float(part):g})" for part in value)
    return value.strip("\0 ") if isinstance(value, str) else f"({float(value):g})"


def _kept(
    base: Mapping[int, Any], nested: Callable[[ExifTags.IFD], Mapping[int, Any]]
) -> bytes | None:
    """Return what is kept of EXIF data; None where that is nothing, or they are damaged."""
    kept = Image.Exif()
    try:
        for tag in _KEPT:
            if tag in base:
                kept[tag] = base[tag]
        for group in _NESTED:
            found = {k: v for k, v in nested(group).items() if k not in _LEFT_OUT}
            if found:
                kept.get_ifd(group).update(found)
        if not len(kept) and not any(kept.get_ifd(group) for group in _NESTED):
            return None
        body = kept.tobytes()
        Image.Exif().load(body)
    except Exception:
        return None
    return body if len(body) <= _MOST_BYTES else None
