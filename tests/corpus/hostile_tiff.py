"""TIFF files: cut, lying in their tags, looping, of every coding, floats, and bombs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from hostile_case import (
    DAMAGED,
    IR,
    NO_IMAGE,
    SIZE,
    VI,
    Expected,
    Failed,
    Fused,
    Hostile,
    patched,
    refused,
    rgb,
    saved,
)
from numpy.typing import NDArray
from PIL import Image
from rasterio.io import MemoryFile
from raw_images import raw_tiff
from raw_tags import ASCII, LONG, SHORT, Tag, grey_tags, tiff_of_tags

HEIGHT, WIDTH = SIZE
WHOLE = raw_tiff(VI)
DIRECTORY = int.from_bytes(WHOLE[4:8], "little")
STRIP = IR.tobytes()
TAGS = grey_tags(WIDTH, HEIGHT, bits=8)


def tiff_files() -> Iterator[Hostile]:
    """All cases of this module."""
    cuts: tuple[tuple[str, int, Expected], ...] = (
        ("tiff-cut-in-the-magic", 3, NO_IMAGE),
        ("tiff-header-only", 8, DAMAGED),
        ("tiff-cut-in-the-pixels", DIRECTORY // 2, DAMAGED),
        ("tiff-cut-before-the-directory", DIRECTORY, DAMAGED),
        ("tiff-cut-in-the-directory", DIRECTORY + 30, DAMAGED),
    )
    for name, end, found in cuts:
        yield Hostile(name, f"the first {end} bytes", lambda e=end: WHOLE[:e], found, ".tif")
    yield from _kinds()
    yield from _floats()
    yield from _lies()
    yield from _bombs()


def gdal_tiff(bands: NDArray[Any], **profile: Any) -> bytes:
    """Return bands (N, H, W) as GDAL writes them."""
    count, height, width = bands.shape
    fields = {"driver": "GTiff", "count": count, "height": height, "width": width}
    with MemoryFile() as memory:
        with memory.open(**{**fields, "dtype": bands.dtype.name, **profile}) as target:
            target.write(bands)
        return bytes(memory.read())


def _kinds() -> Iterator[Hostile]:
    bands = np.moveaxis(VI, 2, 0)
    bits = Image.fromarray(IR).convert("1")
    wide = bands.astype(np.uint16) * 257
    files = {
        "tiff-big-endian": raw_tiff(VI, ">"),
        "tiff-lzw": saved(VI, "TIFF", compression="tiff_lzw"),
        "tiff-packbits": saved(VI, "TIFF", compression="packbits"),
        "tiff-jpeg": saved(VI, "TIFF", compression="jpeg"),
        "tiff-group3": saved(bits, "TIFF", compression="group3"),
        "tiff-group4": saved(bits, "TIFF", compression="group4"),
        "tiff-tiled": gdal_tiff(bands, tiled=True, blockxsize=16, blockysize=16),
        "tiff-bigtiff": gdal_tiff(bands, bigtiff="YES"),
        "tiff-separate-planes": gdal_tiff(bands, interleave="band"),
        "tiff-16-bit-rgb-zstd": gdal_tiff(wide, compress="zstd", photometric="rgb"),
        "tiff-cmyk": saved(Image.fromarray(VI).convert("CMYK"), "TIFF"),
        "tiff-palette": saved(Image.fromarray(VI).quantize(16), "TIFF"),
        "tiff-8-mib-of-description": tiff_of_tags({**TAGS, 270: (ASCII, b"x" * (8 << 20))}, STRIP),
    }
    for name, body in files.items():
        yield Hostile(name, "as its name says", lambda b=body: b, Fused(), ".tif")
    yield Hostile(
        "tiff-many-pages",
        "two of one size",
        lambda: saved(VI, "TIFF", save_all=True, append_images=[Image.fromarray(VI // 2)]),
        refused("holds 2 pages of one size"),
        ".tif",
    )
    for orientation in (3, 6):
        yield Hostile(
            f"tiff-orientation-{orientation}",
            "tag 274",
            lambda o=orientation: raw_tiff(VI, orientation=o),
            Fused((WIDTH, HEIGHT) if orientation > 4 else SIZE),
            ".tif",
        )
    for width, height in [(65535, 1), (1, 65535), (1, 1)]:
        yield Hostile(
            f"tiff-{width}x{height}",
            "as its name says",
            lambda size=(width, height): raw_tiff(rgb(*size)),
            Fused((height, width)),
            ".tif",
        )


def _floats() -> Iterator[Hostile]:
    some = IR.astype(np.float32)
    some[3:9, 4:20] = np.nan
    some[12, :9], some[13, :9] = np.inf, -np.inf
    files = {
        "tiff-float-with-nan-and-infinity": some,
        "tiff-float-of-1e38": IR.astype(np.float32) * np.float32(1e36),
        "tiff-float-of-denormals": IR.astype(np.float32) * np.float32(1e-42),
        "tiff-float-constant": np.full(SIZE, 7, np.float32),
        "tiff-float64-of-1e300": IR.astype(np.float64) * 1e300,
    }
    for name, pixels in files.items():
        yield Hostile(name, "a scene by its type", lambda p=pixels: raw_tiff(p), Fused(), ".tif")
    nan = np.full(SIZE, np.nan, np.float32)
    nothing = Failed("pair", "OverlapError", ("hold data at no common place",))
    yield Hostile("tiff-float-all-nan", "no value", lambda: raw_tiff(nan), nothing, ".tif")
    yield Hostile(
        "tiff-float-as-a-photograph",
        "under a name that is no scene's",
        lambda: raw_tiff(some),
        Fused(),
    )
    complex_bands = IR[None].astype(np.complex64)
    yield Hostile(
        "tiff-complex",
        "a scene by its type",
        lambda: gdal_tiff(complex_bands),
        refused("of type complex64; expected one of"),
        ".tif",
    )


def _lies() -> Iterator[Hostile]:
    first_tag = DIRECTORY + 2
    behind = first_tag + 12 * int.from_bytes(WHOLE[DIRECTORY:first_tag], "little")
    yield Hostile(
        "tiff-directory-that-follows-itself",
        "next directory is this one",
        lambda: patched(WHOLE, behind, "<I", DIRECTORY),
        Fused(),
        ".tif",
    )
    yield Hostile(
        "tiff-directory-at-the-header",
        "first directory at byte 0",
        lambda: patched(WHOLE, 4, "<I", 0),
        DAMAGED,
        ".tif",
    )
    yield Hostile(
        "tiff-65535-tags",
        "count of the directory",
        lambda: patched(WHOLE, DIRECTORY, "<H", 65535),
        DAMAGED,
        ".tif",
    )
    other = {
        "tiff-65535-channels": refused("65535 bands", "expected at most 1024"),
    }
    lies: dict[str, dict[int, Tag]] = {
        "tiff-no-width": grey_tags(0, HEIGHT, bits=8),
        "tiff-no-height": grey_tags(WIDTH, 0, bits=8),
        "tiff-width-4294967295": grey_tags(2**32 - 1, HEIGHT, bits=8, counts=[768]),
        "tiff-unknown-compression": {**TAGS, 259: (SHORT, [9999])},
        "tiff-77-bits": {**TAGS, 258: (SHORT, [77])},
        "tiff-strip-behind-the-end": {**TAGS, 273: (LONG, [4_000_000_000])},
        "tiff-strip-of-4-gib": {**TAGS, 279: (LONG, [2**32 - 1]), 259: (SHORT, [8])},
        "tiff-no-rows-per-strip": {**TAGS, 278: (LONG, [0])},
        "tiff-without-strips": {k: v for k, v in TAGS.items() if k not in (273, 279)},
        "tiff-65535-channels": {**TAGS, 277: (SHORT, [65535])},
    }
    for name, tags in lies.items():
        body = tiff_of_tags(tags, STRIP)
        found = other.get(name, DAMAGED)
        yield Hostile(name, "tags that lie", lambda b=body: b, found, ".tif")
    width = tiff_of_tags(TAGS, STRIP)
    place = width.index(struct.pack("<HHI", 256, LONG, 1)) + 4
    yield Hostile(
        "tiff-a-tag-of-4-billion-values",
        "count of the width",
        lambda: patched(width, place, "<I", 2**32 - 1),
        DAMAGED,
        ".tif",
    )


def _bombs() -> Iterator[Hostile]:
    zeros = zlib.compress(bytes(64 << 20), 9)

    def deflated(tags: dict[int, Tag]) -> bytes:
        size = {259: (SHORT, [8]), 279: (LONG, [len(zeros)])}
        return tiff_of_tags({**tags, **size}, zeros)

    tile = {322: (LONG, [20_000]), 323: (LONG, [20_000]), 324: (LONG, [8])}
    tiled = {k: v for k, v in TAGS.items() if k not in (273, 278, 279)} | tile
    whole = zlib.compressobj(9)
    squeezed = b"".join(whole.compress(bytes(1 << 20)) for _ in range(400)) + whole.flush()
    tiled |= {259: (SHORT, [8]), 325: (LONG, [len(squeezed)])}
    for suffix in (".tif", ".png"):
        kind = suffix[1:]
        yield Hostile(
            f"tiff-bomb-of-50000x50000-{kind}",
            "deflated zeros",
            lambda: deflated(grey_tags(50_000, 50_000, bits=8)),
            refused("tell of 2.5 GB of pixels"),
            suffix,
        )
        yield Hostile(
            f"tiff-bomb-in-a-tile-{kind}",
            "one tile of 20000x20000 for 24x32 pixels",
            lambda: tiff_of_tags(tiled, squeezed),
            refused("a tile of the image has 20000x20000"),
            suffix,
        )
    # By its content a scene, whatever its name: those may be of any size, but not for nothing.
    yield Hostile(
        "tiff-bomb-of-bands",
        "400 bands of 8000x8000 and no pixels",
        lambda: _sparse(8000, 400),
        refused("tell of 51.2 GB of pixels"),
    )


def _sparse(side: int, bands: int) -> bytes:
    fields = {"driver": "GTiff", "sparse_ok": True, "compress": "deflate", "dtype": "uint16"}
    with MemoryFile() as memory:
        with memory.open(
            **fields, count=bands, height=side, width=side, interleave="pixel", blockysize=1
        ):
            pass
        return bytes(memory.read())
