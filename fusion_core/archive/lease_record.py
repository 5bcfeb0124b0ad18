"""The objects in the lease's folder: a record per generation, and its write intents.

Anybody who may write to the output may have written them, so they are read up to a size, and what
a record says is bounded. Only the first look at an output lists the folder: a listing may lag
behind what was written, and reading an object that is there may not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import count

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fusion_core.errors import StorageError
from fusion_core.storage.store import Storage

LEASE_FOLDER = "runs/.lease"

LONGEST_SECONDS = 86_400.0
"""A record that stands still for a day is dead, whatever it says."""

_LARGEST_RECORD = 16 << 10  # bytes; some 300 are used
_LARGEST_LIST = 1 << 20
PARTS_PER_LIST = 4096
"""Write intents in one object, so that it stays below what is read of one."""

_RECORD_NAME = re.compile(r"([0-9]{8,18})\.json")
_LIST_NAME = re.compile(r"([0-9]{8,18})-[0-9]{6,18}\.plan")
_NAME = r"^[^\x00-\x1f\x7f]{0,256}$"  # as it is quoted in messages


class LeaseRecord(BaseModel):
    """The record of a generation, as its object holds it.

    Attributes:
        run_id: The run that took the lease.
        host: The run's machine.
        token: Tells two records apart that claim the same generation.
        seconds: How long the record may stand still before others take over.
        beat: Number of heartbeats so far.
        released: Whether the run has ended in order.
        complete: Whether all its write intents were committed, and published, by then.
        settled: Number of the generation up to which none can commit anything any more.
        publishes: Whether the run commits into ``commits`` and publishes; versions before didn't.
        tails: Files of published rows that the next run may go on with, where this one has ended
            in order: their paths, and how many row groups they have.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str = Field(pattern=_NAME)
    host: str = Field(pattern=_NAME)
    token: str = Field(pattern=_NAME)
    seconds: float = Field(gt=0, allow_inf_nan=False)
    beat: int = 0
    released: bool = False
    complete: bool = False
    settled: int = 0
    publishes: bool = False
    tails: tuple[tuple[str, int], ...] = ()

    @property
    def patience(self) -> float:
        """Seconds after which the record is dead where it stands still."""
        return min(self.seconds, LONGEST_SECONDS)


def newest_generation(storage: Storage) -> int:
    """Return the number of the last generation, 0 where there was none."""
    newest = max(generations(storage), default=0)
    while successor(storage, newest) is not None:  # the listing may lag behind
        newest += 1
    return newest


def generations(storage: Storage) -> list[int]:
    """Return the numbers of the generations that the store lists."""
    found = [_RECORD_NAME.fullmatch(name) for name in _names(storage)]
    numbers = [(int(one[1]), one[0]) for one in found if one]
    # Another way to write the same number would be another object.
    return sorted(number for number, name in numbers if name == f"{number:08}.json")


def successor(storage: Storage, generation: int) -> str | None:
    """Return the name of the run that followed a generation, None where none did.

    One request, whose answer no listing can make late. It rests on records never being removed.

    Raises:
        StorageError: The store failed.
    """
    try:
        body = storage.read(record_path(generation + 1), most=_LARGEST_RECORD)
    except FileNotFoundError:
        return None
    try:
        return LeaseRecord.model_validate_json(body).run_id
    except ValidationError:  # that it is there is what counts
        return f"generation {generation + 1}"


def read_record(storage: Storage, generation: int) -> LeaseRecord | None:
    """Return a generation's record, None where it was removed.

    Raises:
        StorageError: The store failed, or something else lies there.
    """
    path = record_path(generation)
    try:
        return LeaseRecord.model_validate_json(_read(storage, path, _LARGEST_RECORD))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise StorageError(
            f"{storage.url(path)} is no lease of this software: {error}. Expected JSON; remove "
            "the file once no run is at work"
        ) from error


def declared_intents(storage: Storage, generation: int, after: int = 0) -> Iterator[list[str]]:
    """Yield what a generation's lists of write intents hold, which nobody has checked.

    Args:
        storage: The output.
        generation: The generation.
        after: Number of the lists to leave out, the first ones.

    Raises:
        StorageError: The store failed, or a list is too large to be one.
    """
    for number in count(after + 1):
        try:
            body = _read(storage, intent_path(generation, number), _LARGEST_LIST)
        except FileNotFoundError:  # lists are written one after the other
            return
        yield body.decode(errors="replace").splitlines()


def record_path(generation: int) -> str:
    """Return the path of a generation's record below the output."""
    return f"{LEASE_FOLDER}/{generation:08}.json"


def intent_path(generation: int, number: int) -> str:
    """Return the path of one list of a generation's write intents."""
    return f"{LEASE_FOLDER}/{generation:08}-{number:06}.plan"


def write_record(storage: Storage, generation: int, record: LeaseRecord) -> None:
    """Replace a generation's record."""
    storage.write(record_path(generation), record.model_dump_json().encode())


def remove_intents_before(storage: Storage, generation: int) -> None:
    """Remove the intents of generations before this one, where the store allows to remove anything.

    Records stay: one that slept while many others came and went must still find its successor's.
    """
    for name in _names(storage):
        found = _LIST_NAME.fullmatch(name)
        if found and int(found[1]) < generation:
            storage.remove(f"{LEASE_FOLDER}/{name}")


def _read(storage: Storage, path: str, most: int) -> bytes:
    body = storage.read(path, most=most + 1)
    if len(body) > most:
        raise StorageError(
            f"{storage.url(path)} is larger than {most} bytes, so it is no lease of this software; "
            "expected a small text. Remove the file once no run is at work"
        )
    return body


def _names(storage: Storage) -> list[str]:
    paths: list[str] = storage.list(f"{LEASE_FOLDER}/")["path"].to_pylist()
    return sorted(os.path.basename(path) for path in paths)
