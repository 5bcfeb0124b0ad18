"""Writers of TIFF files that declare what the table asks for, byte by byte or by GDAL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from declared import PLACED, Values
from generated_scenes import PLACE, UTM
from rasterio.io import MemoryFile
from raw_pages import UNDEFINED, Page, packed_rows, tiff_of_pages
from raw_tags import ASCII, LONG, SHORT, UTM_KEYS, Tag, geo_tags

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR, CIELAB = 0, 1, 2, 3, 4, 5, 6, 8
"""Photometric interpretations."""

UNSPECIFIED, ASSOCIATED, STRAIGHT = 0, 1, 2
"""Kinds of extra samples."""

REDUCED, MASK_PAGE = 1, 4
"""Kinds of further pages."""

ORIENTATION, COLOUR_MAP, ICC, SUBFILE = 274, 320, 34675, 254


def page(
    samples: Values,
    photometric: int,
    *,
    bits: int | None = None,
    extra: Sequence[int] = (),
    planar: bool = False,
    rows: int | None = None,
    tile: int | None = None,
    order: str = "<",
    **tags: Tag,
) -> Page:
    """Return an uncompressed page.

    Args:
        samples: Its samples as they are stored, (C, H, W).
        photometric: What they mean.
        bits: Bits of a sample; those of their type unless given.
        extra: Kinds of the samples that hold no colour.
        planar: Whether each band is stored by itself.
        rows: Rows of a strip; all unless given.
        tile: Side of its tiles; strips unless given.
        order: Byte order of its samples.
        tags: Further tags, by ``t`` and their number.
    """
    count, height, width = samples.shape
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    depth = bits or 8 * samples.dtype.itemsize
    found: dict[int, Tag] = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [depth] * count),
        259: (SHORT, [1]),
        262: (SHORT, [photometric]),
        277: (SHORT, [count]),
        284: (SHORT, [2 if planar else 1]),
        339: (SHORT, [kind] * count),
    }
    if extra:
        found[338] = (SHORT, list(extra))
    planes = [samples[k : k + 1] for k in range(count)] if planar else [samples]
    if tile is None:
        found[278] = (LONG, [rows or height])
        step = rows or height
        parts = [p[:, top : top + step] for p in planes for top in range(0, height, step)]
    else:
        found |= {322: (LONG, [tile]), 323: (LONG, [tile])}
        parts = [part for plane in planes for part in _tiles(plane, tile)]
    found |= {int(name[1:]): tag for name, tag in tags.items()}
    return Page(found, [_packed(part, bits, order) for part in parts])


def _tiles(plane: Values, side: int) -> list[Values]:
    _, height, width = plane.shape
    padding = ((0, 0), (0, -height % side), (0, -width % side))
    whole = np.pad(plane, padding, mode="edge")
    return [
        whole[:, top : top + side, left : left + side]
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]


def _packed(part: Values, bits: int | None, order: str) -> bytes:
    pixels = part.transpose(1, 2, 0)
    if bits is None or bits == 8 * part.dtype.itemsize:
        return bytes(pixels.astype(part.dtype.newbyteorder(order)).tobytes())
    return b"".join(packed_rows(pixels.reshape(len(pixels), -1), bits))


def tiff(container: str, *pages: Page, order: str = "<") -> bytes:
    """Return a TIFF, BigTIFF or GeoTIFF of pages, the first of which has the place."""
    first, *rest = pages
    if container in PLACED:
        first = Page({**geo_tags(UTM_KEYS), **first.tags}, first.segments)
    return tiff_of_pages([first, *rest], order, big=container == "bigtiff")


def nodata_tag(text: str) -> Tag:
    """Return the tag that names the value that means no data."""
    return ASCII, list(text.encode() + b"\0")


def icc_tag(profile: bytes) -> Tag:
    """Return the tag that holds a colour profile."""
    return UNDEFINED, list(profile)


def colour_map(entries: Values, bits: int) -> Tag:
    """Return the tag of a palette (N, 3) of uint8."""
    full = np.zeros((1 << bits, 3), np.uint16)
    full[: len(entries)] = entries.astype(np.uint16) * 257
    return SHORT, [int(value) for value in full.T.ravel()]


def ink_names() -> dict[str, Tag]:
    """Return the tags that say that four inks are cyan, magenta, yellow and black."""
    return {"t332": (SHORT, [1]), "t334": (SHORT, [4])}


def by_gdal(container: str, samples: Values, **options: Any) -> bytes:
    """Return a TIFF, BigTIFF or GeoTIFF of samples (C, H, W) that GDAL writes."""
    count, height, width = samples.shape
    place: Mapping[str, Any] = {}
    if container in PLACED:
        place = {"crs": UTM, "transform": PLACE}
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            height=height,
            width=width,
            count=count,
            dtype=samples.dtype,
            BIGTIFF="YES" if container == "bigtiff" else "NO",
            **place,
            **options,
        ) as target:
            target.write(samples)
        return bytes(memory.read())
