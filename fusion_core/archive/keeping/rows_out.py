"""Takes rows out of the files that hold them, and of what records and indexes say of these."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusion_core.archive.index.rebuild import rebuild
from fusion_core.archive.index.state import index_folder, newest_number
from fusion_core.archive.keeping.clean import remove_all
from fusion_core.archive.keeping.inventory import Inventory
from fusion_core.archive.layout import is_part_path, is_rows_path
from fusion_core.archive.lease import Lease
from fusion_core.archive.publications import publication_path, read_publication
from fusion_core.archive.rows_file import written
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

Goes = Callable[[str, int], pa.ChunkedArray | None]
"""Tells of a file, by its path and size, which of its rows go; None where it isn't concerned."""

_READERS = 8
_AT_ONCE = 64

_File = tuple[str, int]  # path and size
_Records = Mapping[str, Sequence[tuple[int, int]]]
"""Generation and number of the records of publication by the file that they name."""


def take_rows_out(output: Storage, found: Inventory, goes: Goes, check: Callable[[], None]) -> int:
    """Write all files anew that hold rows that go, without these; return how many.

    Each keeps the number of its row groups. What records promise of them is corrected first, so
    that it is known from the file that something is left to do.

    Args:
        output: The output.
        found: What lies in it.
        goes: Tells of each file of rows, and of each part, which rows go.
        check: Raises where the lease was lost.

    Raises:
        ManifestError: A file or a record can't be read.
        StorageError: The store failed.
    """
    without = partial(_write_without, output, goes, _records(found), check)
    count = 0
    with ThreadPoolExecutor(_READERS, "rows") as threads:
        for some in _files(found):
            check()
            count += sum(threads.map(without, some))
    return count


def rebuild_indexes(output: Storage, tables: Sequence[str], folder: Path, lease: Lease) -> None:
    """Make the indexes of tables anew, where there are any, and remove all earlier states.

    Raises:
        ManifestError: A file can't be read.
        LeaseLostError: Another run has taken over.
        StorageError: The store failed.
    """
    for table in tables:
        if not newest_number(output, table):
            continue
        lease.confirm()
        rebuild(output, table, folder, lease.generation)
        states = output.list(index_folder(table))["path"].to_pylist()
        newest = f"{newest_number(output, table):08}.json"
        old = [path for path in states if path.endswith(".json") and not path.endswith(newest)]
        remove_all(output, old, lease.confirm)  # they tell the first and last ids of shards


def _files(found: Inventory) -> Iterator[list[_File]]:
    for batch in found.objects.to_batches(_AT_ONCE, columns=["path", "bytes"]):
        files = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        yield [one for one in files if is_rows_path(one[0]) or is_part_path(one[0])]


def _records(found: Inventory) -> _Records:
    records: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for batch in found.records.to_batches(columns=["file", "generation", "number"]):
        for row in batch.to_pylist():
            records[row["file"]].append((row["generation"], row["number"]))
    return records


def _write_without(
    output: Storage, goes: Goes, records: _Records, check: Callable[[], None], file: _File
) -> bool:
    path, size = file
    going = goes(path, size)
    if going is None or not pc.any(going).as_py():
        return False
    schema, kept = _kept_groups(output, path, pc.invert(going))
    for generation, number in records.get(path, ()):
        record = read_publication(output, generation, number)
        if record is not None and record.row_groups <= len(kept):
            now = record.model_copy(update={"rows": len(kept[record.row_groups - 1])})
            body = now.model_dump_json(exclude_defaults=True).encode()
            check()
            output.write(publication_path(generation, number), body)
    body = written(schema, kept)
    check()
    output.write(path, body)
    return True


def _kept_groups(
    output: Storage, path: str, stays: pa.ChunkedArray
) -> tuple[pa.Schema, list[pa.Table]]:
    """Return a file's schema, and its row groups with those of its rows that stay."""
    kept: list[pa.Table] = []
    begin = 0
    try:
        with pq.ParquetFile(io.BytesIO(output.read(path)), pre_buffer=False) as file:
            for place in range(file.metadata.num_row_groups):
                rows = file.read_row_group(place, use_threads=False)
                kept.append(rows.filter(stays.slice(begin, len(rows))))
                begin += len(rows)
            schema = file.schema_arrow
        if begin != len(stays):
            raise ValueError(f"it has {begin} rows, and had {len(stays)} a moment ago")
    except (pa.ArrowException, ValueError, OSError) as error:
        raise ManifestError(
            f"{output.url(path)} can't be read: {error}. Expected rows as runs write them; "
            "see who put it there, and move it out of the output"
        ) from error
    return schema, kept
