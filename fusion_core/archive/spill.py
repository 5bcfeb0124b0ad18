"""Tables that may be larger than memory: rows in a local temporary Parquet file.

A listing of ten million pairs, the plan made of it and the rows of a run are such tables. They are
written batch by batch, read batch by batch, and sorted and joined by DuckDB, which spills.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

_BATCH_ROWS = 65_536
_HELD_ROWS, _HELD_BYTES = 16_384, 8 << 20  # what is written at once, as a row group
_MEMORY = "512MB"


class Spill:
    """A table in a local file, which is complete; made by ``SpillWriter``, ``spill`` or a query.

    Args:
        path: The Parquet file.
    """

    def __init__(self, path: Path):
        self.path = path
        with pq.ParquetFile(path) as file:
            self.schema: pa.Schema = file.schema_arrow
            self._rows = int(file.metadata.num_rows)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, as a table has them."""
        return list(self.schema.names)

    def to_batches(
        self, max_chunksize: int = _BATCH_ROWS, *, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows in their order, at most so many at a time, of these columns."""
        with pq.ParquetFile(self.path) as file:
            names = list(columns) if columns is not None else None
            yield from file.iter_batches(max_chunksize, columns=names, use_threads=False)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all rows, which must fit into memory."""
        names = self.column_names if columns is None else list(columns)
        fields = [self.schema.field(name) for name in names]
        schema = pa.schema(fields, self.schema.metadata)
        return pa.Table.from_batches(self.to_batches(columns=names), schema=schema)

    def head(self, count: int) -> pa.Table:
        """Return the first rows."""
        for batch in self.to_batches(max(count, 1)):
            return pa.Table.from_batches([batch]).slice(0, count)
        return self.schema.empty_table()


class SpillWriter:
    """Writes a table to a local file, batch by batch; small batches share a row group.

    Args:
        folder: A scratch folder; the file is removed with it.
        schema: The table's.
    """

    def __init__(self, folder: Path, schema: pa.Schema):
        self.path = folder / f"{uuid.uuid4().hex}.parquet"
        self.schema = schema
        self.rows = 0
        self._held: list[pa.Table] = []
        self._held_rows = self._held_bytes = 0
        self._writer = pq.ParquetWriter(self.path, schema, compression="zstd")

    def write(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Append rows, which have the schema's columns."""
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        if len(table):
            table = table.select(self.schema.names).cast(self.schema)
            self._held.append(table)
            self.rows += len(table)
            self._held_rows += len(table)
            self._held_bytes += table.nbytes
            if self._held_rows >= _HELD_ROWS or self._held_bytes >= _HELD_BYTES:
                self._flush()

    def finish(self) -> Spill:
        """Close the file, and return it as a table."""
        self._flush()
        self._writer.close()
        return Spill(self.path)

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held))
            self._held, self._held_rows, self._held_bytes = [], 0, 0
            pa.default_memory_pool().release_unused()  # what many threads read, each keeps

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        if kind is None:
            self._flush()
        self._writer.close()


def spill(folder: Path, schema: pa.Schema, tables: Iterable[pa.Table | pa.RecordBatch]) -> Spill:
    """Write tables of one schema to a local file, one after the other."""
    with SpillWriter(folder, schema) as writer:
        for table in tables:
            writer.write(table)
    return Spill(writer.path)


def engine(folder: Path, *, memory: str = _MEMORY, threads: int = 2) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection that spills to a folder where its memory isn't enough.

    Args:
        folder: A scratch folder.
        memory: What it may take, such as ``512MB``.
        threads: How many it computes with.
    """
    connection = duckdb.connect(
        config={
            "memory_limit": memory,
            "threads": threads,
            "temp_directory": str(folder / "duckdb"),
            "preserve_insertion_order": False,  # else a sort of a copy holds all of it
            "autoinstall_known_extensions": False,  # nothing is loaded from the network
            "autoload_known_extensions": False,
        }
    )
    connection.execute("SET enable_progress_bar = false")
    return connection


def show(connection: duckdb.DuckDBPyConnection, **tables: pa.Table | Spill) -> None:
    """Let a connection's queries know tables by their names.

    A spilled one has the number of each row as well, as ``file_row_number``.
    """
    for name, table in tables.items():
        if isinstance(table, Spill):
            path = str(table.path).replace("'", "''")
            rows = f"SELECT * FROM read_parquet('{path}', file_row_number = true)"
            connection.execute(f"CREATE TEMP VIEW {name} AS {rows}")
        else:
            connection.register(name, table)


def query(
    connection: duckdb.DuckDBPyConnection, folder: Path, sql: str, parameters: Sequence[object] = ()
) -> Spill:
    """Run a query, and return its rows in the order that it gives.

    Args:
        connection: Of ``engine``.
        folder: A scratch folder for the result.
        sql: The query; a local file is read as ``read_parquet($name)`` or by its quoted name.
        parameters: Values of its question marks.
    """
    path = folder / f"{uuid.uuid4().hex}.parquet"
    connection.execute(
        f"COPY ({sql}) TO '{path}' "
        "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 65536, ROW_GROUP_SIZE_BYTES '16MB')",
        list(parameters),
    )
    return Spill(path)
