"""PNG files: cut at each point of their structure, of every kind of pixel, lying, or bombs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from hostile_case import (
    DAMAGED,
    IR,
    NO_IMAGE,
    SIZE,
    TOO_LARGE,
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
from PIL import Image, ImageCms, PngImagePlugin
from raw_images import png_chunk, png_header, raw_png

HEIGHT, WIDTH = SIZE
SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = png_chunk(b"IEND", b"")
WHOLE = raw_png(VI)
AFTER_HEADER = 33  # signature and IHDR

CUTS = (
    ("png-cut-in-the-signature", 4, NO_IMAGE),
    ("png-cut-after-the-signature", 8, DAMAGED),
    ("png-cut-inside-ihdr", 20, DAMAGED),
    ("png-cut-before-ihdr-checksum", 29, DAMAGED),
    ("png-cut-before-idat", AFTER_HEADER, DAMAGED),
    ("png-cut-after-idat-length", AFTER_HEADER + 4, DAMAGED),
    ("png-cut-inside-idat", len(WHOLE) // 2, DAMAGED),
    ("png-cut-before-idat-checksum", len(WHOLE) - 16, Fused()),
    ("png-without-iend", len(WHOLE) - 12, Fused()),
    ("png-cut-inside-iend", len(WHOLE) - 4, Fused()),
)

OTHER_LIES: dict[str, Expected] = {
    "png-unknown-compression": Fused(),
    "png-idat-length-too-long": Fused(),
    "png-idat-length-negative": Fused(),
    "png-negative-height": TOO_LARGE,
}


def png_files() -> Iterator[Hostile]:
    """All cases of this module."""
    yield from (
        Hostile(name, f"the first {end} bytes of {len(WHOLE)}", lambda end=end: WHOLE[:end], found)
        for name, end, found in CUTS
    )
    yield from _kinds()
    yield from _lies()
    yield from _bombs()
    yield from _extras()


def packed_png(bits: int, colour_type: int, *before: bytes, fill: int = 0x1B) -> bytes:
    """Return a PNG of packed pixels that all have the same byte."""
    line = b"\0" + bytes([fill]) * (WIDTH * bits // 8)
    header = png_header(WIDTH, HEIGHT, bits, colour_type, interlaced=False)
    return header + b"".join(before) + png_chunk(b"IDAT", zlib.compress(line * HEIGHT)) + END


def palette(colours: int) -> bytes:
    return png_chunk(b"PLTE", bytes(k % 256 for k in range(3 * colours)))


def _kinds() -> Iterator[Hostile]:
    wide = VI.astype(np.uint16) * 257
    clear = np.dstack([VI, IR])
    files = {
        "png-1-bit": packed_png(1, 0),
        "png-2-bit-grey": packed_png(2, 0),
        "png-4-bit-grey": packed_png(4, 0),
        "png-1-bit-palette": packed_png(1, 3, palette(2)),
        "png-4-bit-palette": packed_png(4, 3, palette(16)),
        "png-palette-with-transparency": packed_png(
            2, 3, palette(4), png_chunk(b"tRNS", b"\0\x80")
        ),
        "png-grey-with-a-transparent-value": packed_png(8, 0, png_chunk(b"tRNS", b"\0\x1c")),
        "png-16-bit-grey": raw_png(wide[..., 0]),
        "png-16-bit-grey-alpha": raw_png(wide[..., :2]),
        "png-16-bit-rgb": raw_png(wide),
        "png-16-bit-rgba": raw_png(np.dstack([wide, wide[..., 0]])),
        "png-8-bit-rgba": raw_png(clear),
        "png-interlaced": raw_png(VI, interlaced=True),
        "png-16-bit-interlaced": raw_png(wide, interlaced=True),
    }
    yield from (
        Hostile(name, "written chunk by chunk", lambda body=body: body, Fused())
        for name, body in files.items()
    )
    for width, height in [(1, 1), (65535, 1), (1, 65535), (2, 1)]:
        yield Hostile(
            f"png-{width}x{height}",
            "written chunk by chunk",
            lambda size=(width, height): raw_png(rgb(*size)),
            Fused((height, width)),
        )


def _lies() -> Iterator[Hostile]:
    index = packed_png(8, 3, palette(4), fill=200)
    yield Hostile("png-index-behind-its-palette", "4 colours, index 200", lambda: index, Fused())
    yield Hostile("png-without-a-palette", "no PLTE", lambda: packed_png(8, 3), DAMAGED)
    yield Hostile(
        "png-of-nothing-but-a-transparent-value",
        "every pixel is the one of tRNS",
        lambda: packed_png(8, 0, png_chunk(b"tRNS", b"\0\x1b")),
        Failed("pair", "OverlapError", ("at no common pixel",)),
    )
    lies = {
        "png-no-width": (16, ">I", 0),
        "png-negative-height": (20, ">i", -24),
        "png-7-bits": (24, "B", 7),
        "png-colour-type-5": (25, "B", 5),
        "png-unknown-compression": (26, "B", 9),
        "png-larger-than-its-pixels": (20, ">I", 2 * HEIGHT),
        "png-idat-length-too-long": (AFTER_HEADER, ">I", 1 << 30),
        "png-idat-length-negative": (AFTER_HEADER, ">i", -1),
    }
    for name, (place, layout, value) in lies.items():
        body = patched(WHOLE, place, layout, value)
        if place < AFTER_HEADER:
            body = patched(body, 29, ">I", zlib.crc32(body[12:29]))
        found = OTHER_LIES.get(name, DAMAGED)
        yield Hostile(name, f"{value} at byte {place}, checksum right", lambda b=body: b, found)
    yield Hostile(
        "png-wrong-ihdr-checksum", "CRC of IHDR", lambda: patched(WHOLE, 29, ">I", 1), DAMAGED
    )
    flipped = patched(WHOLE, len(WHOLE) - 40, "B", WHOLE[-40] ^ 0x10)
    yield Hostile("png-bit-flip-in-pixels", "one bit of IDAT", lambda: flipped, DAMAGED)


def _bombs() -> Iterator[Hostile]:
    def zeros(width: int, height: int, sent: int) -> bytes:
        squeezed = zlib.compressobj(9)
        body = b"".join(squeezed.compress(bytes(1 << 20)) for _ in range(sent)) + squeezed.flush()
        return png_header(width, height, 8, 2, False) + png_chunk(b"IDAT", body) + END

    def text(kind: bytes, before: bytes, size: int) -> bytes:
        body = before + zlib.compress(bytes(size), 9)
        return WHOLE[:AFTER_HEADER] + png_chunk(kind, body) + WHOLE[AFTER_HEADER:]

    yield Hostile("png-bomb-of-50000x50000", "zeros", lambda: zeros(50_000, 50_000, 64), TOO_LARGE)
    yield Hostile("png-bomb-of-2147483647x1", "zeros", lambda: zeros(2**31 - 1, 1, 1), TOO_LARGE)
    yield Hostile(
        "png-bomb-behind-a-small-header",
        "1 GiB of zeros for 24x32 pixels",
        lambda: zeros(WIDTH, HEIGHT, 1024),
        Fused(),
    )
    yield Hostile(
        "png-bomb-in-ztxt", "256 MiB", lambda: text(b"zTXt", b"a\0\0", 256 << 20), DAMAGED
    )
    yield Hostile(
        "png-bomb-in-itxt", "256 MiB", lambda: text(b"iTXt", b"a\0\1\0\0\0", 256 << 20), DAMAGED
    )
    yield Hostile(
        "png-bomb-in-iccp", "256 MiB", lambda: text(b"iCCP", b"a\0\0", 256 << 20), DAMAGED
    )


def _extras() -> Iterator[Hostile]:
    def with_text() -> bytes:
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", "x" * (8 << 20))
        return saved(VI, "PNG", pnginfo=info)

    def animated() -> bytes:
        return saved(VI, "PNG", save_all=True, append_images=[Image.fromarray(VI // 2)])

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    still = refused("animated; expected a single picture")
    frames = png_chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    yield Hostile("png-animated", "two frames", animated, still)
    yield Hostile(
        "png-that-says-it-is-animated",
        "acTL of 2147483647 frames, one picture",
        lambda: WHOLE[:AFTER_HEADER] + frames + WHOLE[AFTER_HEADER:],
        still,
    )
    yield Hostile("png-with-8-mib-of-text", "tEXt", with_text, Fused())
    yield Hostile(
        "png-with-icc-profile", "sRGB", lambda: saved(VI, "PNG", icc_profile=profile), Fused()
    )
    yield Hostile(
        "png-with-garbage-for-a-profile",
        "iCCP of no profile",
        lambda: saved(VI, "PNG", icc_profile=b"no profile" * 99),
        Fused(),
    )
    yield Hostile("png-with-rubbish-behind-it", "4 KiB", lambda: WHOLE + b"\xaa" * 4096, Fused())
