"""Reads what was published since a moment, or all that had been by then.

Whoever keeps something that is made of a table's rows, as a catalogue is, notes how far it goes by
the number of the last record of publication, and takes in what came since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from fusion_core.archive.layout import MANIFEST_FOLDER, is_part_path, is_rows_path, table_of
from fusion_core.archive.lease_record import newest_generation, read_record
from fusion_core.archive.parts import read_part
from fusion_core.archive.publications import last_number, publications
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

_READERS = 16
_AT_ONCE = 256

RowGroups = Mapping[str, Sequence[int]]
"""Places of row groups by the path of their file."""


class Mark(BaseModel):
    """A moment: that of a record of publication.

    Attributes:
        generation: Of the lease; all records of earlier ones come before.
        number: Of the record among those of this generation; 0 before the first.
    """

    model_config = ConfigDict(frozen=True)

    generation: int = Field(0, ge=0, lt=10**18)
    number: int = Field(0, ge=0, lt=10**18)


class VersionBeforeError(ManifestError):
    """A version that published nothing has written rows since, which no record names."""


def last_mark(storage: Storage) -> Mark:
    """Return the moment of the last record of publication.

    Raises:
        StorageError: The store failed.
    """
    generation = newest_generation(storage)
    return Mark(generation=generation, number=last_number(storage, generation))


def published_since(
    storage: Storage, mark: Mark, table: str = MANIFEST_FOLDER
) -> tuple[RowGroups, Mark]:
    """Return which row groups of a table were published after a moment, and the moment of the last.

    Raises:
        VersionBeforeError: Rows have come otherwise too.
        ManifestError: A record can't be read.
        StorageError: The store failed.
    """
    found: defaultdict[str, list[int]] = defaultdict(list)
    generation, after = mark.generation, mark.number
    while True:
        for number, record in publications(storage, generation, after):
            after = number
            if record.file is not None and table_of(record.file) == table:
                found[record.file].append(record.row_groups - 1)
        following = read_record(storage, generation + 1)
        if following is None:
            return found, Mark(generation=generation, number=after)
        if not following.publishes:
            raise VersionBeforeError(
                f"{following.run_id} wrote to {storage.url('')} by a version that publishes "
                "nothing; expected records of what was published. Read the whole table"
            )
        generation, after = generation + 1, 0


def read_row_groups(
    storage: Storage, groups: RowGroups, columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield the rows of row groups, file by file, as ``read_part`` gives them.

    Raises:
        ManifestError: A file is missing, or can't be read.
        StorageError: The store failed.
    """
    for path, places in groups.items():
        try:
            size = int(storage.info(path)["size"])
        except FileNotFoundError as error:
            raise ManifestError(
                f"{storage.url(path)} is missing; expected it, for a record says that rows were "
                "published in it. Restore the file"
            ) from error
        yield read_part(storage, path, columns, size=size, row_groups=places)


def read_before(
    storage: Storage, since: RowGroups, columns: Sequence[str], table: str = MANIFEST_FOLDER
) -> Iterator[pa.Table]:
    """Yield all rows of a table but for those of some row groups, a file or part at a time.

    Args:
        storage: The output.
        since: What to leave out: what was published after a moment.
        columns: Those wanted, in this order.
        table: The table.

    Raises:
        ManifestError: A file or part can't be read.
        StorageError: The store failed.
    """
    listing = storage.list(f"{table}/")
    sizes = dict(zip(listing["path"].to_pylist(), listing["bytes"].to_pylist(), strict=True))
    for path, size in sizes.items():
        if is_rows_path(path):
            first_new = min(since.get(path, ()), default=None)
            before = None if first_new is None else range(first_new)
            yield read_part(storage, path, columns, size=size, row_groups=before)
    parts = [path for path in sizes if is_part_path(path)]
    read = partial(_read_small, storage, columns)
    with ThreadPoolExecutor(_READERS, "parts") as readers:
        for start in range(0, len(parts), _AT_ONCE):  # so that few wait in memory
            yield from readers.map(read, parts[start : start + _AT_ONCE])


def _read_small(storage: Storage, columns: Sequence[str], path: str) -> pa.Table:
    return read_part(storage, path, columns)
