"""Opens rasters where they lie, in any store, and reads only what is asked for.

Objects of a store are read through fsspec and not by GDAL's own /vsis3: the credentials are those
of everything else, any store that fsspec knows will do, S3 refuses to mix two versions of an object
(If-Match), and it was measured to be several times as fast, see tests/benchmarks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from fusion_core.errors import DecodeError
from fusion_core.images.description import Description, describe_dataset
from fusion_core.images.gdal_errors import GdalError
from fusion_core.images.jp2_boxes import JPEG2000_MAGIC
from fusion_core.images.tiff_tags import TIFF_MAGIC
from fusion_core.scenes.stored_object import BLOCK, HEADER_BLOCK, StoredObject
from fusion_core.storage.store import Storage

_MAGIC = {"GTiff": TIFF_MAGIC, "JP2OpenJPEG": JPEG2000_MAGIC}
"""Formats that are opened, by what files start with. Others of GDAL's may be texts that point to
further files or servers."""


def gdal_settings(cache_mb: int) -> rasterio.Env:
    """Return the environment in which rasters are opened and written.

    Args:
        cache_mb: Bound on GDAL's cache of decoded blocks, in MiB, shared by all open files.
    """
    return rasterio.Env(
        GDAL_CACHEMAX=cache_mb << 20,  # rasterio takes bytes
        # No side cars, so that a file means the same in every store.
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
        GDAL_PAM_ENABLED="NO",
        GDAL_TIFF_INTERNAL_MASK="YES",
        GTIFF_SRS_SOURCE="GEOKEYS",
    )


@dataclass(frozen=True)
class Raster:
    """An open raster, to be used by one thread at a time.

    Attributes:
        path: Its path below the storage's root.
        dataset: The open file, to be read inside ``reading``.
        description: What it declares of its pixels.
        remark: What a reader of the fused scene should know of it, if anything.
    """

    path: str
    dataset: DatasetReader
    description: Description
    _objects: StoredObject
    remark: str | None = None

    @property
    def file_bytes(self) -> int:
        """Size of the file in bytes."""
        return self._objects.size(self.path)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn GDAL's errors at this raster into the project's.

        Raises:
            ReadError: The store failed, or the object has changed.
            DecodeError: The file is damaged.
        """
        with _translated(self.path, self._objects):
            yield


class NoRasterError(DecodeError):
    """A file is no TIFF and no JPEG 2000 file."""


@contextmanager
def open_raster(storage: Storage, path: str, size: int, version: str) -> Iterator[Raster]:
    """Open a raster where it lies, and check that it is what was listed.

    Args:
        storage: The store that it lies in.
        path: Its path there.
        size: Its size in bytes when it was listed.
        version: Its version then, see ``object_version``.

    Raises:
        ReadError: It is gone, has changed since it was listed or until it is closed, or the store
            fails.
        NoRasterError: It is of no known format.
        DecodeError: It is damaged.
    """
    objects = StoredObject(storage, path, size, BLOCK)
    objects.check(version)
    with _opened(storage, path, objects) as raster:
        yield raster
    objects.check(version)


@contextmanager
def open_header(storage: Storage, path: str, size: int) -> Iterator[Raster]:
    """Open a raster to look at its header: two small reads from most stores, of any version.

    Raises:
        ReadError: It is gone, or the store fails.
        DecodeError: It is no raster of a known format, or damaged.
    """
    with _opened(storage, path, StoredObject(storage, path, size, HEADER_BLOCK)) as raster:
        yield raster


@contextmanager
def open_local(file: Path, path: str) -> Iterator[Raster]:
    """Open a raster of this machine that stands for a file of a store.

    Args:
        file: The raster.
        path: The path of the file that it stands for, for errors and names.

    Raises:
        DecodeError: It can't be read.
    """
    objects = StoredObject(Storage(str(file.parent)), file.name, file.stat().st_size, BLOCK)
    with _opened(objects.storage, file.name, objects) as raster:
        yield replace(raster, path=path)


@contextmanager
def _opened(storage: Storage, path: str, objects: StoredObject) -> Iterator[Raster]:
    try:
        driver = _driver(path, objects.start())
        tags, boxes = objects.declared()
        where = {} if storage.is_local else {"opener": objects}
        name = storage.fs_path(path) if storage.is_local else f"/{os.path.basename(path)}"
        with _translated(path, objects):
            dataset = rasterio.open(name, driver=driver, **where)
    finally:
        objects.end_start()
    with dataset:
        with _translated(path, objects):
            described = describe_dataset(dataset, tags, boxes)
        yield Raster(path, dataset, described, objects)


@contextmanager
def _translated(path: str, objects: StoredObject) -> Iterator[None]:
    try:
        yield
    except (RasterioError, GdalError) as error:
        objects.look_again()
        if objects.error is not None:
            objects.fail()
        raise DecodeError(
            f"{path} is damaged: {error.__cause__ or error}. Expected a whole file; upload it again"
        ) from error
    if objects.error is not None:  # some formats pass over a short read
        objects.fail()


def _driver(path: str, start: bytes) -> str:
    if not start:
        raise DecodeError(f"{path} is empty (0 bytes); expected an image. Upload it again")
    for driver, beginnings in _MAGIC.items():
        if start.startswith(beginnings):
            return driver
    raise NoRasterError(
        f"{path} is no image: it starts with {start[:8]!r}; expected GeoTIFF or JPEG 2000. Check "
        "what was uploaded under this name"
    )
