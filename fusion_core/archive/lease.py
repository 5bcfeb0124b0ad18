"""The lease of an output: one run at a time works on it, by objects of the output's own store.

Each run that takes the output makes the next generation, an object of its own that only one can
create. It writes a heartbeat into it; one that stands still for as long as it states is dead, and
whoever waits takes the next generation. So taking over needs no clock that two machines share, no
right to delete, and no other conditional write than creating.

A lease alone is no mutual exclusion: its owner may be asleep and wake up. What holds is the fence
(``archive.fencing``): a part may only be committed after the intent to write it was declared here
while nobody had a later generation, and whoever takes over first writes tombstones at the intents
that were not committed.
"""

from __future__ import annotations

import logging
import platform
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextvars import copy_context

from fusion_core.archive.lease_record import (
    LeaseRecord,
    intent_path,
    newest_generation,
    read_record,
    record_path,
    remove_before,
    write_record,
)
from fusion_core.errors import FuseArchiveError, LeaseLostError, OutputBusyError
from fusion_core.storage.store import Storage

_BEATS_PER_LEASE = 4
_KEPT = 8  # generations
log = logging.getLogger(__name__)


class Lease:
    """One generation of an output's lease, held by this process.

    Args:
        output: The output's storage, made anew for every use so that credentials stay fresh.
        generation: Its number.
        record: What was written when it was taken.
    """

    def __init__(self, output: Callable[[], Storage], generation: int, record: LeaseRecord):
        self._output = output
        self.generation = generation
        self._record = record
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._lost_to: str | None = None
        self._intents = 0
        self._uncommitted = False
        # In this context, which may say how credentials are come by.
        beat = copy_context().run
        self._heart = threading.Thread(target=beat, args=(self._beat,), name="lease", daemon=True)
        self._heart.start()

    @property
    def run_id(self) -> str:
        """The run that holds the lease."""
        return self._record.run_id

    def check(self) -> None:
        """Check that no later generation was seen.

        Raises:
            LeaseLostError: One was.
        """
        if self._lost_to is not None:
            raise LeaseLostError(
                f"{self._lost_to} took the output over from {self.run_id}, which had given no sign "
                f"of life for {self._record.seconds:g} s; nothing more is committed. What it "
                "committed before stands; let the other run finish"
            )

    def declare_intents(self, parts: Sequence[str]) -> None:
        """Declare the intent to write these parts, before any of them is committed.

        Raises:
            LeaseLostError: Another run has taken over.
            StorageError: The store failed.
        """
        self._intents += 1
        self._uncommitted = True
        path = intent_path(self.generation, self._intents)
        self._output().write(path, "\n".join(parts).encode())
        # In this order: whoever takes over after the look finds the intents written before it.
        self._look()
        self.check()

    def settle(self, generation: int) -> None:
        """Note that no generation up to this one can commit anything any more.

        Raises:
            StorageError: The store failed.
        """
        self._write(settled=generation)
        remove_before(self._output(), generation + 1 - _KEPT)

    def all_committed(self) -> None:
        """Note that all declared intents are committed, so that nobody needs to look for them."""
        self._uncommitted = False

    def release(self) -> None:
        """Give the lease back, so that the next run needn't wait until it expires."""
        self.abandon()
        if self._lost_to is None:
            try:
                self._write(released=True, complete=not self._uncommitted)
            except FuseArchiveError as error:
                log.warning("The lease could not be given back, it will expire: %s", error)

    def abandon(self) -> None:
        """Stop the heartbeat, so that the lease expires."""
        self._ended.set()

    def _beat(self) -> None:
        while not self._ended.wait(self._record.seconds / _BEATS_PER_LEASE):
            try:
                self._look()
                if self._lost_to is not None or self._ended.is_set():
                    return
                self._write(beat=self._record.beat + 1)
            except FuseArchiveError as error:
                log.warning("No heartbeat could be written: %s", error)

    def _look(self) -> None:
        newest = newest_generation(self._output())
        if newest > self.generation:
            found = read_record(self._output(), newest)
            self._lost_to = found.run_id if found else f"generation {newest}"

    def _write(self, **changes: object) -> None:
        with self._lock:
            self._record = self._record.model_copy(update=changes)
            write_record(self._output(), self.generation, self._record)


def acquire(
    output: Callable[[], Storage],
    run_id: str,
    *,
    seconds: float,
    wait: bool,
    exclusive: bool = True,
    until: float | None = None,
) -> Lease:
    """Take an output's lease.

    Args:
        output: Makes the output's storage.
        run_id: The run that wants the lease.
        seconds: How long this run may give no sign of life before others take over.
        wait: Whether to wait where a living run holds the lease; a dead one is waited for until it
            is known to be dead.
        exclusive: Whether the store honours conditional writes. Where it doesn't, a claim is looked
            at again after a moment, which makes two claims at once unlikely and not impossible.
        until: Moment of the monotonic clock at which waiting ends.

    Raises:
        OutputBusyError: A living run holds it, and ``wait`` is False or the time to wait is over.
        StorageError: The store failed.
    """
    while True:
        storage = output()
        newest = newest_generation(storage)
        if newest:
            _wait_until_free(output, newest, seconds=seconds, wait=wait, until=until)
        token = uuid.uuid4().hex
        record = LeaseRecord(run_id=run_id, host=platform.node(), token=token, seconds=seconds)
        body = record.model_dump_json().encode()
        won = storage.create(record_path(newest + 1), body)
        if won and not exclusive:
            time.sleep(min(2.0, seconds / 4))
            won = storage.read(record_path(newest + 1)) == body
        # Generations that were long over may be removed, and so be free to take again.
        if won and newest_generation(storage) == newest + 1:
            return Lease(output, newest + 1, record)


def _wait_until_free(
    output: Callable[[], Storage],
    generation: int,
    *,
    seconds: float,
    wait: bool,
    until: float | None,
) -> None:
    """Return once a generation is released, dead or followed by another."""
    seen: LeaseRecord | None = None
    still_since = told = time.monotonic()
    while True:
        storage = output()
        record = read_record(storage, generation)
        now = time.monotonic()
        if record is None or record.released or newest_generation(storage) != generation:
            return
        if seen is not None and record == seen and now - still_since > record.seconds:
            log.warning("%s on %s is dead; its lease is taken over", record.run_id, record.host)
            return
        patient = wait and (until is None or now < until)
        if seen is not None and record != seen and not patient:
            raise OutputBusyError(
                f"{record.run_id} on {record.host} is at work on {storage.url('')}; found its "
                "heartbeat, expected none. Start later, or set overlap to 'wait' and no earlier "
                "deadline"
            )
        if record != seen:
            seen, still_since = record, now
        if now >= told:
            log.warning(
                "%s on %s holds %s; waiting until it ends or gives no sign of life for %g s",
                *(record.run_id, record.host, storage.url(""), record.seconds),
            )
            told = now + 60.0
        time.sleep(min(5.0, seconds / 8, record.seconds / 8))
