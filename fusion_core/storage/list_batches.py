"""Lists a store in bounded memory: in tables of some thousand objects, by several threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias

import pyarrow as pa

from fusion_core.storage.listing import LISTING_SCHEMA, listing_table
from fusion_core.storage.pages import PAGE, Page, Pages, bucket_pages, folder_pages
from fusion_core.storage.parallel_listing import list_parallel
from fusion_core.storage.store_calls import StoreCalls

_LOOKING_UP = 32

_Found: TypeAlias = tuple[str, Mapping[str, Any]]


def list_batches(storage: StoreCalls, prefix: str, *, threads: int) -> Iterator[pa.Table]:
    """Yield tables of ``LISTING_SCHEMA`` of the objects whose path starts with ``prefix``.

    S3 and folders of this machine are listed page by page; other stores give all that they hold
    below the prefix's folder in one piece.

    Args:
        storage: The store.
        prefix: What the paths below its root start with.
        threads: How many list at once, each other folders.

    Raises:
        StorageError: The store can't be listed.
    """
    below = storage.fs_path("x")[:-1]
    start = below + prefix.lstrip("/")
    with ThreadPoolExecutor(_LOOKING_UP) as pool:
        for found in _gathered(list_parallel(_pages(storage, prefix), start, threads)):
            # S3 consoles make empty objects with a final slash to show a folder.
            wanted = [one for one in found if not one[0].endswith("/")]
            tell = partial(_told, storage, len(below))
            rows = map(tell, wanted) if storage.identity != "checksum" else pool.map(tell, wanted)
            table = listing_table(row for row in rows if row is not None)
            if len(table):
                yield table


def list_sorted(storage: StoreCalls, prefix: str) -> pa.Table:
    """Return what ``list_batches`` yields in one table, sorted by path."""
    batches = list_batches(storage, prefix, threads=1)
    return pa.concat_tables([LISTING_SCHEMA.empty_table(), *batches]).sort_by("path")


def _gathered(pages: Iterable[Page]) -> Iterator[list[_Found]]:
    """Put what pages hold together, for a folder may hold a single file."""
    waiting: list[_Found] = []
    for page in pages:
        waiting += page.found
        if len(waiting) >= PAGE:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _told(
    storage: StoreCalls, cut: int, found: _Found
) -> tuple[str, str, Mapping[str, Any]] | None:
    """Return path, version and metadata of an object; None where it is gone since."""
    name, info = found
    path = name[cut:]
    try:
        return path, storage.version(path, info), info
    except FileNotFoundError:
        return None


def _pages(storage: StoreCalls, prefix: str) -> Pages:
    call = partial(storage.call, f"list {storage.url(prefix)}")
    if storage.on_s3:
        versions = storage.identity == "version"
        return partial(bucket_pages, lambda: storage.fs, call, storage.limit, versions=versions)
    if storage.is_local:
        return partial(folder_pages, storage.fs, call)

    def at_once(start: str, *, deep: bool) -> Iterator[Page]:
        if not deep:  # so that it isn't divided
            yield Page([], last=False)
            return
        top = start.rpartition("/")[0] or storage.root
        try:
            found = call(lambda: storage.fs.find(top, detail=True, **storage.limit))
        except FileNotFoundError:
            return
        wanted = [one for one in found.items() if one[0].startswith(start)]
        for k in range(0, len(wanted), PAGE):
            yield Page(wanted[k : k + PAGE])

    return at_once
