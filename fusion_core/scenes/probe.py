"""Tells scenes from photographs by the headers of their files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from fusion_core.archive.plan import PairRef
from fusion_core.errors import DecodeError, PairError
from fusion_core.scenes.raster import Raster, gdal_settings, open_header
from fusion_core.storage.store import Storage

SUFFIXES = (".tif", ".tiff", ".jp2")
"""Names that may be scenes'; others are never looked into."""

_SMALL = 64 << 20
_PHOTOGRAPHS = {"uint8", "uint16"}
_LARGE_ENOUGH = 1 << 20
"""Bytes from which a file is looked into while planning, or a million photographs would be."""

_READERS = 16
_CACHE_MB = 64


def is_scene(source: Storage, ref: PairRef, max_megapixels: float) -> bool:
    """Tell whether a pair is fused as a scene: in tiles, with its georeference.

    A pair is a scene if one of its files is a TIFF or JPEG 2000 file that is georeferenced,
    declares a nodata value, has pixels of another type than 8 or 16 bits unsigned or more than four
    bands, or is larger than photographs may be.

    Raises:
        ReadError: A file is gone, or the store or the machine fails.
        DecodeError: A large file is damaged. Small ones are left to the photographs' reader, which
            says in detail what is wrong.
    """
    files = (ref.ir_path, ref.ir_bytes), (ref.vi_path, ref.vi_bytes)
    found = False
    for path, size in files:
        if not path.lower().endswith(SUFFIXES):
            continue
        try:
            with gdal_settings(_CACHE_MB), open_header(source, path, size) as raster:
                pixels = raster.dataset.width * raster.dataset.height
                found = found or pixels > max_megapixels * 1e6 or looks_like_scene(raster)
        except DecodeError:
            if size > _SMALL:
                raise
    return found


def add_pixels(source: Storage, todo: pa.Table) -> pa.Table:
    """Add a column ``pixels`` to pairs that are to be fused, for cutting them into chunks.

    Args:
        source: Where the files are.
        todo: Rows of ``Plan.todo``.

    Returns:
        The same rows; ``pixels`` is the number of the visible file's pixels where its name may be a
        scene's, it is no small file, and it can be opened, else 0.
    """
    rows = todo.select(["vi_path", "vi_bytes"]).to_pylist()
    files = [(row["vi_path"], row["vi_bytes"]) for row in rows]
    candidates = [
        k
        for k, (path, size) in enumerate(files)
        if size >= _LARGE_ENOUGH and path.lower().endswith(SUFFIXES)
    ]
    pixels = [0] * len(files)
    with ThreadPoolExecutor(_READERS) as readers:
        for k, count in zip(
            candidates, readers.map(lambda k: _pixels(source, *files[k]), candidates), strict=True
        ):
            pixels[k] = count
    return todo.append_column("pixels", pa.array(pixels, pa.int64()))


def looks_like_scene(raster: Raster) -> bool:
    """Tell whether a raster is a scene by anything in its header but its size.

    Raises:
        DecodeError: Its header is damaged.
    """
    dataset = raster.dataset
    with raster.reading():
        placed: Sequence[object] = (
            dataset.crs is not None,
            bool(dataset.gcps[0]),
            dataset.rpcs is not None,
            not dataset.transform.is_identity,
        )
        return (
            any(placed)
            or dataset.nodata is not None
            or not set(dataset.dtypes) <= _PHOTOGRAPHS
            or dataset.count > 4
        )


def _pixels(source: Storage, path: str, size: int) -> int:
    try:
        with gdal_settings(_CACHE_MB), open_header(source, path, size) as raster:
            return int(raster.dataset.width * raster.dataset.height)
    except PairError:
        return 0  # the worker will say what is wrong with it
