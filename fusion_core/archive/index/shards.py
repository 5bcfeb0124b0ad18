"""Writes the shards of an index: rows sorted by pair id, and a filter for each of their row groups.

The row groups are so small that a lookup reads little beside what it wants.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fusion_core.archive.index.filters import hashes, make_filter
from fusion_core.archive.index.state import Shard, filter_path, index_schema, shard_path
from fusion_core.archive.spill import Spill
from fusion_core.storage.store import Storage

MOST_ROWS = 4 << 20
"""Rows of a shard; a larger index has several of them."""

_GROUP_ROWS = 8192
_REPEATED = ["method", "status", "stage", "history", "run_id", "model_hash", "settings_hash"]


def write_shards(storage: Storage, table: str, rows: Spill, folder: Path) -> list[Shard]:
    """Write sorted rows as shards, so that they are complete before anything names them.

    Args:
        storage: Where the index is.
        table: Of the index.
        rows: Rows of ``index_schema``, sorted by pair id.
        folder: A scratch folder.

    Raises:
        StorageError: The store failed.
    """
    shards: list[Shard] = []
    writer: _Writer | None = None
    for batch in rows.to_batches(_GROUP_ROWS):
        if writer is None:
            writer = _Writer(folder, index_schema(table))
        writer.write(batch)
        if writer.rows >= MOST_ROWS:
            shards.append(writer.finish(storage, table))
            writer = None
    if writer is not None:
        shards.append(writer.finish(storage, table))
    return shards


class _Writer:
    def __init__(self, folder: Path, schema: pa.Schema):
        self.path = folder / f"shard-{uuid.uuid4().hex}.parquet"
        self.rows, self._first, self._last = 0, "", ""
        self._writer = pq.ParquetWriter(
            self.path,
            schema,
            compression="zstd",
            use_dictionary=[name for name in _REPEATED if name in schema.names],
            column_encoding={"pair_id": "DELTA_BYTE_ARRAY"},
            write_statistics=["pair_id"],
            write_page_checksum=True,
        )
        self._filters = self.path.with_suffix(".filter").open("wb")
        self._schema = schema

    def write(self, batch: pa.RecordBatch) -> None:
        """Write one row group."""
        ids = batch.column("pair_id")
        self._first = self._first if self.rows else ids[0].as_py()
        self._last = ids[-1].as_py()
        table = pa.Table.from_batches([batch]).select(self._schema.names).cast(self._schema)
        self._writer.write_table(table, row_group_size=_GROUP_ROWS)
        self._filters.write(make_filter(hashes(ids)))
        self.rows += len(batch)

    def finish(self, storage: Storage, table: str) -> Shard:
        self._writer.close()
        self._filters.close()
        name, size = self.path.name, self.path.stat().st_size
        shard = Shard(name=name, rows=self.rows, bytes=size, first=self._first, last=self._last)
        filters = self.path.with_suffix(".filter")
        storage.create_file(filter_path(table, shard), filters)
        storage.create_file(shard_path(table, shard), self.path)
        self.path.unlink()
        filters.unlink()
        return shard
