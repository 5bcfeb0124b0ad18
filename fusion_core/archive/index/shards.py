"""The shards of an index: how one is written, and looked up by pair.

Rows are sorted by pair id, in row groups so small that a lookup reads little beside what it wants.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusion_core.archive.index.state import Shard, index_folder, index_schema
from fusion_core.archive.spill import Spill
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

MOST_ROWS = 4 << 20
"""Rows of a shard; a larger index has several of them."""

_GROUP_ROWS = 8192
_READERS = 8
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
        self._schema = schema

    def write(self, batch: pa.RecordBatch) -> None:
        ids = batch.column("pair_id")
        self._first = self._first if self.rows else ids[0].as_py()
        self._last = ids[-1].as_py()
        table = pa.Table.from_batches([batch]).select(self._schema.names).cast(self._schema)
        self._writer.write_table(table, row_group_size=_GROUP_ROWS)
        self.rows += len(batch)

    def finish(self, storage: Storage, table: str) -> Shard:
        self._writer.close()
        name, size = self.path.name, self.path.stat().st_size
        storage.create_file(f"{index_folder(table)}{name}", self.path)
        self.path.unlink()
        return Shard(name=name, rows=self.rows, bytes=size, first=self._first, last=self._last)


class ShardReader:
    """Looks pairs up in one shard.

    Args:
        storage: Where it is.
        table: Of the index.
        shard: What the state says of it.
    """

    def __init__(self, storage: Storage, table: str, shard: Shard):
        self.shard = shard
        self._storage, self._path = storage, f"{index_folder(table)}{shard.name}"
        self._schema = index_schema(table)
        self._metadata: pq.FileMetaData | None = None
        self._ends: list[list[str]] = [[], []]

    def groups(self, pairs: pa.Array) -> list[int]:
        """Return the row groups that may hold some of these pair ids, which are sorted."""
        if not len(pairs) or pairs[0].as_py() > self.shard.last:
            return []
        if pairs[-1].as_py() < self.shard.first:
            return []
        self._read_footer()
        ids = pairs.to_numpy(zero_copy_only=False)
        # As many ids are below the first of a group as below or at its last: none is inside.
        below = np.searchsorted(ids, np.array(self._ends[0], object), side="left")
        upto = np.searchsorted(ids, np.array(self._ends[1], object), side="right")
        return [int(place) for place in np.flatnonzero(upto > below)]

    def rows(self, groups: Sequence[int], pairs: pa.Array) -> pa.Table:
        """Return the rows of these pairs in these row groups."""
        found = [self._schema.empty_table()]
        with self._file() as file:
            for group in groups:
                ids = file.read_row_group(group, ["pair_id"], use_threads=False)["pair_id"]
                wanted = pc.is_in(ids, value_set=pairs)
                if pc.any(wanted).as_py():
                    rows = file.read_row_group(group, self._schema.names, use_threads=False)
                    found.append(rows.cast(self._schema).filter(wanted))
        return pa.concat_tables(found)

    def _read_footer(self) -> None:
        if self._metadata is not None:
            return
        with self._file() as file:
            metadata = file.metadata
        if metadata.num_rows != self.shard.rows:
            raise ManifestError(
                f"{self._storage.url(self._path)} has {metadata.num_rows} rows; expected "
                f"{self.shard.rows}. `fuse-archive index` makes the index anew"
            )
        place = metadata.schema.names.index("pair_id")
        for group in range(metadata.num_row_groups):
            ends = metadata.row_group(group).column(place).statistics
            self._ends[0].append(ends.min)
            self._ends[1].append(ends.max)
        self._metadata = metadata

    def _file(self) -> pq.ParquetFile:
        options: dict[str, Any] = {"metadata": self._metadata, "pre_buffer": False}
        full = self._storage.fs_path(self._path)
        if self._storage.is_local:
            return pq.ParquetFile(full, **options)
        handle = self._storage.call(
            f"read {self._storage.url(self._path)}",
            lambda: self._storage.fs.open(full, "rb", block_size=1 << 20, size=self.shard.bytes),
        )
        return pq.ParquetFile(handle, **options)


def look_up(readers: Iterable[ShardReader], schema: pa.Schema, pairs: pa.Array) -> pa.Table:
    """Return all rows of these pairs.

    Args:
        readers: One for each shard.
        schema: Of the index.
        pairs: Sorted pair ids.

    Raises:
        ManifestError: A shard isn't what the state says.
        StorageError: The store failed.
    """
    work = [
        (reader, groups[start : start + 32])
        for reader in readers
        for groups in [reader.groups(pairs)]
        for start in range(0, len(groups), 32)
    ]
    with ThreadPoolExecutor(_READERS, "index") as threads:
        tables = list(threads.map(lambda one: one[0].rows(one[1], pairs), work))
    return pa.concat_tables([schema.empty_table(), *tables])
