"""JPEG files: cut at each marker, turned, of unusual coding and colour, or made to last."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from hostile_case import DAMAGED, NO_IMAGE, SIZE, VI, Fused, Hostile, patched, refused, rgb, saved
from PIL import Image, ImageCms

HEIGHT, WIDTH = SIZE
WHOLE = saved(VI, "JPEG", quality=90, subsampling=0)
TABLES = WHOLE.index(b"\xff\xdb")
FRAME = WHOLE.index(b"\xff\xc0")
HUFFMAN = WHOLE.index(b"\xff\xc4")
SCAN = WHOLE.index(b"\xff\xda")
AFTER_SCAN_HEADER = SCAN + 2 + int.from_bytes(WHOLE[SCAN + 2 : SCAN + 4], "big")

CUTS = (
    ("jpeg-cut-after-soi", 2, NO_IMAGE),
    ("jpeg-cut-in-the-quantisation-tables", TABLES + 20, DAMAGED),
    ("jpeg-cut-before-the-frame", FRAME, DAMAGED),
    ("jpeg-cut-in-the-frame", FRAME + 6, DAMAGED),
    ("jpeg-cut-in-the-huffman-tables", HUFFMAN + 9, DAMAGED),
    ("jpeg-cut-before-the-scan", SCAN, DAMAGED),
    ("jpeg-cut-after-the-scan-header", AFTER_SCAN_HEADER, DAMAGED),
    ("jpeg-cut-in-the-scan", (AFTER_SCAN_HEADER + len(WHOLE)) // 2, DAMAGED),
    ("jpeg-without-eoi", len(WHOLE) - 2, DAMAGED),
)


def jpeg_files() -> Iterator[Hostile]:
    """All cases of this module."""
    yield from (
        Hostile(name, f"the first {end} bytes", lambda end=end: WHOLE[:end], found, ".jpg")
        for name, end, found in CUTS
    )
    yield from _kinds()
    yield from _metadata()
    yield from _lies()


def with_segment(marker: int, body: bytes, times: int = 1) -> bytes:
    """Return the file with further segments behind its start."""
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
    return WHOLE[:2] + segment * times + WHOLE[2:]


def many_scans(width: int, height: int, scans: int) -> bytes:
    """Return a progressive grey JPEG of so many refining scans that hold nothing.

    Each scan costs a few hundred bytes and a pass over all blocks.
    """
    whole = saved(Image.new("L", (width, height), 99), "JPEG", progressive=True, quality=50)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * scans + whole[-2:]


def _kinds() -> Iterator[Hostile]:
    cmyk = saved(Image.fromarray(VI).convert("CMYK"), "JPEG")
    adobe = cmyk.index(b"Adobe") + 11  # the byte that tells CMYK from YCCK
    files = {
        "jpeg-grey": saved(VI[..., 0], "JPEG"),
        "jpeg-progressive": saved(VI, "JPEG", progressive=True),
        "jpeg-cmyk": cmyk,
        "jpeg-ycck": patched(cmyk, adobe, "B", 2),
        "jpeg-rgb-by-adobe": saved(VI, "JPEG", keep_rgb=True),
        "jpeg-restart-markers": saved(VI, "JPEG", restart_marker_blocks=1),
        "jpeg-many-pictures": saved(
            VI, "MPO", save_all=True, append_images=[Image.fromarray(VI // 2)]
        ),
        "jpeg-1000-thumbnails": with_segment(0xE1, b"thumbnail" + WHOLE, 1000),
    }
    for name, body in files.items():
        yield Hostile(name, "as its name says", lambda b=body: b, Fused(), ".jpg")
    for width, height in [(1, 1), (65500, 1), (1, 65500)]:
        yield Hostile(
            f"jpeg-{width}x{height}",
            "as its name says",
            lambda size=(width, height): saved(rgb(*size), "JPEG"),
            Fused((height, width)),
            ".jpg",
        )


def _metadata() -> Iterator[Hostile]:
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[274] = orientation
        yield Hostile(
            f"jpeg-orientation-{orientation}",
            "EXIF",
            lambda e=exif: saved(VI, "JPEG", exif=e),
            Fused((WIDTH, HEIGHT) if orientation > 4 else SIZE),
            ".jpg",
        )
    exif = Image.Exif()
    exif[274] = 99
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    files = {
        "jpeg-orientation-99": saved(VI, "JPEG", exif=exif),
        "jpeg-exif-of-garbage": with_segment(0xE1, b"Exif\0\0" + b"\xff" * 999),
        "jpeg-exif-that-ends-at-once": with_segment(0xE1, b"Exif\0\0"),
        "jpeg-exif-that-points-to-itself": with_segment(
            0xE1, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0"
        ),
        "jpeg-icc-profile": saved(VI, "JPEG", icc_profile=profile),
        "jpeg-icc-of-garbage": saved(VI, "JPEG", icc_profile=b"no profile" * 99),
        "jpeg-8-mib-of-comments": with_segment(0xFE, b"x" * 65000, 130),
    }
    for name, body in files.items():
        yield Hostile(name, "further segments", lambda b=body: b, Fused(), ".jpg")


def _lies() -> Iterator[Hostile]:
    lies = {
        "jpeg-arithmetic": (FRAME + 1, "B", 0xC9),
        "jpeg-lossless": (FRAME + 1, "B", 0xC3),
        "jpeg-12-bits": (FRAME + 4, "B", 12),
        "jpeg-no-height": (FRAME + 5, ">H", 0),
        "jpeg-no-width": (FRAME + 7, ">H", 0),
        "jpeg-larger-than-its-pixels": (FRAME + 5, ">HH", 5_000, 5_000),
        "jpeg-huffman-code-lengths": (HUFFMAN + 5, ">IIII", *(0xFFFFFFFF,) * 4),
    }
    for name, (place, layout, *values) in lies.items():
        body = patched(WHOLE, place, layout, *values)
        # What arithmetic coding makes of another code's bits is a picture too.
        found = Fused() if name == "jpeg-arithmetic" else DAMAGED
        yield Hostile(name, f"{values} at byte {place}", lambda b=body: b, found, ".jpg")
    yield Hostile(
        "jpeg-of-5000-scans",
        "progressive, 4000x4000",
        lambda: many_scans(4000, 4000, 5000),
        refused("progressive scans; expected at most 500"),
        ".jpg",
    )
