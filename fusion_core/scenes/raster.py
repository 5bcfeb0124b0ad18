"""Opens rasters where they lie, in any store, and reads only what is asked for.

Objects of a store are read through fsspec and not by GDAL's own /vsis3: the credentials are those
of everything else, any store that fsspec knows will do, S3 refuses to mix two versions of an object
(If-Match), and it was measured to be several times as fast, see tests/benchmarks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import rasterio
from rasterio.abc import FileContainer
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from fusion_core.errors import (
    ArchivedError,
    DecodeError,
    ReadError,
    SourceChangedError,
    UnreachableError,
)
from fusion_core.images.codecs_gdal import JPEG2000_MAGIC
from fusion_core.images.description import Description, describe_dataset
from fusion_core.images.gdal_errors import GdalError
from fusion_core.images.tiff_tags import TIFF_MAGIC, TiffTags, read_tags
from fusion_core.storage.errors import changed, fails_condition, gone, is_archived
from fusion_core.storage.local import check_regular
from fusion_core.storage.retry import counted_by, current_count
from fusion_core.storage.store import Storage
from fusion_core.storage.version import object_version

_MAGIC = {"GTiff": TIFF_MAGIC, "JP2OpenJPEG": JPEG2000_MAGIC}
"""Formats that are opened, by what files start with. Others of GDAL's may be texts that point to
further files or servers."""

_BLOCK = 4 << 20
_BLOCKS = 16  # of each open file kept in memory
_HEADER_BLOCK = 64 << 10


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
    _objects: _Objects
    remark: str | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn GDAL's errors at this raster into the project's.

        Raises:
            ReadError: The store failed, or the object has changed.
            DecodeError: The file is damaged.
        """
        with _translated(self.path, self._objects):
            yield


def is_raster(storage: Storage, path: str, size: int) -> bool:
    """Tell by a file's first bytes whether it may be a scene: a TIFF or JPEG 2000 file.

    Raises:
        ReadError: It is gone, or the store fails.
        DecodeError: It is empty.
    """
    objects = _Objects(storage, path, size, _HEADER_BLOCK)
    try:
        start = objects.start()
    finally:
        objects.end_start()
    if not start:
        raise DecodeError(f"{path} is empty (0 bytes); expected an image. Upload it again")
    return any(start.startswith(magic) for magic in _MAGIC.values())


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
        DecodeError: It is no raster of a known format, or damaged.
    """
    objects = _Objects(storage, path, size, _BLOCK)
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
    with _opened(storage, path, _Objects(storage, path, size, _HEADER_BLOCK)) as raster:
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
    objects = _Objects(Storage(str(file.parent)), file.name, file.stat().st_size, _BLOCK)
    with _opened(objects.storage, file.name, objects) as raster:
        yield replace(raster, path=path)


@contextmanager
def _opened(storage: Storage, path: str, objects: _Objects) -> Iterator[Raster]:
    try:
        driver = _driver(path, objects.start())
        tags = objects.tags()
        where = {} if storage.is_local else {"opener": objects}
        name = storage.fs_path(path) if storage.is_local else f"/{os.path.basename(path)}"
        with _translated(path, objects):
            dataset = rasterio.open(name, driver=driver, **where)
    finally:
        objects.end_start()
    with dataset:
        with _translated(path, objects):
            described = describe_dataset(dataset, tags)
        yield Raster(path, dataset, described, objects)


@contextmanager
def _translated(path: str, objects: _Objects) -> Iterator[None]:
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
    raise DecodeError(
        f"{path} is no raster: it starts with {start[:8]!r}; expected GeoTIFF or JPEG 2000. Check "
        "what was uploaded under this name"
    )


class _Objects(FileContainer):  # type: ignore[misc]
    """Shows one object of a store to GDAL as a file, and keeps the error that reading it raised."""

    def __init__(self, storage: Storage, path: str, size: int, block: int):
        self.storage, self._path, self._size, self._block = storage, path, size, block
        self._begun: _File | None = None
        self._count = current_count()  # GDAL may read in threads of its own
        self.error: Exception | None = None

    def check(self, version: str) -> None:
        """Raise ReadError unless the object is what was listed."""
        try:
            info = self.storage.info(self._path)
        except FileNotFoundError as error:
            raise gone(self._path) from error
        except UnreachableError:
            raise
        except Exception as error:
            raise ReadError(f"{error}") from error
        size = int(info["size"] or 0)
        if (size, object_version(info)) != (self._size, version):
            raise changed(self._path, size, self._size)

    def look_again(self) -> None:
        """Read a local file to its end, to keep the system's error if there is one.

        GDAL opens those by itself, and what it says of a failing disk is what it says of bad bytes.
        """
        if not self.storage.is_local or self.error is not None:
            return
        try:
            with Path(self.storage.fs_path(self._path)).open("rb") as file:
                while file.read(_BLOCK):
                    pass
        except OSError as error:
            self.error = error

    def fail(self) -> NoReturn:
        """Raise the project's error for the one that the store raised."""
        if isinstance(self.error, UnreachableError):
            raise self.error
        assert self.error is not None
        if is_archived(self.error):
            raise ArchivedError(f"{self.error}") from self.error
        if isinstance(self.error, FileNotFoundError):
            raise gone(self._path) from self.error
        expired = type(self.error.__cause__).__name__ == "FileExpired"
        if expired or fails_condition(self.error):
            raise SourceChangedError(
                f"{self._path} changed while it was read. The next run looks again"
            ) from self.error
        raise ReadError(f"{self._path} can't be read: {self.error}") from self.error

    def start(self) -> bytes:
        """Return the object's first bytes; the next ``open`` goes on with the same file."""
        with suppress(Exception):
            file = self.open(self._path)
            found = file.read(12)
            file.seek(0)
        if self.error is not None:
            self.fail()
        self._begun = file
        return found

    def tags(self) -> TiffTags | None:
        """Return the tags of the file that ``start`` opened, if it is a TIFF file."""
        assert self._begun is not None
        found = read_tags(self._begun)
        self._begun.seek(0)
        if self.error is not None:
            self.fail()
        return found

    def end_start(self) -> None:
        """Close the file that ``start`` opened, if no ``open`` went on with it."""
        if self._begun is not None:
            self._begun.close()
            self._begun = None

    def open(self, path: str, mode: str = "rb", **_: Any) -> _File:
        if self._begun is not None:
            begun, self._begun = self._begun, None
            return begun
        how = {"block_size": self._block, "cache_type": "blockcache"}
        cache = {"maxblocks": _BLOCKS}
        full = self.storage.fs_path(self._path)

        def opened() -> Any:
            if self.storage.is_local:
                check_regular(full)
            return self.storage.fs.open(full, "rb", **how, cache_options=cache)

        try:
            file = self.patiently(opened)
        except Exception as error:
            self.error = error
            raise
        return _File(file, self)

    def patiently(self, action: Callable[[], Any]) -> Any:
        """Call the store with its retries, counted for the thread that opened the raster."""
        with counted_by(self._count):
            return self.storage.call(f"read {self.storage.url(self._path)}", action)

    def size(self, path: str) -> int:
        return self._size

    def isfile(self, path: str) -> bool:
        return True

    def isdir(self, path: str) -> bool:
        return False

    def ls(self, path: str) -> list[str]:
        return []

    def mtime(self, path: str) -> int:
        return 0

    def rm(self, path: str) -> None:
        raise NotImplementedError


class _File:
    """A file of fsspec whose errors are kept, and look to GDAL like the file's end.

    Nothing may be raised here: rasterio lets it leak into whatever Python does next.
    """

    def __init__(self, file: Any, objects: _Objects):
        self._file, self._objects = file, objects

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, count: int = -1) -> bytes:
        try:
            return bytes(self._objects.patiently(lambda: self._file.read(count)))
        except Exception as error:
            self._objects.error = error
            return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        # A damaged header may point further than a position can be told.
        return int(self._file.seek(min(offset, 1 << 62), whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
