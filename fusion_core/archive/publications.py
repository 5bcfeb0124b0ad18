"""The records of what was published: which commits became rows of which file, one after the other.

A record is created exclusively, and numbered within its generation of the lease without gaps. So
whoever takes an output over ends a dead run's publishing by creating the next number itself, and
finds in the last record all that is still open. README.md draws the protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fusion_core.archive.layout import (
    COMMITS_FOLDER,
    is_part_path,
    is_rows_path,
    table_of,
)
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

PUBLISHED_FOLDER = f"{COMMITS_FOLDER}/published"

MOST_PARTS = 16_384
"""Parts that one record publishes at most: some minutes of a million chunks of one pair."""

_LARGEST = 4 << 20  # bytes; 16,384 paths are 1.2 MB, and as many may be open
_NAME = re.compile(r"([0-9]{8,18})-([0-9]{6,18})\.json")


class Publication(BaseModel):
    """One record: these parts are the last row group of this file, or end a dead run's publishing.

    Attributes:
        file: Path of the file of published rows.
        row_groups: How many it has with these rows.
        rows: How many rows these are.
        parts: Paths of the parts that hold them.
        lists: Number of the generation's lists of write intents that were looked at.
        open: Intents of these lists whose parts are not all published yet.
        halves: Parts of halves, published already, of chunks that are open.
        closed_by: The run that ended the publishing of a dead one; such a record has no file.
    """

    model_config = ConfigDict(frozen=True)

    file: str | None = None
    row_groups: int = Field(0, ge=0)
    rows: int = Field(0, ge=0)
    parts: tuple[str, ...] = ()
    lists: int = Field(0, ge=0)
    open: tuple[str, ...] = ()
    halves: tuple[str, ...] = ()
    closed_by: str | None = None

    @model_validator(mode="after")
    def _names_only_ours(self) -> Self:
        """Refuse paths that no run writes: what a record names is read, and written."""
        paths = (*self.parts, *self.open, *self.halves)
        if wrong := next((path for path in paths if not is_part_path(path)), None):
            raise ValueError(f"{wrong[:200]!r} is no part's path")
        if (self.file is None) == (self.closed_by is None):
            raise ValueError("it has to name a file, or who ended the publishing")
        if self.file is not None:
            if not is_rows_path(self.file):
                raise ValueError(f"{self.file[:200]!r} is no path of a file of rows")
            if any(table_of(path) != table_of(self.file) for path in self.parts):
                raise ValueError("its parts are of another table than its file")
        return self


def publication_path(generation: int, number: int) -> str:
    """Return the path of a record below the output."""
    return f"{PUBLISHED_FOLDER}/{generation:08}-{number:06}.json"


def create_publication(storage: Storage, generation: int, number: int, record: Publication) -> bool:
    """Create a record; return whether it is this one, and nobody else's.

    Raises:
        StorageError: The store failed.
    """
    body = record.model_dump_json(exclude_defaults=True).encode()
    return storage.create(publication_path(generation, number), body)


def read_publication(storage: Storage, generation: int, number: int) -> Publication | None:
    """Return a record; None where there is none.

    Raises:
        ManifestError: Something else lies there.
        StorageError: The store failed.
    """
    path = publication_path(generation, number)
    try:
        body = storage.read(path, most=_LARGEST + 1)
    except FileNotFoundError:
        return None
    try:
        if len(body) > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST} bytes")
        return Publication.model_validate_json(body)
    except (ValidationError, ValueError) as error:
        raise ManifestError(
            f"{storage.url(path)} is no record of a publication: {error}. Expected JSON as runs "
            "write it; see who put it there, and restore the file"
        ) from error


def publications(
    storage: Storage, generation: int, after: int = 0
) -> Iterator[tuple[int, Publication]]:
    """Yield a generation's records behind a number, with their numbers, to the end of them.

    Raises:
        ManifestError: One can't be read.
        StorageError: The store failed.
    """
    for number in count(after + 1):
        record = read_publication(storage, generation, number)
        if record is None or record.closed_by is not None:
            return
        yield number, record


def published_generations(storage: Storage) -> list[int]:
    """Return the generations that have records: also ones whose lease is long forgotten.

    Raises:
        StorageError: The store failed.
    """
    found: set[int] = set()
    for batch in storage.list_batches(f"{PUBLISHED_FOLDER}/"):
        names = (path.rpartition("/")[2] for path in batch["path"].to_pylist())
        found.update(int(one[1]) for one in map(_NAME.fullmatch, names) if one)
    return sorted(found)


def last_number(storage: Storage, generation: int) -> int:
    """Return the number of a generation's last record, 0 where there is none.

    It takes a few looks, for numbers have no gaps: twice as many as the number has binary digits.

    Raises:
        StorageError: The store failed.
    """

    def there(number: int) -> bool:
        return storage.exists(publication_path(generation, number))

    low, high = 0, 1  # low is there, high is not
    while there(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if there(middle) else (low, middle)
    return low


def end_publishing(
    storage: Storage, generation: int, run_id: str
) -> tuple[int, Publication] | None:
    """See to it that a dead generation publishes no more, by taking its next number.

    Args:
        storage: The output.
        generation: The generation.
        run_id: The run that took over from it.

    Returns:
        Its last record, and that one's number; None where it published nothing.

    Raises:
        ManifestError: A record can't be read.
        StorageError: The store failed.
    """
    number = last_number(storage, generation)
    while True:
        record = read_publication(storage, generation, number) if number else None
        if record is not None and record.closed_by is not None:
            number -= 1
            continue
        end = Publication(closed_by=run_id)
        path = publication_path(generation, number + 1)
        # A store without conditional writes would overwrite, hence the look before.
        taken = storage.exists(path)
        if not taken and create_publication(storage, generation, number + 1, end):
            return None if record is None else (number, record)
        last = read_publication(storage, generation, number + 1)
        if last is not None and last.closed_by is not None:
            return None if record is None else (number, record)
        number += 1
