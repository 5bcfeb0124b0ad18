"""Reads files whole, as they were when the archive was listed."""

from __future__ import annotations

from fusion_core.errors import ReadError
from fusion_core.storage.errors import as_pair_error, changed, gone
from fusion_core.storage.store import Storage


def read_listed(source: Storage, path: str, size: int, version: str) -> bytes:
    """Read a file and check that it still is what was listed.

    Raises:
        ReadError: It is gone, has changed, or the store failed at it.
        UnreachableError: The store gives no answer, which is no fault of the file.
    """
    try:
        with as_pair_error(ReadError):
            body = source.read(path, size)
            same = len(body) == size and source.is_version(path, body, version)
    except ReadError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise gone(path) from error
    if not same:
        raise changed(path, len(body), size)
    return body
