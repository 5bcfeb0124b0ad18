"""Mutants of files that encoders wrote, and what must hold of each of them."""

from __future__ import annotations

import functools
import random
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from declared import CONTAINERS, Declared
from declared_table import PROPERTIES, cell
from hostile_case import IR, VI, Fused
from hostile_files import files
from hostile_tiff import gdal_tiff
from raw_images import raw_tiff
from raw_tags import NODATA, UTM_KEYS, geo_tags, grey_tags, tiff_of_tags

from fusion_core.errors import PairError
from fusion_core.images.codecs import decode
from fusion_core.scenes.localised import open_image
from fusion_core.scenes.raster import gdal_settings
from fusion_core.storage.store import Storage
from fusion_core.storage.version import object_version

MOST_MEGAPIXELS = 1.0
_LARGEST_SEED = 8000  # bytes
_EVERY = 5  # of the files of declarations, so that they don't crowd out the others
_PNG = b"\x89PNG\r\n\x1a\n"
_INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)

Mutation = Callable[[random.Random, bytearray], None]


@functools.cache
def seeds() -> tuple[bytes, ...]:
    """Whole files of every format and coding that is read, and small scenes."""
    found = [
        body
        for case in files()
        if isinstance(case.expected, Fused) and "bomb" not in case.name
        for body in [case.body()]
        if len(body) < _LARGEST_SEED
    ]
    placed = {**geo_tags(UTM_KEYS), **grey_tags(32, 24, bits=8), NODATA: (2, b"0\0")}
    bands = np.moveaxis(VI, 2, 0)
    found += [
        tiff_of_tags(placed, IR.tobytes()),
        gdal_tiff(bands.astype(np.int16), nodata=-1, tiled=True, blockxsize=16, blockysize=16),
        gdal_tiff(np.stack([IR] * 6).astype(np.float32), compress="lzw", predictor=3),
        gdal_tiff(bands.astype(np.uint16), compress="deflate", predictor=2, crs="EPSG:32654"),
        raw_tiff(IR.astype(np.float32)),
    ]
    return (*found, *_declared())


def _declared() -> list[bytes]:
    """Small files of every kind of declaration: how they lie, their colours, opacity and pages."""
    cells = (
        cell(name, value, container)
        for name in ("alpha", "CMYK", "palette", "polarity", "pages", "colour profile", "bits")
        for value in PROPERTIES[name].values
        for container in CONTAINERS
    )
    return [
        found.body
        for found in cells
        if isinstance(found, Declared) and len(found.body) < _LARGEST_SEED
    ][::_EVERY]


def mutant(rng: random.Random) -> bytes:
    """Return a file that is damaged in one to five places."""
    body = bytearray(rng.choice(seeds()))
    for _ in range(rng.randint(1, 5)):
        if body:
            rng.choice(_MUTATIONS)(rng, body)
    if body.startswith(_PNG) and rng.random() < 0.8:
        return _with_checksums(bytes(body))
    return bytes(body)


def examine(body: bytes, store: Storage) -> None:
    """Decode a file as a photograph and look into it as a scene.

    Args:
        body: The file.
        store: Where it is put as a scene; GDAL reads local files itself and others through fsspec.

    Raises:
        AssertionError: It became a picture that is none.
        Exception: Anything but the project's own errors, which say what is wrong with the file.
    """
    try:
        found = decode(body, MOST_MEGAPIXELS)
    except PairError:
        pass
    else:
        assert found.pixels.dtype in (np.uint8, np.uint16), found.pixels.dtype
        assert found.pixels.ndim == 2 or found.pixels.shape[2] == 3, found.pixels.shape
        assert found.pixels.size > 0
        assert found.alpha is None or found.alpha.shape == found.pixels.shape[:2]
    store.write("file.tif", body)
    version = object_version(store.info("file.tif"))
    try:
        with (
            gdal_settings(16),
            tempfile.TemporaryDirectory() as folder,
            open_image(
                store,
                "file.tif",
                len(body),
                version,
                folder=Path(folder),
                max_megapixels=MOST_MEGAPIXELS,
            ) as raster,
        ):
            assert raster.dataset.count >= 1
    except PairError:
        pass


def _place(rng: random.Random, body: bytearray) -> int:
    """Choose a place; headers are where damage is most various."""
    return rng.randrange(min(len(body), 120) if rng.random() < 0.5 else len(body))


def _flip(rng: random.Random, body: bytearray) -> None:
    body[_place(rng, body)] ^= 1 << rng.randrange(8)


def _byte(rng: random.Random, body: bytearray) -> None:
    body[_place(rng, body)] = rng.randrange(256)


def _number(rng: random.Random, body: bytearray) -> None:
    size, letter = rng.choice([(2, "H"), (4, "I")])
    value = rng.choice(_INTERESTING) % (1 << 8 * size)
    at = _place(rng, body)
    body[at : at + size] = struct.pack(rng.choice("<>") + letter, value)


def _step(rng: random.Random, body: bytearray) -> None:
    at = _place(rng, body)
    body[at] = (body[at] + rng.randint(-4, 4)) % 256


def _cut(rng: random.Random, body: bytearray) -> None:
    del body[_place(rng, body) :]


def _delete(rng: random.Random, body: bytearray) -> None:
    at = _place(rng, body)
    del body[at : at + rng.randint(1, 40)]


def _insert(rng: random.Random, body: bytearray) -> None:
    at = _place(rng, body)
    body[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 40)))


def _repeat(rng: random.Random, body: bytearray) -> None:
    at = _place(rng, body)
    piece = body[at : at + rng.randint(1, 200)]
    body[at:at] = piece * rng.randint(1, 20)


def _splice(rng: random.Random, body: bytearray) -> None:
    other = rng.choice(seeds())
    start = rng.randrange(len(other))
    at = _place(rng, body)
    piece = other[start : start + rng.randint(1, 400)]
    body[at : at + len(piece)] = piece


_MUTATIONS: tuple[Mutation, ...] = (
    *(_flip, _byte, _number, _number, _step, _cut),
    *(_delete, _insert, _repeat, _splice),
)


def _with_checksums(body: bytes) -> bytes:
    """Return a PNG file whose checksums are right, so that what is behind them is looked at."""
    made, at = bytearray(body[:8]), 8
    while at + 12 <= len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(body):
            break
        made += body[at:end] + struct.pack(">I", zlib.crc32(body[at + 4 : end]))
        at = end + 4
    return bytes(made) + body[at:]
