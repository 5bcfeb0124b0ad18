"""The parts of a manifest: how one is committed and read.

A part is the commit of a chunk: it is created exclusively and in one piece after the chunk's
images, so a row exists only if its image does, and reading the folder never shows a part that is
half-written or there twice. A part without rows keeps a chunk from being committed: because it was
split, or, as a tombstone that says ``closed_by``, because another run took over.
README.md beside this module draws the protocol.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusion_core.archive.part_checks import check_values
from fusion_core.archive.rows_file import read_columns
from fusion_core.archive.schema import OWN_METHOD
from fusion_core.archive.tables import column, part_schema
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

_CLOSED_BY = b"closed_by"


def commit_part(
    storage: Storage, path: str, rows: Sequence[Mapping[str, Any]], closed_by: str | None = None
) -> bool:
    """Write rows as one new part.

    Args:
        storage: The run's output.
        path: The part's path, from ``part_path``.
        rows: For each row its values by column of the table; absent ones are null.
        closed_by: The run that writes a tombstone at another run's intent.

    Returns:
        True if this call's rows are the part now, False if another writer's part was there first.

    Raises:
        ManifestError: The rows don't follow the schema.
        StorageError: The store failed.
    """
    try:
        schema = part_schema(path)
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
        table.validate(full=True)
        if closed_by is not None:
            mark = {**schema.metadata, _CLOSED_BY: closed_by.encode()}
            table = table.replace_schema_metadata(mark)
        body = io.BytesIO()
        pq.write_table(table, body, compression="zstd", write_page_checksum=True)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
        raise ManifestError(
            f"rows for {path} don't follow the manifest's schema: {error}"
        ) from error
    return storage.create(path, body.getvalue())


def read_part(
    storage: Storage,
    path: str,
    columns: Sequence[str] | None = None,
    *,
    size: int = 0,
    row_groups: Sequence[int] | None = None,
) -> pa.Table:
    """Read one part, or one file of published rows, of any schema version.

    Args:
        storage: The output.
        path: Its path.
        columns: Those that are wanted, in this order; null where the table lacks them. Default:
            all of the table's.
        size: Its size in bytes, where that is known: of a large one only these columns are read.
        row_groups: Places of those wanted. Default: all.

    Raises:
        ManifestError: The object is no Parquet file, or none that a run can have written.
    """
    return read_part_or_tombstone(storage, path, columns, size=size, row_groups=row_groups)[0]


def read_part_or_tombstone(
    storage: Storage,
    path: str,
    columns: Sequence[str] | None = None,
    *,
    size: int = 0,
    row_groups: Sequence[int] | None = None,
) -> tuple[pa.Table, str | None]:
    """Read one part as ``read_part`` does, and whose tombstone it is.

    Returns:
        The rows, and the run that wrote the tombstone; None where the part is none.

    Raises:
        ManifestError: The object is no Parquet file, or none that a run can have written.
    """
    try:
        own = part_schema(path)
        names = own.names if columns is None else columns
        table, metadata = read_columns(storage, path, names, size=size, row_groups=row_groups)
        stored, rows = set(table.column_names), len(table)
        schema = pa.schema([column(path, name) for name in names], own.metadata)
        values = [
            table[field.name].cast(field.type)
            if field.name in stored
            else pa.nulls(rows, field.type)
            for field in schema
        ]
        closed_by = metadata.get(_CLOSED_BY)
        current = _as_current(pa.table(values, schema=schema))
        check_values(current)
        return current, None if closed_by is None else closed_by.decode()
    except (pa.ArrowException, ValueError, OSError) as error:
        raise ManifestError(
            f"{storage.url(path)} can't be read as a manifest part: {error}. Expected Parquet as "
            "runs write it; move the file out of the manifest folder, and see who put it there"
        ) from error


def _as_current(table: pa.Table) -> pa.Table:
    """Fill in the method, which rows of schema version 1 don't hold."""
    place = table.schema.get_field_index("method")
    if place < 0:
        return table
    filled = pc.fill_null(table["method"], OWN_METHOD)
    return table.set_column(place, table.schema.field(place), filled)
