"""The objects in the lease's folder: a record per generation, and its write intents."""

from __future__ import annotations

import os

from pydantic import BaseModel, ConfigDict, ValidationError

from fusion_core.archive.layout import LEASE_FOLDER
from fusion_core.errors import StorageError
from fusion_core.storage.store import Storage


class LeaseRecord(BaseModel):
    """The record of a generation, as its object holds it.

    Attributes:
        run_id: The run that took the lease.
        host: The run's machine.
        token: Tells two records apart that claim the same generation.
        seconds: How long the record may stand still before others take over.
        beat: Number of heartbeats so far.
        released: Whether the run has ended in order.
        complete: Whether all its write intents were committed by then.
        settled: Number of the generation up to which none can commit anything any more.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    host: str
    token: str
    seconds: float
    beat: int = 0
    released: bool = False
    complete: bool = False
    settled: int = 0


def newest_generation(storage: Storage) -> int:
    """Return the number of the last generation, 0 where there was none."""
    return max(generations(storage), default=0)


def generations(storage: Storage) -> list[int]:
    """Return the numbers of the generations that there are."""
    names = _names(storage)
    return sorted(int(name[:-5]) for name in names if name[:-5].isdigit() and name[-5:] == ".json")


def read_record(storage: Storage, generation: int) -> LeaseRecord | None:
    """Return a generation's record, None where it was removed.

    Raises:
        StorageError: The store failed, or something else lies there.
    """
    path = record_path(generation)
    try:
        return LeaseRecord.model_validate_json(storage.read(path))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise StorageError(
            f"{storage.url(path)} is no lease of this software: {error}. Expected JSON; remove "
            "the file once no run is at work"
        ) from error


def declared_intents(storage: Storage, generation: int) -> list[str]:
    """Return the paths of the parts that a generation has declared to write."""
    start = f"{generation:08}-"
    plans = [name for name in _names(storage) if name.startswith(start)]
    bodies = [storage.read(f"{LEASE_FOLDER}/{name}").decode() for name in plans]
    return [part for body in bodies for part in body.splitlines()]


def record_path(generation: int) -> str:
    """Return the path of a generation's record below the output."""
    return f"{LEASE_FOLDER}/{generation:08}.json"


def intent_path(generation: int, number: int) -> str:
    """Return the path of one list of a generation's write intents."""
    return f"{LEASE_FOLDER}/{generation:08}-{number:06}.plan"


def write_record(storage: Storage, generation: int, record: LeaseRecord) -> None:
    """Replace a generation's record."""
    storage.write(record_path(generation), record.model_dump_json().encode())


def remove_before(storage: Storage, generation: int) -> None:
    """Remove what generations before this one left, where the store allows to remove anything."""
    for name in _names(storage):
        if name[:8].isdigit() and int(name[:8]) < generation:
            storage.remove(f"{LEASE_FOLDER}/{name}")


def _names(storage: Storage) -> list[str]:
    paths: list[str] = storage.list(f"{LEASE_FOLDER}/")["path"].to_pylist()
    return sorted(os.path.basename(path) for path in paths)
