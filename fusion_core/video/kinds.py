"""Tells videos from images by how their bytes begin."""

from __future__ import annotations

_BEGINNINGS = (
    b"\x1aE\xdf\xa3",  # Matroska and WebM
    b"0&\xb2u\x8ef\xcf\x11",  # ASF and WMV
    b"FLV\x01",
    b"OggS",
    b"\x00\x00\x01\xba",  # MPEG programme stream
    b"\x06\x0e+4\x02\x05\x01\x01\r\x01\x02\x01\x01\x02",  # MXF
    b"nut/multimedia container",
    b"YUV4MPEG2 ",
    b"DKIF",
)
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"hevc")
_TS_PACKET = 188


def is_video_inside(body: bytes) -> bool:
    """Tell whether a file's bytes, of which the first 600 are enough, begin as a video's do."""
    if body.startswith(_BEGINNINGS):
        return True
    if body[:4] == b"RIFF" and body[8:11] == b"AVI":
        return True
    if body[4:8] in _BOXES:
        return not (body[4:8] == b"ftyp" and body[8:12] in _IMAGE_BRANDS)
    return len(body) > 2 * _TS_PACKET and all(body[k * _TS_PACKET] == 0x47 for k in range(3))
