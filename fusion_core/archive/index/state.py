"""The state of an index: its shards, and how far they cover what was published.

A state is an object of its own number that only one can create, and names only shards that are
complete. So a run that is killed at any moment leaves the state of before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fusion_core.archive.attempts import ATTEMPT_COLUMNS
from fusion_core.archive.layout import COMMITS_FOLDER, MANIFEST_FOLDER
from fusion_core.archive.plan import PAIR_KEY, SCORE_KEY
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

_LARGEST = 4 << 20  # bytes of a state; a shard takes some 200
_STATE = re.compile(r"([0-9]{8,18})\.json")
_SHARD = re.compile(r"shard-[0-9a-f]{32}\.parquet")


class Shard(BaseModel):
    """One sorted file of an index.

    Attributes:
        name: Of the file, in the index's folder.
        rows: How many it has.
        bytes: Its size.
        first: The smallest pair id.
        last: The largest one.
    """

    model_config = ConfigDict(frozen=True)

    name: str = Field(pattern=_SHARD.pattern)
    rows: int = Field(ge=1)
    bytes: int = Field(ge=1)
    first: str
    last: str


class IndexState(BaseModel):
    """What an index consists of.

    Attributes:
        shards: Its files.
        generation: All publications of earlier generations of the lease are covered …
        number: … and those of this one up to this number.
        carried_to: Path of the last part of the versions before that is covered.
        carried: Whether all of these are.
    """

    model_config = ConfigDict(frozen=True)

    shards: tuple[Shard, ...] = ()
    generation: int = Field(0, ge=0)
    number: int = Field(0, ge=0)
    carried_to: str = ""
    carried: bool = False

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if len({shard.name for shard in self.shards}) < len(self.shards):
            raise ValueError("it names a shard twice")
        return self

    @property
    def rows(self) -> int:
        """Number of rows in all shards."""
        return sum(shard.rows for shard in self.shards)


def index_folder(table: str) -> str:
    """Return the folder of a table's index below the output, with a slash."""
    return f"{COMMITS_FOLDER}/index/{table}/"


def shard_path(table: str, shard: Shard) -> str:
    """Return the path of a shard below the output."""
    return f"{index_folder(table)}{shard.name}"


def filter_path(table: str, shard: Shard) -> str:
    """Return the path of the filters of a shard below the output."""
    return f"{index_folder(table)}{shard.name.removesuffix('.parquet')}.filter"


def remove_unnamed(storage: Storage, table: str, states: Iterable[IndexState]) -> None:
    """Remove the shards that none of these states names, where the store allows it.

    It is for a run that has created the newest of them under its lease: one that lost it can
    create no state of that number any more, so that it never names what is removed here.

    Args:
        storage: Where the index is.
        table: Of the index.
        states: Those that somebody may be reading, the newest one among them.
    """
    shards = [shard for state in states for shard in state.shards]
    named = {path(table, shard) for shard in shards for path in (shard_path, filter_path)}
    for path in storage.list(f"{index_folder(table)}shard-")["path"].to_pylist():
        if path not in named:
            storage.remove(path)


def index_schema(table: str) -> pa.Schema:
    """Return the columns of a table's index: keys, attempts, model and settings."""
    key = PAIR_KEY if table == MANIFEST_FOLDER else SCORE_KEY
    names = dict.fromkeys([*key, *ATTEMPT_COLUMNS, "model_hash", "settings_hash"])
    return pa.schema([pa.field(name, PART_SCHEMA.field(name).type) for name in names])


def newest_state(storage: Storage, table: str) -> tuple[int, IndexState]:
    """Return an index's newest state and its number; 0 and an empty one where there is none.

    Raises:
        ManifestError: Something else lies there.
        StorageError: The store failed.
    """
    number = newest_number(storage, table)
    return number, _read(storage, _path(table, number)) if number else IndexState()


def newest_number(storage: Storage, table: str) -> int:
    """Return the number of an index's newest state, whatever lies there; 0 where there is none.

    Raises:
        StorageError: The store failed.
    """
    names = map(os.path.basename, storage.list(index_folder(table))["path"].to_pylist())
    numbers = [int(found[1]) for found in map(_STATE.fullmatch, names) if found]
    number = max(numbers, default=0)
    while storage.exists(_path(table, number + 1)):  # the listing may lag behind
        number += 1
    return number


def create_state(storage: Storage, table: str, number: int, state: IndexState) -> bool:
    """Create a state; return whether it is this one, and nobody else's."""
    return storage.create(_path(table, number), state.model_dump_json(indent=1).encode())


def _path(table: str, number: int) -> str:
    return f"{index_folder(table)}{number:08}.json"


def _read(storage: Storage, path: str) -> IndexState:
    try:
        body = storage.read(path, most=_LARGEST + 1)
        if len(body) > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST} bytes")
        return IndexState.model_validate_json(body)
    except (ValidationError, ValueError) as error:
        raise ManifestError(
            f"{storage.url(path)} is no state of an index: {error}. Expected JSON as runs write "
            "it; `fuse-archive index` makes the index anew"
        ) from error
