"""Makes an index anew from what people read, and compares it with that."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.index.state import (
    IndexState,
    index_schema,
    remove_unnamed,
    shard_path,
)
from fusion_core.archive.index.update import IndexUpdate
from fusion_core.archive.layout import is_part_path, is_rows_path
from fusion_core.archive.lease_record import newest_generation
from fusion_core.archive.parts import read_part
from fusion_core.archive.publications import last_number
from fusion_core.archive.spill import Spill, engine, query, spill
from fusion_core.storage.store import Storage

FIRST = 100
"""So many pairs of a kind are told."""

_READERS = 16
_AT_ONCE = 64  # files that are read together
_DIFFERENT = """
    SELECT pair_id, sum(n)::BIGINT AS n FROM (
        SELECT pair_id, hash({columns}) AS row, 1 AS n FROM read_parquet(?)
        UNION ALL SELECT pair_id, hash({columns}), -1 FROM read_parquet({indexed}))
    GROUP BY pair_id, row HAVING sum(n) <> 0 ORDER BY pair_id, n"""


@dataclass(frozen=True)
class Differences:
    """Where an index isn't what people read.

    Attributes:
        missing: Number of rows that the index lacks.
        superfluous: Number of its rows that no file holds.
        first_missing: Ids of the first pairs whose rows are missing.
        first_superfluous: Likewise, of superfluous ones.
    """

    missing: int
    superfluous: int
    first_missing: tuple[str, ...] = ()
    first_superfluous: tuple[str, ...] = ()


def rebuild(output: Storage, table: str, folder: Path, generation: int) -> IndexState:
    """Make an index anew; killed at any moment, it leaves the one of before.

    Args:
        output: The output.
        table: The table.
        folder: A scratch folder.
        generation: Of the lease that the caller holds, so that nobody else publishes.

    Raises:
        ManifestError: A file of rows, or a part, can't be read.
        StorageError: The store failed.
    """
    number = last_number(output, generation)
    update = IndexUpdate(output, table, folder, anew=True)
    rows = published_rows(output, table)
    update.add(rows, generation=generation, number=number, carried=True)
    remove_unnamed(output, table, [update.state])
    return update.state


def differences(output: Storage, table: str, folder: Path) -> Differences:
    """Compare an index, brought up to date in the scratch folder, with what people read.

    What is published meanwhile may be told as missing.

    Args:
        output: The output.
        table: The table.
        folder: A scratch folder; it takes the index, and as much as that once more.

    Raises:
        ManifestError: The index, a file of rows or a part can't be read.
        StorageError: The store failed.
    """
    local = Storage(str(folder))
    update = IndexUpdate(output, table, folder, local)
    state = update.run(newest_generation(output))
    indexed = []
    for shard in state.shards:
        path = shard_path(table, shard)
        if shard not in update.added:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            output.download(path, target)
        indexed.append(f"'{folder / path}'")
    published = spill(folder, index_schema(table), published_rows(output, table))
    indexed = indexed or [f"'{spill(folder, index_schema(table), []).path}'"]
    sql = _DIFFERENT.format(
        columns=", ".join(index_schema(table).names), indexed=f"[{', '.join(indexed)}]"
    )
    with engine(folder) as connection:
        found = query(connection, folder, sql, [str(published.path)])
    return _told(found)


def published_rows(output: Storage, table: str) -> Iterator[pa.Table]:
    """Yield all rows that people read, of ``index_schema``, file by file.

    Raises:
        ManifestError: A file can't be read.
        StorageError: The store failed.
    """
    schema = index_schema(table)
    listed = output.list(f"{table}/")
    files = [
        (path, size)
        for path, size in zip(listed["path"].to_pylist(), listed["bytes"].to_pylist(), strict=True)
        if is_rows_path(path) or is_part_path(path)
    ]

    def read(file: tuple[str, int]) -> pa.Table:
        return read_part(output, file[0], schema.names, size=file[1]).cast(schema)

    with ThreadPoolExecutor(_READERS, "index") as readers:
        for start in range(0, len(files), _AT_ONCE):
            yield from readers.map(read, files[start : start + _AT_ONCE])


def _told(found: Spill) -> Differences:
    counts = {1: 0, -1: 0}
    first: dict[int, list[str]] = {1: [], -1: []}
    for batch in found.to_batches():
        for sign in (1, -1):
            numbers = pc.multiply(batch.column("n"), sign)
            some = batch.filter(pc.greater(numbers, 0))
            counts[sign] += int(pc.sum(numbers.filter(pc.greater(numbers, 0))).as_py() or 0)
            first[sign] += some.column("pair_id")[: FIRST - len(first[sign])].to_pylist()
    return Differences(counts[1], counts[-1], tuple(first[1]), tuple(first[-1]))
