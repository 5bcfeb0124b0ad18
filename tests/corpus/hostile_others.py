"""WebP and BMP files, and what is no image at all but is called one."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Iterator

import numpy as np
from hostile_case import (
    DAMAGED,
    IR,
    NO_IMAGE,
    SIZE,
    TOO_LARGE,
    VI,
    Fused,
    Hostile,
    patched,
    refused,
    rgb,
    saved,
)
from PIL import Image

HEIGHT, WIDTH = SIZE


def other_files() -> Iterator[Hostile]:
    """All cases of this module."""
    yield from _webp()
    yield from _bmp()
    yield from _no_images()


def _webp() -> Iterator[Hostile]:
    whole = saved(VI, "WEBP", quality=90)
    lossless = saved(np.dstack([VI, IR]), "WEBP", lossless=True)
    for name, end in [("header", 12), ("chunk-header", 20), ("pixels", len(whole) // 2)]:
        yield Hostile(
            f"webp-cut-in-the-{name}", f"{end} bytes", lambda e=end: whole[:e], DAMAGED, ".webp"
        )
    good = {
        "webp-lossy": whole,
        "webp-lossless-alpha": lossless,
        "webp-1x1": saved(rgb(1, 1), "WEBP"),
        "webp-16383x1": saved(rgb(16383, 1), "WEBP"),
        "webp-icc-of-garbage": saved(VI, "WEBP", icc_profile=b"no profile" * 99),
    }
    sizes = {"webp-1x1": (1, 1), "webp-16383x1": (1, 16383)}
    for name, body in good.items():
        yield Hostile(
            name, "as its name says", lambda b=body: b, Fused(sizes.get(name, SIZE)), ".webp"
        )
    lossless_header = b"RIFF\0\0\0\0WEBPVP8L" + struct.pack("<I", 99)
    bits = (16383) | (16383 << 14)
    huge = lossless_header + b"\x2f" + struct.pack("<I", bits) + bytes(94)
    for name, size in [("short", 9), ("long", 2**32 - 2)]:
        yield Hostile(
            f"webp-riff-size-too-{name}",
            f"RIFF says {size} bytes",
            lambda n=size: patched(whole, 4, "<I", n),
            DAMAGED,
            ".webp",
        )
    yield Hostile(
        "webp-bomb-of-16384x16384",
        "header alone",
        lambda: patched(huge, 4, "<I", len(huge) - 8),
        TOO_LARGE,
        ".webp",
    )
    yield Hostile(
        "webp-animated",
        "two frames",
        lambda: saved(VI, "WEBP", save_all=True, append_images=[Image.fromarray(VI // 2)]),
        refused("animated; expected a single picture"),
        ".webp",
    )


def _bmp() -> Iterator[Hostile]:
    whole = saved(VI, "BMP")
    for name, end, found in [
        ("magic", 1, NO_IMAGE),
        ("header", 10, DAMAGED),
        ("information-header", 30, DAMAGED),
        ("pixels", len(whole) // 2, DAMAGED),
    ]:
        yield Hostile(
            f"bmp-cut-in-the-{name}", f"{end} bytes", lambda e=end: whole[:e], found, ".bmp"
        )
    lies = {
        "bmp-top-down": (22, "<i", -HEIGHT, Fused()),
        "bmp-negative-width": (18, "<i", -WIDTH, TOO_LARGE),
        "bmp-no-height": (22, "<i", 0, DAMAGED),
        "bmp-bomb-of-2147483647x24": (18, "<i", 2**31 - 1, TOO_LARGE),
        "bmp-unknown-compression": (30, "<I", 77, DAMAGED),
        "bmp-pixels-behind-the-end": (10, "<I", 2**31, DAMAGED),
        "bmp-header-of-4-gib": (14, "<I", 2**32 - 1, DAMAGED),
    }
    for name, (place, layout, value, found) in lies.items():
        yield Hostile(
            name,
            f"{value} at byte {place}",
            lambda p=place, lay=layout, v=value: patched(whole, p, lay, v),
            found,
            ".bmp",
        )
    yield Hostile("bmp-palette", "16 colours", lambda: saved(_few(), "BMP"), Fused(), ".bmp")


def _few() -> Image.Image:
    return Image.fromarray(VI).quantize(16)


def _no_images() -> Iterator[Hostile]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a.png", saved(VI, "PNG"))
    texts = {
        "zeros": bytes(5000),
        "ones": b"\xff" * 5000,
        "html": b"<!DOCTYPE html><html>404 not found</html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "xml-of-a-store": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "zip": archive.getvalue(),
        "elf": b"\x7fELF\2\1\1" + bytes(60),
        "pickle": pickle.dumps({"pixels": [1, 2, 3]}),
        "gif": saved(IR, "GIF"),
        "ppm": saved(VI, "PPM"),
        "ico": saved(VI, "ICO"),
        "vrt": b'<VRTDataset rasterXSize="9" rasterYSize="9"></VRTDataset>',
        "git-lfs-pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    }
    for name, body in texts.items():
        yield Hostile(f"no-image-but-{name}", "under an image's name", lambda b=body: b, NO_IMAGE)
    empty = refused("is empty (0 bytes)", "Upload it again")
    for suffix in (".png", ".tif", ".jpg"):
        yield Hostile(f"empty-{suffix[1:]}", "0 bytes", lambda: b"", empty, suffix)
    yield Hostile(
        "vrt-that-names-a-file",
        "a text of GDAL's that points to another file",
        lambda: texts["vrt"],
        NO_IMAGE,
        ".tif",
    )
    yield Hostile("jpeg-called-png", "a wrong suffix", lambda: saved(VI, "JPEG"), Fused())
    yield Hostile("png-called-tif", "a wrong suffix", lambda: saved(VI, "PNG"), Fused(), ".tif")
