"""Asks a store for as little as tells whether it can be read: one request."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial

from fusion_core.errors import StorageError
from fusion_core.storage.pages import bucket_pages
from fusion_core.storage.store_calls import StoreCalls


def reach(storage: StoreCalls, prefix: str = "") -> None:
    """Return where a store can be listed; that there is nothing in it may be in order.

    Args:
        storage: The store.
        prefix: What the paths begin with that are looked for: the right to list may end there.

    Raises:
        StorageError: There is no such folder or bucket, the store refuses, or gives no answer.
    """
    if storage.is_local:
        require_folder(storage)
        return
    call = partial(storage.call, f"list {storage.url(prefix)}")
    start = storage.fs_path("x")[:-1] + prefix.lstrip("/")
    if storage.on_s3:
        next(bucket_pages(lambda: storage.fs, call, storage.limit, start, deep=True), None)
        return
    with suppress(FileNotFoundError):
        call(lambda: storage.fs.info(storage.root))


def require_folder(storage: StoreCalls) -> None:
    """Raise StorageError where the root of a store on this machine is no folder."""
    if storage.is_local and not os.path.isdir(storage.root):
        raise StorageError(f"there is no folder {storage.root}; expected the archive there")
