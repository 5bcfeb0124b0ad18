"""Tells scenes from photographs by the headers of their files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from fusion_core.archive.plan import PairRef
from fusion_core.archive.sequence import is_sequence
from fusion_core.errors import DecodeError, PairError
from fusion_core.images.description import describe_dataset
from fusion_core.images.gdal_errors import GdalError
from fusion_core.images.jp2_boxes import JPEG2000_MAGIC, read_boxes
from fusion_core.images.tiff_tags import TIFF_MAGIC, read_tags
from fusion_core.scenes.large_files import SUFFIXES, LargeFile
from fusion_core.scenes.raster import NoRasterError, gdal_settings, open_header
from fusion_core.storage.store import Storage

_SMALL = 64 << 20
_READERS = 16
_CACHE_MB = 64


def is_scene(source: Storage, ref: PairRef, max_megapixels: float) -> bool:
    """Tell whether a pair is fused as a scene: in tiles, with its georeference.

    A pair is a scene if one of its files is a TIFF or JPEG 2000 file that is georeferenced,
    declares a nodata value or a scale, has pixels of another type than 8 or 16 bits unsigned or
    other bands than grey or colours and alpha, or is larger than photographs may be. Small files
    whose names are none of a scene's are not looked into here; ``is_scene_inside`` does.

    Raises:
        ReadError: A file is gone, or the store or the machine fails.
        DecodeError: A large file is damaged. Small ones are left to the photographs' reader, which
            says in detail what is wrong.
    """
    files = (ref.ir_path, ref.ir_bytes), (ref.vi_path, ref.vi_bytes)
    found = False
    for path, size in files:
        if is_sequence(path):
            continue
        if size <= _SMALL and not path.lower().endswith(SUFFIXES):
            continue
        try:
            with gdal_settings(_CACHE_MB), open_header(source, path, size) as raster:
                pixels = raster.dataset.width * raster.dataset.height
                large = pixels > max_megapixels * 1e6
                found = found or large or not raster.description.is_photograph
        except NoRasterError:
            continue  # whatever its name says
        except DecodeError:
            if size > _SMALL:
                raise
    return found


def count_pixels(source: Storage, files: Sequence[LargeFile]) -> list[int]:
    """Return the number of pixels of each file, by its header; 0 where it can't be opened."""
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(lambda file: _pixels(source, *file), files))


def is_scene_inside(path: str, body: bytes, max_megapixels: float) -> bool:
    """Tell whether a file that was read is a scene's, although its name is none of a scene's.

    Args:
        path: Its path.
        body: Its bytes.
        max_megapixels: Larger images are scenes' in any case.
    """
    if path.lower().endswith(SUFFIXES) or not body.startswith((*TIFF_MAGIC, *JPEG2000_MAGIC)):
        return False
    file = io.BytesIO(body)
    try:
        with gdal_settings(_CACHE_MB), MemoryFile(body) as memory, memory.open() as dataset:
            described = describe_dataset(dataset, read_tags(file), read_boxes(file))
            large = dataset.width * dataset.height > max_megapixels * 1e6
    except (RasterioError, GdalError):
        return False  # the photographs' reader says what is wrong
    return large or not described.is_photograph


def _pixels(source: Storage, path: str, size: int) -> int:
    try:
        with gdal_settings(_CACHE_MB), open_header(source, path, size) as raster:
            return int(raster.dataset.width * raster.dataset.height)
    except PairError:
        return 0  # the worker will say what is wrong with it
