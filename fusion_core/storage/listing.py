"""The table that a listing of a store comes as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from fusion_core.storage.archived import archived_class

LISTING_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("archived", pa.string()),
    ]
)
"""Columns of a listing; ``archived`` is the storage class of what must be restored to be read."""


def listing_table(rows: Iterable[tuple[str, str, Mapping[str, Any]]]) -> pa.Table:
    """Return rows of ``LISTING_SCHEMA``, sorted by path.

    Args:
        rows: Path and version of each object, and what the store says of it.
    """
    rows = sorted(((_utf8(path), version, info) for path, version, info in rows), key=_path)
    return pa.table(
        {
            "path": [path for path, _, _ in rows],
            "bytes": [int(info["size"] or 0) for _, _, info in rows],
            "version": [version for _, version, _ in rows],
            "archived": [archived_class(info) for _, _, info in rows],
        },
        schema=LISTING_SCHEMA,
    )


def _path(row: tuple[str, str, Mapping[str, Any]]) -> str:
    return row[0]


def _utf8(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
