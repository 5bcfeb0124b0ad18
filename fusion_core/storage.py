"""One place for reading, listing and exclusively creating objects below any fsspec URL.

Everything that touches storage goes through :class:`Storage`, so that retries, versions and the
differences between stores in what an exclusive write answers are dealt with once.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import fsspec
import fsspec.core
import pyarrow as pa
import tenacity
from fsspec.implementations.local import LocalFileSystem

from fusion_core.errors import StorageError
from fusion_core.local_files import (
    create_copy,
    create_file,
    file_sha256,
    replace_copy,
    replace_file,
)
from fusion_core.storage_errors import from_client, is_transient, s3_code

LISTING_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
    ]
)

_LARGEST_PUT = 5 << 30
"""Bytes that S3 takes in one request."""

_Result = TypeVar("_Result")


class Storage:
    """A folder or bucket behind an fsspec URL.

    Args:
        url: Root of all paths given to the methods, e.g. ``s3://archive/2026`` or a local path.
        options: fsspec storage options. Left empty, S3 takes the usual AWS chain, whose
            credentials refresh themselves.
        attempts: How often a call that fails for a passing reason is made in all.

    Raises:
        StorageError: The URL names a protocol that isn't installed, or no bucket.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None, attempts: int = 5):
        self.options = dict(options or {})
        extra = {"use_listings_cache": False} if url.startswith(("s3://", "s3a://")) else {}
        try:
            self.fs, root = fsspec.core.url_to_fs(url, **(extra | self.options))
        except (ImportError, ValueError) as error:
            raise StorageError(
                f"can't open {url}: {error}. Expected a local path or an fsspec URL whose "
                "protocol is installed, such as s3://bucket/folder"
            ) from error
        self.root = root.rstrip("/") or root
        if not self.root and "s3" in self.fs.protocol:
            raise StorageError(f"{url} names no bucket; expected a URL such as s3://bucket/folder")
        self._below = f"{self.root.rstrip('/')}/"
        self._attempts = attempts

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the arguments: open connections and event loops belong to one process."""
        return Storage, (self.url(""), self.options, self._attempts)

    @property
    def is_local(self) -> bool:
        """Whether objects are files of this machine."""
        return isinstance(self.fs, LocalFileSystem)

    def url(self, path: str) -> str:
        """Return the full URL of ``path``, as pandas and fsspec open it."""
        full = self.fs_path(path)
        return full if self.is_local else str(self.fs.unstrip_protocol(full))

    def fs_path(self, path: str) -> str:
        """Return ``path`` as the underlying file system names it."""
        return f"{self._below}{path}" if path else self.root

    def list(self, prefix: str = "") -> pa.Table:
        """List the objects whose path below the root starts with ``prefix``.

        Returns:
            Rows of :data:`LISTING_SCHEMA`, sorted by path; empty where there is nothing. A local
            name that is not UTF-8 comes with escapes, so that it can be told but not read.
        """
        start = self._below + prefix.lstrip("/")
        top = start.rpartition("/")[0] or self.root
        found = self._call(f"list {self.url(prefix)}", lambda: self._find(top))
        # S3 consoles make empty objects with a final slash to show a folder.
        wanted = [name for name in found if name.startswith(start) and not name.endswith("/")]
        rows = sorted((_utf8(name[len(self._below) :]), name) for name in wanted)
        return pa.table(
            {
                "path": [path for path, _ in rows],
                "bytes": [int(found[name]["size"] or 0) for _, name in rows],
                "version": [object_version(found[name]) for _, name in rows],
            },
            schema=LISTING_SCHEMA,
        )

    def _find(self, top: str) -> dict[str, dict[str, Any]]:
        try:
            return dict(self.fs.find(top, detail=True))
        except FileNotFoundError as error:
            if s3_code(error) == "NoSuchBucket":
                raise
            return {}

    def info(self, path: str) -> dict[str, Any]:
        """Return what the store tells of an object; raises FileNotFoundError or StorageError."""
        full = self.fs_path(path)
        return self._call(f"look up {self.url(path)}", lambda: dict(self.fs.info(full)))

    def read(self, path: str) -> bytes:
        """Return an object's bytes; raises FileNotFoundError or StorageError."""
        full = self.fs_path(path)
        return self._call(f"read {self.url(path)}", lambda: bytes(self.fs.cat_file(full)))

    def exists(self, path: str) -> bool:
        """Tell whether there is an object at ``path``."""
        full = self.fs_path(path)
        try:  # not fs.isfile, which answers no where the store fails or refuses
            info = self._call(f"look up {self.url(path)}", lambda: self.fs.info(full))
        except FileNotFoundError:
            return False
        return bool(info["type"] != "directory")

    def write(self, path: str, body: bytes) -> None:
        """Write or replace an object; readers see the old or the new bytes, never a part."""
        full = self.fs_path(path)
        if self.is_local:
            self._call(f"write {self.url(path)}", lambda: replace_file(full, body))
        else:
            self._call(f"write {self.url(path)}", lambda: self.fs.pipe_file(full, body))

    def create(self, path: str, body: bytes) -> bool:
        """Create an object exclusively and in one piece.

        Returns:
            True if the object now holds ``body`` by this call, False if another writer's object
            was there first. An answer of "exists" to a repeated request may hide our own earlier
            success, therefore the object is read back and compared before losing is admitted.

        Raises:
            StorageError: The store failed for good.
        """
        full = self.fs_path(path)
        try:
            self._call(f"create {self.url(path)}", lambda: self._create_once(full, body))
        except FileExistsError:
            return self.read(path) == body
        return True

    def create_file(self, path: str, local: Path) -> bool:
        """Create an object of a local file exclusively, as :meth:`create` does, without holding it.

        Returns:
            True if the object now holds the file's bytes, False if another writer's was first.

        Raises:
            StorageError: The store failed for good.
        """
        full = self.fs_path(path)
        try:
            self._call(f"create {self.url(path)}", lambda: self._put(full, local, exclusive=True))
        except FileExistsError:
            return self.sha256(path) == file_sha256(local)
        return True

    def write_file(self, path: str, local: Path) -> None:
        """Write or replace an object by a local file."""
        full = self.fs_path(path)
        self._call(f"write {self.url(path)}", lambda: self._put(full, local, exclusive=False))

    def download(self, path: str, local: Path) -> None:
        """Copy an object to a local file; raises FileNotFoundError or StorageError."""
        full = self.fs_path(path)
        self._call(f"read {self.url(path)}", lambda: self.fs.get_file(full, str(local)))

    def sha256(self, path: str) -> str:
        """Return the sha256 of an object in hex; raises FileNotFoundError or StorageError."""

        def digest() -> str:
            with self.fs.open(self.fs_path(path), "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        return self._call(f"read {self.url(path)}", digest)

    def _put(self, full: str, local: Path, exclusive: bool) -> None:
        if self.is_local:
            (create_copy if exclusive else replace_copy)(full, local)
            return
        size = local.stat().st_size
        try:
            if "s3" in self.fs.protocol and size < _LARGEST_PUT:
                # s3fs would hold the file in memory, or send parts, which some servers don't create
                # exclusively. The length is given so that a repeated request can't send less.
                bucket, key, _ = self.fs.split_path(full)
                condition = {"IfNoneMatch": "*"} if exclusive else {}
                with local.open("rb") as body:
                    self.fs.call_s3(
                        "put_object",
                        Bucket=bucket,
                        Key=key,
                        Body=body,
                        ContentLength=size,
                        **condition,
                    )
                self.fs.invalidate_cache(full)
            else:
                mode = "create" if exclusive else "overwrite"
                self.fs.put_file(str(local), full, mode=mode)
        except OSError as error:
            if s3_code(error) in {"PreconditionFailed", "412"}:
                raise FileExistsError(full) from error
            raise

    def _create_once(self, full: str, body: bytes) -> None:
        if self.is_local:
            create_file(full, body)
            return
        try:
            self.fs.pipe_file(full, body, mode="create")
        except OSError as error:
            if s3_code(error) in {"PreconditionFailed", "412"}:
                raise FileExistsError(full) from error
            raise

    def check_exclusive(self, folder: str) -> bool:
        """Tell whether a second exclusive write of the same object is refused by this store.

        Some S3 servers ignore the condition and overwrite. A small probe object stays below
        ``folder``, so that no right to delete is needed.
        """
        path = f"{folder}/.exclusive-probe"
        bodies = [uuid.uuid4().hex.encode() for _ in range(2)]
        # Where an earlier probe lies, the first write is the second.
        return not all(self.create(path, body) for body in bodies)

    def _call(self, what: str, action: Callable[[], _Result]) -> _Result:
        """Run ``action``, again with growing random waits while it fails for a passing reason."""
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_transient),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=10),
            stop=tenacity.stop_after_attempt(self._attempts),
            reraise=True,
        )
        try:
            return retry(action)
        except FileExistsError:
            raise
        except FileNotFoundError as error:
            if s3_code(error) != "NoSuchBucket":
                raise
            raise StorageError(
                f"can't {what}: there is no such bucket. Check the URL, or make the bucket"
            ) from error
        except PermissionError as error:
            raise StorageError(
                f"can't {what}: access denied ({s3_code(error) or error}). Check the credentials "
                "and what they allow"
            ) from error
        except Exception as error:
            if not (isinstance(error, OSError) or from_client(error)):
                raise
            reason = s3_code(error) or error
            raise StorageError(
                f"can't {what}: {type(error).__name__}: {reason}. Check that the store answers, "
                "and the credentials"
            ) from error


def object_version(info: Mapping[str, Any]) -> str:
    """Return what changes whenever an object's content does: its ETag, else size and mtime."""
    for key in ("ETag", "etag", "md5Hash", "generation"):
        if info.get(key):
            return str(info[key]).strip('"')
    moment = info.get("mtime") or info.get("created") or info.get("LastModified") or 0
    if isinstance(moment, dt.datetime):  # some stores list seconds and look up datetimes
        moment = moment.timestamp()
    stamp = f"{moment:.6f}" if isinstance(moment, float) else str(moment)
    return f"{info['size']}-{stamp}"


def _utf8(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
