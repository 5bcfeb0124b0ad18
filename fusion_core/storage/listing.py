"""The table that a listing of a store comes as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from fusion_core.storage.archived import archived_class
from fusion_core.storage.version import object_version

LISTING_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("archived", pa.string()),
    ]
)
"""Columns of a listing; ``archived`` is the storage class of what must be restored to be read."""


def listing_table(
    found: Mapping[str, Mapping[str, Any]], wanted: Iterable[str], cut: int
) -> pa.Table:
    """Return rows of ``LISTING_SCHEMA``, sorted by path.

    Args:
        found: What the store says of each object, by its whole name.
        wanted: The names of those to list.
        cut: Number of characters before the path in each name.
    """
    rows = sorted((_utf8(name[cut:]), name) for name in wanted)
    return pa.table(
        {
            "path": [path for path, _ in rows],
            "bytes": [int(found[name]["size"] or 0) for _, name in rows],
            "version": [object_version(found[name]) for _, name in rows],
            "archived": [archived_class(found[name]) for _, name in rows],
        },
        schema=LISTING_SCHEMA,
    )


def _utf8(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
