"""What a photograph tells of its colours, place and time, kept for the fused one.

That is its ICC profile, and of its EXIF data the camera, the moment, the place (GPS) and the like:
no thumbnail, no maker's note, and not how it lay, since it is turned upright.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, TiffImagePlugin

_BASE, _IFD = ExifTags.Base, ExifTags.IFD
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

    def options(self) -> dict[str, Any]:
        """Return it as options of Pillow's ``save``."""
        named = {"icc_profile": self.icc, "exif": self.exif}
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
    return Metadata(icc, _kept(exif_of(image)))


def exif_of_tiff(body: bytes) -> bytes | None:
    """Return the EXIF data of a classic TIFF file, of whatever kind its pixels are."""
    try:
        exif = Image.Exif()
        exif.load(body)
    except Exception:  # as with damaged EXIF data below
        return None
    return _kept(exif)


def fitting_icc(icc: object, *, grey: bool) -> bytes | None:
    """Return an ICC profile if it is one of such channels."""
    if isinstance(icc, bytes) and icc[16:20] == (b"GRAY" if grey else b"RGB "):
        return icc
    return None


def into_png(body: bytes, metadata: Metadata) -> bytes:
    """Return a PNG file with metadata in it."""
    chunks = b""
    if metadata.icc is not None:
        chunks += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc))
    if metadata.exif is not None:
        chunks += _chunk(b"eXIf", metadata.exif.removeprefix(b"Exif\0\0"))
    return body[:_PNG_START] + chunks + body[_PNG_START:]


def into_tiff(body: bytes, metadata: Metadata) -> bytes:
    """Return a classic TIFF file with metadata in its directory, which moves to the end."""
    if metadata == NO_METADATA:
        return body
    file = io.BytesIO(body)
    directory = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
    file.seek(directory.next)
    directory.load(file)
    if metadata.icc is not None:
        directory.tagtype[_ICC_TAG] = 7
        directory[_ICC_TAG] = metadata.icc
    if metadata.exif is not None:
        exif = Image.Exif()
        exif.load(metadata.exif)
        for tag, value in exif.items():
            if tag in _KEPT:
                directory[tag] = value
        for nested in (_IFD.Exif, _IFD.GPSInfo):
            if found := exif.get_ifd(nested):
                directory[nested] = found
    end = len(body) + len(body) % 2
    order = "<" if body[:2] == b"II" else ">"
    head = body[:4] + struct.pack(f"{order}I", end)
    return head + body[8:].ljust(end - 8, b"\0") + directory.tobytes(end)


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


def _kept(exif: Image.Exif) -> bytes | None:
    """Return what is kept of EXIF data; None where that is nothing, or they are damaged."""
    kept = Image.Exif()
    try:
        for tag in _KEPT:
            if tag in exif:
                kept[tag] = exif[tag]
        for nested in (_IFD.Exif, _IFD.GPSInfo):
            found = {k: v for k, v in exif.get_ifd(nested).items() if k not in _LEFT_OUT}
            if found:
                kept.get_ifd(nested).update(found)
        if not len(kept) and not any(kept.get_ifd(ifd) for ifd in (_IFD.Exif, _IFD.GPSInfo)):
            return None
        body = kept.tobytes()
        Image.Exif().load(body)
    except Exception:
        return None
    return body if len(body) <= _MOST_BYTES else None


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
