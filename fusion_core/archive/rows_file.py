"""Files of published rows: how one grows, and is read by columns and row groups.

A file grows by being replaced by one that begins with all of its bytes, its footer among them; new
row groups follow, and a footer that names all. So a reader that holds the footer of before reads
the same rows from the new object, and one that comes later reads all.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.parquet import open_parquet_file

from fusion_core.archive.part_checks import check_count, check_size
from fusion_core.archive.tables import part_schema
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

MOST_ROWS = 131_072
"""A file that holds so many is sealed: a million rows are eight files."""

MOST_BYTES = 96 << 20
"""Likewise. With what is added in one piece it stays below ``LARGEST_PART``, also where rows hold
a hundred boxes each."""

MOST_ROW_GROUPS = 16
"""Likewise; each growth adds one, and leaves a footer behind that nobody needs any more."""

ORDER = ("pair_id", "method", "attempt")
"""What the rows of a row group are sorted by."""

# Those that queries skip row groups by. The others' would be the larger part of a footer.
_STATISTICS = ["pair_id", "method", "status", "run_id", "started", "ended", "acquired"]
_STATISTICS += ["model_hash", "settings_hash", "west", "south", "east", "north"]

_WHOLE = 4 << 20  # bytes below which one request for all is quicker than some for parts
_MAGIC = b"PAR1"


def grown(body: bytes, rows: pa.Table) -> bytes:
    """Return a file's bytes with one row group more.

    Args:
        body: The file's bytes; empty for a new file.
        rows: Rows of the table's schema, at least one.

    Raises:
        ManifestError: The bytes are no file that can grow.
    """
    sink = pa.BufferOutputStream()  # which knows its position; a stream of Python's counts anew
    collected: list[pq.FileMetaData] = []
    # A version before may have promised rows in a file of its columns.
    schema = pq.read_schema(io.BytesIO(body)) if body else rows.schema
    rows = rows.select(schema.names).cast(schema)
    rows = rows.sort_by([(name, "ascending") for name in ORDER]).combine_chunks()
    with _writer(sink, schema, collected) as writer:
        # The writer has begun a file, as the body does; what comes next lies behind the body.
        sink.write(body.removeprefix(_MAGIC))
        writer.write_table(rows, row_group_size=len(rows))
    if not body:
        return bytes(sink.getvalue())
    try:
        metadata = pq.read_metadata(io.BytesIO(body))
        metadata.append_row_groups(collected[0])
    except (pa.ArrowException, RuntimeError, OSError) as error:
        raise ManifestError(f"a file of published rows can't grow: {error}") from error
    footer = io.BytesIO()
    metadata.write_metadata_file(footer)
    sink.write(footer.getvalue().removeprefix(_MAGIC))
    return bytes(sink.getvalue())


def written(schema: pa.Schema, row_groups: Sequence[pa.Table]) -> bytes:
    """Return the bytes of a file of these row groups, any of which may be without rows.

    Args:
        schema: Of all of them, with its metadata.
        row_groups: Their rows, which stay as they are sorted.
    """
    sink = pa.BufferOutputStream()
    with _writer(sink, schema, []) as writer:
        for rows in row_groups:
            writer.write_table(rows.combine_chunks(), row_group_size=max(1, len(rows)))
    return bytes(sink.getvalue())


def can_grow(path: str, body: bytes, row_groups: int) -> bool:
    """Tell whether a file of so many row groups has room for more, and today's columns.

    Args:
        path: Its path below the output.
        body: Its bytes.
        row_groups: Number of those that it should have.
    """
    metadata = pq.read_metadata(io.BytesIO(body))
    return bool(
        metadata.num_row_groups == row_groups < MOST_ROW_GROUPS
        and metadata.num_rows < MOST_ROWS
        and len(body) < MOST_BYTES
        and metadata.schema.to_arrow_schema().equals(part_schema(path))
    )


def row_groups_of(storage: Storage, path: str) -> int:
    """Return how many row groups a file has, 0 where there is none.

    Raises:
        ManifestError: It can't be read.
        StorageError: The store failed.
    """
    try:
        size = int(storage.info(path)["size"])
    except FileNotFoundError:
        return 0
    with _opened(storage, path, size, ()) as file:
        return int(file.metadata.num_row_groups)


def ranges_of(
    storage: Storage, path: str, size: int, columns: Sequence[str]
) -> list[dict[str, tuple[Any, Any]]]:
    """Return of each row group the smallest and largest value of columns, of those it tells.

    Args:
        storage: The output.
        path: The file's path.
        size: Its size in bytes.
        columns: Those wanted.

    Raises:
        pa.ArrowException: It is no Parquet file.
        StorageError: The store failed.
    """
    with _opened(storage, path, size, ()) as file:
        metadata, found = file.metadata, []
        places = {metadata.schema.column(k).path: k for k in range(metadata.num_columns)}
        for group in range(metadata.num_row_groups):
            ends = {
                name: metadata.row_group(group).column(places[name]).statistics
                for name in columns
                if name in places
            }
            found.append(
                {name: (one.min, one.max) for name, one in ends.items() if one and one.has_min_max}
            )
    return found


def read_columns(
    storage: Storage,
    path: str,
    columns: Sequence[str],
    *,
    size: int,
    row_groups: Sequence[int] | None = None,
) -> tuple[pa.Table, dict[bytes, bytes]]:
    """Read columns of a Parquet file as they are stored, by no more bytes than it takes.

    Args:
        storage: The output.
        path: The file's path.
        columns: Those wanted; ones that it lacks are left out.
        size: Its size in bytes, so that a large one isn't read whole; 0 for a small one.
        row_groups: Those wanted. Default: all.

    Returns:
        The rows, and the metadata of the file's schema.

    Raises:
        ValueError: It claims more than a run writes.
        pa.ArrowException: It is no Parquet file.
        StorageError: The store failed.
    """
    check_size(size)
    with _opened(storage, path, size, columns) as file:
        check_count(file.metadata.num_rows)
        schema = file.schema_arrow
        names = [name for name in columns if name in schema.names]
        if row_groups is None:
            table = file.read(names, use_threads=False)
        else:
            table = file.read_row_groups(list(row_groups), names, use_threads=False)
    return table, dict(schema.metadata or {})


def read_row_group(storage: Storage, path: str, group: int, columns: Sequence[str]) -> pa.Table:
    """Read columns of one row group of a file of published rows; raises as ``read_columns``.

    Raises:
        FileNotFoundError: There is no such file.
        ManifestError: It has no such row group, or can't be read.
    """
    size = int(storage.info(path)["size"])
    try:
        rows, _ = read_columns(storage, path, columns, size=size, row_groups=[group])
    except (pa.ArrowException, ValueError, OSError) as error:
        raise ManifestError(
            f"row group {group} of {storage.url(path)} can't be read: {error}. Expected a file of "
            "published rows that has it, as a record says; restore the file"
        ) from error
    return rows


def _writer(
    sink: pa.NativeFile, schema: pa.Schema, collected: list[pq.FileMetaData]
) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        write_page_checksum=True,
        write_statistics=[name for name in _STATISTICS if name in schema.names],
        metadata_collector=collected,
    )


def _opened(storage: Storage, path: str, size: int, columns: Sequence[str]) -> Any:
    """Open a file.

    Neither pq.read_table nor reading ahead: their threads may let go of the file after Python has
    ended, and abort the process.
    """
    options: dict[str, Any] = {"page_checksum_verification": True, "pre_buffer": False}
    if size < _WHOLE:
        return pq.ParquetFile(io.BytesIO(storage.read(path)), **options)
    full = storage.fs_path(path)
    if storage.is_local:
        return pq.ParquetFile(full, **options)

    def fetch() -> Any:
        # It asks for the footer, and then for the pieces of these columns, several at a time.
        return open_parquet_file(full, fs=storage.fs, columns=list(columns), engine="pyarrow")

    return pq.ParquetFile(storage.call(f"read {storage.url(path)}", fetch, size), **options)
