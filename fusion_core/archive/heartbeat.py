"""The heartbeat of a lease, as a process of its own that nothing its run does can hold up.

It is told over its stdin, as JSON lines, where the record lies, how to come there and what it says,
never by argument or environment: options hold secrets. It answers on its stdout with JSON lines:
``ready`` once, then each ``beat``, each ``warning``, and ``lost_to`` if another run took over.

It never outlives its run for long: it ends when its stdin does, which the system closes however the
run ends, and when it has another parent, should a process that the run forked hold the pipe open.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time
from queue import Empty, SimpleQueue
from typing import Any

from fusion_core.archive.lease_record import (
    LONGEST_SECONDS,
    LeaseRecord,
    successor,
    write_record,
)
from fusion_core.errors import FuseArchiveError
from fusion_core.storage.store import Storage

BEATS_PER_LEASE = 4

SILENCE = 5
"""A run that gave no sign for so many lease lengths is stopped or hangs, and is let go."""

_SHORTEST_END, _LONGEST_END = 2.0, 10.0  # seconds


class Pulse:
    """A generation's record, and the beats that are written into it.

    Args:
        generation: Its number.
        record: What it says so far.

    Attributes:
        begun_at: Moment of the monotonic clock, which all processes of a machine share, at which
            the last beat was begun that is written: until the patience has passed since, nobody
            takes over.
    """

    def __init__(self, generation: int, record: LeaseRecord):
        self.generation = generation
        self.record = record
        self.begun_at = -math.inf

    @property
    def interval(self) -> float:
        """Seconds between two beats."""
        return self.record.patience / BEATS_PER_LEASE

    def beat(self, storage: Storage) -> str | None:
        """Write a beat, or return who took over.

        Raises:
            StorageError: The store failed.
        """
        begun_at = time.monotonic()
        lost_to = successor(storage, self.generation)
        if lost_to is None:
            self.record = self.record.model_copy(update={"beat": self.record.beat + 1})
            write_record(storage, self.generation, self.record)
            self.begun_at = begun_at
        return lost_to


def longest_end(seconds: float) -> float:
    """Return how long a beat that is being written may take once the run has ended.

    That is the lease's length, but no less than a busy machine takes to end a process.
    """
    return min(max(seconds, _SHORTEST_END), _LONGEST_END)


def message(storage: Storage, pulse: Pulse) -> dict[str, Any]:
    """Return all that the process needs to know."""
    return {
        "url": storage.url(""),
        "options": storage.options,
        "retry_seconds": storage.retry_policy.seconds,
        "generation": pulse.generation,
        "record": pulse.record.model_dump(),
    }


def main() -> None:
    """Write beats until the run ends or loses its lease."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the run's end is told by the pipe alone
        signal.signal(number, signal.SIG_IGN)
    told: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    threading.Thread(target=_listen, args=(told,), daemon=True).start()
    _say(ready=True)
    first = told.get()
    if first is not None:
        _beat_until_told(first, told)
    os._exit(0)  # threads of the store's client would be waited for


def _beat_until_told(first: dict[str, Any], told: SimpleQueue[dict[str, Any] | None]) -> None:
    parent = os.getppid()
    known, storage = first, _storage(first)
    pulse = Pulse(first["generation"], LeaseRecord(**first["record"]))
    due = sign = time.monotonic()
    while os.getppid() == parent:
        now = time.monotonic()
        if now >= due:
            if now - sign < SILENCE * pulse.record.patience and _beat(pulse, storage):
                return
            due = time.monotonic() + pulse.interval
        try:
            heard = told.get(timeout=max(0.0, due - time.monotonic()))
        except Empty:
            continue
        if heard is None:
            return
        sign = time.monotonic()
        if heard["record"]["settled"] != pulse.record.settled:
            pulse.record = pulse.record.model_copy(update={"settled": heard["record"]["settled"]})
            due = sign
        if heard["options"] != known["options"]:
            known, storage = heard, _storage(heard)


def _beat(pulse: Pulse, storage: Storage) -> bool:
    """Write a beat and tell of it; return whether the lease is lost."""
    try:
        lost_to = pulse.beat(storage)
    except FuseArchiveError as error:
        _say(warning=f"{error}")
        return False
    if lost_to is None:
        _say(beat=pulse.record.beat, begun_at=pulse.begun_at)
    else:
        _say(lost_to=lost_to)
    return lost_to is not None


def _storage(heard: dict[str, Any]) -> Storage:
    return Storage(heard["url"], heard["options"], heard["retry_seconds"])


def _listen(told: SimpleQueue[dict[str, Any] | None]) -> None:
    seconds = LONGEST_SECONDS
    for line in sys.stdin.buffer:
        heard = json.loads(line)
        seconds = heard["record"]["seconds"]
        told.put(heard)
    told.put(None)
    time.sleep(longest_end(seconds))
    os._exit(1)  # in the middle of a beat that the store keeps waiting


def _say(**what: object) -> None:
    try:
        print(json.dumps(what), flush=True)
    except OSError:  # nobody listens any more
        os._exit(0)
