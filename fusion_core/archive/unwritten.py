"""Writes what a dead run promised by a record of publication, and may not have written any more."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

from fusion_core.archive.parts import read_part
from fusion_core.archive.publications import Publication, read_publication
from fusion_core.archive.rows_file import grown, row_groups_of
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage


def write_promised(storage: Storage, generation: int, number: int) -> bool:
    """Make a file of rows what a record says of it, from the parts; return whether it was not.

    Args:
        storage: The output.
        generation: Of the record.
        number: Of the record.

    Raises:
        ManifestError: A part, a record or the file can't be read, or the file is of another make.
        StorageError: The store failed.
    """
    record = _record(storage, generation, number)
    assert record.file is not None
    there = row_groups_of(storage, record.file)
    if there >= record.row_groups:
        return False
    missing = [record]
    while there < missing[-1].row_groups - 1:  # a write that was late has replaced a later one
        number -= 1
        earlier = _record(storage, generation, number)
        missing += [earlier] if earlier.file == record.file else []
    body = storage.read(record.file) if there else b""
    for one in reversed(missing):
        body = grown(body, pa.concat_tables([read_part(storage, part) for part in one.parts]))
    if pq.read_metadata(io.BytesIO(body)).num_row_groups != record.row_groups:
        raise ManifestError(f"{storage.url(record.file)} isn't what {number} says")
    storage.write(record.file, body)
    return True


def _record(storage: Storage, generation: int, number: int) -> Publication:
    record = read_publication(storage, generation, number) if number > 0 else None
    if record is None:
        raise ManifestError(
            f"record {number} of what generation {generation} published is missing in "
            f"{storage.url('')}; expected all up to the last one. Restore it"
        )
    return record
