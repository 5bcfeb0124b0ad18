"""Takes the rows of pairs out of the files that hold them, and of what records say of these."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusion_core.archive.keeping.inventory import Inventory
from fusion_core.archive.layout import is_part_path, is_rows_path
from fusion_core.archive.publications import publication_path, read_publication
from fusion_core.archive.rows_file import written
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

_READERS = 8
_AT_ONCE = 64

_Records = Mapping[str, Sequence[tuple[int, int]]]
"""Generation and number of the records of publication by the file that they name."""


def forget_rows(
    output: Storage, found: Inventory, pair_ids: Collection[str], check: Callable[[], None]
) -> int:
    """Write all files anew that hold rows of pairs, without these; return how many.

    Each keeps the number of its row groups. What records promise of them is corrected first, so
    that it is known from the file that something is left to do.

    Args:
        output: The output.
        found: What lies in it.
        pair_ids: Ids of the pairs.
        check: Raises where the lease was lost.

    Raises:
        ManifestError: A file or a record can't be read.
        StorageError: The store failed.
    """
    ids = pa.array(sorted(pair_ids), pa.string())
    records = _records(found)
    forget = partial(_forget_in, output, ids, records)
    count = 0
    with ThreadPoolExecutor(_READERS, "forget") as threads:
        for some in _files(found):
            check()
            count += sum(threads.map(forget, some))
    return count


def _files(found: Inventory) -> Iterator[list[str]]:
    for batch in found.objects.to_batches(_AT_ONCE, columns=["path"]):
        yield [p for p in batch.column("path").to_pylist() if is_rows_path(p) or is_part_path(p)]


def _records(found: Inventory) -> _Records:
    records: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for batch in found.records.to_batches(columns=["file", "generation", "number"]):
        for row in batch.to_pylist():
            records[row["file"]].append((row["generation"], row["number"]))
    return records


def _forget_in(output: Storage, ids: pa.Array, records: _Records, path: str) -> bool:
    try:
        body = output.read(path)
        with pq.ParquetFile(io.BytesIO(body), pre_buffer=False) as file:
            held = file.read(["pair_id"], use_threads=False)["pair_id"]
            if not pc.any(pc.is_in(held, value_set=ids)).as_py():
                return False
            groups = [
                file.read_row_group(place, use_threads=False)
                for place in range(file.metadata.num_row_groups)
            ]
            schema = file.schema_arrow
    except (pa.ArrowException, KeyError, OSError) as error:
        raise ManifestError(
            f"{output.url(path)} can't be read: {error}. Expected rows as runs write them; "
            "see who put it there, and move it out of the output"
        ) from error
    kept = [rows.filter(pc.invert(pc.is_in(rows["pair_id"], value_set=ids))) for rows in groups]
    for generation, number in records.get(path, ()):
        record = read_publication(output, generation, number)
        if record is not None and record.row_groups <= len(kept):
            now = record.model_copy(update={"rows": len(kept[record.row_groups - 1])})
            body = now.model_dump_json(exclude_defaults=True).encode()
            output.write(publication_path(generation, number), body)
    output.write(path, written(schema, kept))
    return True
