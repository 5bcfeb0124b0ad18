"""Shows an object of a store to GDAL as a file, and keeps the errors that GDAL doesn't tell."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from rasterio.abc import FileContainer

from fusion_core.errors import ArchivedError, ReadError, SourceChangedError, UnreachableError
from fusion_core.images.jp2_boxes import Jp2Boxes, read_boxes
from fusion_core.images.tiff_tags import TiffTags, read_tags
from fusion_core.storage.errors import changed, fails_condition, gone, is_archived
from fusion_core.storage.local import check_regular
from fusion_core.storage.retry import counted_by, current_count
from fusion_core.storage.store import Storage
from fusion_core.storage.version import object_version

BLOCK = 4 << 20
BLOCKS = 16  # of each open file kept in memory
HEADER_BLOCK = 64 << 10


class StoredObject(FileContainer):  # type: ignore[misc]
    """One object of a store, shown to GDAL as a file; keeps the error that reading it raised.

    Args:
        storage: The store.
        path: The object's path there.
        size: Its size in bytes when it was listed.
        block: Bytes that are fetched at once.
    """

    def __init__(self, storage: Storage, path: str, size: int, block: int):
        self.storage, self._path, self._size, self._block = storage, path, size, block
        self._begun: _File | None = None
        self._count = current_count()  # GDAL may read in threads of its own
        self._checked: str | None = None  # its ETag, or size and time, when it was what was listed
        self.error: Exception | None = None

    def check(self, version: str) -> None:
        """Raise ReadError unless the object is what was listed."""
        try:
            info = self.storage.info(self._path)
            size, stamp = int(info["size"] or 0), object_version(info)
            if stamp != self._checked:
                same = self.storage.version(self._path, info) == version
                self._checked = stamp if same else None
        except FileNotFoundError as error:
            raise gone(self._path) from error
        except UnreachableError:
            raise
        except Exception as error:
            raise ReadError(f"{error}") from error
        if size != self._size or self._checked is None:
            raise changed(self._path, size, self._size)

    def look_again(self) -> None:
        """Read a local file to its end, to keep the system's error if there is one.

        GDAL opens those by itself, and what it says of a failing disk is what it says of bad bytes.
        """
        if not self.storage.is_local or self.error is not None:
            return
        try:
            with Path(self.storage.fs_path(self._path)).open("rb") as file:
                while file.read(BLOCK):
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

    def declared(self) -> tuple[TiffTags | None, Jp2Boxes | None]:
        """Return the tags or boxes of the file that ``start`` opened."""
        assert self._begun is not None
        found = read_tags(self._begun), read_boxes(self._begun)
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
        """Open the object, or go on with the file that ``start`` opened."""
        if self._begun is not None:
            begun, self._begun = self._begun, None
            return begun
        how = {"block_size": self._block, "cache_type": "blockcache"}
        cache = {"maxblocks": BLOCKS}
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
        """Return the object's size in bytes."""
        return self._size

    def isfile(self, path: str) -> bool:
        """Tell that it is a file."""
        return True

    def isdir(self, path: str) -> bool:
        """Tell that it is no folder."""
        return False

    def ls(self, path: str) -> list[str]:
        """List nothing: there are no side cars."""
        return []

    def mtime(self, path: str) -> int:
        """Return no time."""
        return 0

    def rm(self, path: str) -> None:
        """Remove nothing."""
        raise NotImplementedError


class _File:
    """A file of fsspec whose errors are kept, and look to GDAL like the file's end.

    Nothing may be raised here: rasterio lets it leak into whatever Python does next.
    """

    def __init__(self, file: Any, objects: StoredObject):
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
        # A damaged header may point further than a position can be told, or than its file system
        # lets a file reach, which is 16 TiB on ext4.
        try:
            return int(self._file.seek(min(offset, 1 << 62), whence))
        except (OSError, ValueError):
            return int(self._file.seek(0, os.SEEK_END))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
