"""Reads, lists and exclusively creates objects below any fsspec URL.

Everything that touches storage goes through ``Storage``, so that retries, versions and the
differences between stores in what an exclusive write answers are dealt with once.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fsspec.implementations.local import LocalFileSystem

from fusion_core.errors import StorageError
from fusion_core.storage.errors import fails_condition, translate_error
from fusion_core.storage.file_system import FreshFileSystem, StorageOptions, options_now
from fusion_core.storage.identity import holds, version_by
from fusion_core.storage.local import (
    create_copy,
    create_file,
    file_sha256,
    read_file,
    replace_copy,
    replace_file,
)
from fusion_core.storage.media_types import media_options
from fusion_core.storage.retry import RetryPolicy
from fusion_core.storage.s3 import LARGEST_PUT, first_bytes, put_on_s3
from fusion_core.storage.store_calls import Identity

if TYPE_CHECKING:
    import pyarrow as pa

RETRY_SECONDS = 120.0
"""How long a store is waited for unless a setting says otherwise."""
_SLOWEST = 1 << 20  # bytes a second; a large object may take longer than the retries
_Result = TypeVar("_Result")


class Storage:
    """A folder or bucket behind an fsspec URL.

    Args:
        url: Root of all paths given to the methods, e.g. ``s3://archive/2026`` or a local path.
        options: Storage options of fsspec, or a function that is asked for them before every call,
            so that credentials stay fresh. Left empty, S3 takes the usual AWS chain, whose
            credentials refresh themselves.
        retry_seconds: Seconds that a call is repeated for while it fails for a passing reason.
        identity: What versions are told by.

    Raises:
        StorageError: The URL names a protocol that isn't installed, or no bucket.
    """

    def __init__(
        self,
        url: str,
        options: StorageOptions = None,
        retry_seconds: float = RETRY_SECONDS,
        identity: Identity = "etag",
    ):
        self.given_options = options
        self.identity: Identity = identity
        self.retry_policy = RetryPolicy(retry_seconds)
        self._files = FreshFileSystem(url, options, retry_seconds)
        fs, root = self._files.last, self._files.root
        self.root = root.rstrip("/") or root
        self.on_s3 = "s3" in fs.protocol
        if not self.root and self.on_s3:
            raise StorageError(f"{url} names no bucket; expected a URL such as s3://bucket/folder")
        self._below = f"{self.root.rstrip('/')}/"
        self.limit = {"timeout": retry_seconds} if fs.async_impl else {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the arguments, with the options of now.

        Open connections and event loops belong to one process, and so does who knows the options.
        """
        return Storage, (self.url(""), self.options, self.retry_policy.seconds, self.identity)

    @property
    def fs(self) -> Any:
        """The file system, opened again if the options have changed; ask for it before each use."""
        return self._files.now()

    @property
    def options(self) -> dict[str, Any]:
        """The storage options to use now."""
        return options_now(self.given_options)

    @property
    def is_local(self) -> bool:
        """Whether objects are files of this machine."""
        return isinstance(self._files.last, LocalFileSystem)

    def url(self, path: str) -> str:
        """Return the full URL of ``path``, as pandas and fsspec open it."""
        full = self.fs_path(path)
        return full if self.is_local else str(self._files.last.unstrip_protocol(full))

    def fs_path(self, path: str) -> str:
        """Return ``path`` as the underlying file system names it."""
        return f"{self._below}{path}" if path else self.root

    def list(self, prefix: str = "") -> pa.Table:
        """List the objects whose path below the root starts with ``prefix``.

        Returns:
            Rows of ``LISTING_SCHEMA``, sorted by path; empty where there is nothing. A local
            name that is not UTF-8 comes with escapes, so that it can be told but not read.
        """
        # With pyarrow, of which a lease's heartbeat needs nothing: it starts a third sooner.
        from fusion_core.storage.list_batches import list_sorted

        return list_sorted(self, prefix)

    def list_batches(self, prefix: str = "", threads: int = 8) -> Iterator[pa.Table]:
        """List as ``list`` does, some thousand objects at a time, in no order.

        Args:
            prefix: What their paths below the root start with.
            threads: How many list at once, each other folders.
        """
        from fusion_core.storage.list_batches import list_batches

        return list_batches(self, prefix, threads=threads)

    def info(self, path: str) -> dict[str, Any]:
        """Return the store's metadata of an object; raises FileNotFoundError or StorageError."""
        look_up = partial(self.fs.info, self.fs_path(path), **self.limit)
        return dict(self.call(f"look up {self.url(path)}", look_up))

    def read(self, path: str, size: int = 0, *, most: int | None = None) -> bytes:
        """Return an object's bytes, of which ``size`` are expected, or its first ``most``.

        Raises:
            FileNotFoundError: There is no such object.
            StorageError: The store failed for good.
        """
        full, limit = self.fs_path(path), self._limit_for(size)
        if self.on_s3:
            limit["max_concurrency"] = 1  # else it asks for the size first, a request more
        if self.is_local:
            read = partial(read_file, most=-1 if most is None else most)
        elif most is None:
            read = partial(self.fs.cat_file, **limit)
        else:
            read = partial(first_bytes, self.fs, most=most, limit=limit)
        return self.call(f"read {self.url(path)}", lambda: bytes(read(full)), size)

    def is_version(self, path: str, body: bytes, version: str) -> bool:
        """Tell whether ``body`` is the object of that version, as far as the store can say."""
        return holds(version, body) or self.version(path, self.info(path)) == version

    def version(self, path: str, info: Mapping[str, Any]) -> str:
        """Return the version of an object of which ``info`` was said, see ``version_by``."""
        return version_by(self.identity, self, path, info)

    def head(self, path: str, **asked: Any) -> dict[str, Any]:
        """Return what S3 answers to HEAD; raises FileNotFoundError or StorageError."""
        bucket, key, _ = self._files.last.split_path(self.fs_path(path))
        named = {"Bucket": bucket, "Key": key, **asked, **self.limit}
        return dict(
            self.call(f"look up {self.url(path)}", lambda: self.fs.call_s3("head_object", **named))
        )

    def exists(self, path: str) -> bool:
        """Tell whether there is an object at ``path``."""
        try:  # not fs.isfile, which answers no where the store fails or refuses
            return bool(self.info(path)["type"] != "directory")
        except FileNotFoundError:
            return False

    def write(self, path: str, body: bytes) -> None:
        """Write or replace an object; readers see the old or the new bytes, never a part."""
        full = self.fs_path(path)
        if self.is_local:
            self.call(f"write {self.url(path)}", lambda: replace_file(full, body))
        else:
            options = self._limit_for(len(body)) | media_options(self.fs.protocol, path)
            put = partial(self.fs.pipe_file, full, body, **options)
            self.call(f"write {self.url(path)}", put, len(body))

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
            self.call(f"create {self.url(path)}", lambda: self._create_once(full, body), len(body))
        except FileExistsError:
            # What somebody else put there may be of any size.
            return self._size(path) == len(body) and self.read(path, len(body)) == body
        return True

    def create_file(self, path: str, local: Path) -> bool:
        """Create an object of a local file exclusively, as ``create`` does, without holding it.

        Returns:
            True if the object now holds the file's bytes, False if another writer's was first.

        Raises:
            StorageError: The store failed for good.
        """
        full, size = self.fs_path(path), local.stat().st_size
        try:
            self.call(
                f"create {self.url(path)}", lambda: self._put(full, local, exclusive=True), size
            )
        except FileExistsError:
            return self._size(path) == size and self.sha256(path) == file_sha256(local)
        return True

    def write_file(self, path: str, local: Path) -> None:
        """Write or replace an object by a local file."""
        full, size = self.fs_path(path), local.stat().st_size
        self.call(f"write {self.url(path)}", lambda: self._put(full, local, exclusive=False), size)

    def download(self, path: str, local: Path) -> None:
        """Copy an object to a local file; raises FileNotFoundError or StorageError."""
        full, size = self.fs_path(path), self._size(path)
        limit = self._limit_for(size)
        self.call(
            f"read {self.url(path)}", lambda: self.fs.get_file(full, str(local), **limit), size
        )

    def remove(self, path: str) -> bool:
        """Remove an object; return whether it could be, for a run may lack the right to."""
        full = self.fs_path(path)
        try:
            self.call(f"remove {self.url(path)}", lambda: self.fs.rm_file(full))
        except (StorageError, FileNotFoundError):
            return False
        return True

    def sha256(self, path: str) -> str:
        """Return the sha256 of an object in hex; raises FileNotFoundError or StorageError."""

        def digest() -> str:
            with self.fs.open(self.fs_path(path), "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        return self.call(f"read {self.url(path)}", digest, self._size(path))

    def _size(self, path: str) -> int:
        return int(self.info(path)["size"] or 0)

    def _put(self, full: str, local: Path, *, exclusive: bool) -> None:
        if self.is_local:
            (create_copy if exclusive else replace_copy)(full, local)
            return
        size = local.stat().st_size
        limit = self._limit_for(size)
        try:
            if self.on_s3 and size < LARGEST_PUT:
                put_on_s3(self.fs, full, local, exclusive=exclusive, limit=limit)
            else:
                mode = "create" if exclusive else "overwrite"
                self.fs.put_file(str(local), full, mode=mode, **limit)
        except Exception as error:
            if fails_condition(error):
                raise FileExistsError(full) from error
            raise

    def _create_once(self, full: str, body: bytes) -> None:
        if self.is_local:
            create_file(full, body)
            return
        try:
            self.fs.pipe_file(full, body, mode="create", **self._limit_for(len(body)))
        except Exception as error:
            if fails_condition(error):
                raise FileExistsError(full) from error
            raise

    def check_exclusive(self, folder: str) -> bool:
        """Tell whether this store refuses a second exclusive write; a small probe object stays."""
        path = f"{folder}/.exclusive-probe"
        bodies = [uuid.uuid4().hex.encode() for _ in range(2)]
        # Where an earlier probe lies, the first write is the second.
        return not all(self.create(path, body) for body in bodies)

    def _limit_for(self, size: int) -> dict[str, Any]:
        return {name: seconds + size / _SLOWEST for name, seconds in self.limit.items()}

    def call(self, what: str, action: Callable[[], _Result], size: int = 0) -> _Result:
        """Run something on the file system itself, such as a read of an open file, with retries.

        Args:
            what: What is tried; completes "can't …" in the errors.
            action: The call, which is repeated while it fails for a passing reason.
            size: Number of bytes that it moves.
        """
        policy = RetryPolicy(
            self.retry_policy.seconds + size / _SLOWEST, self.retry_policy.attempts
        )
        try:
            return policy.call(what, action)
        except Exception as error:
            named = translate_error(what, error, self._location(), policy.seconds)
            if named is error:
                raise
            raise named from error

    def _location(self) -> str:
        """Return the store's name for messages."""
        client = getattr(self._files.last, "_s3", None)
        endpoint = getattr(getattr(client, "meta", None), "endpoint_url", None)
        return f"the store at {endpoint}" if endpoint else f"the store of {self.url('')}"
