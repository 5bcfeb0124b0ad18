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

from fusion_core.archive.heart import Heart
from fusion_core.archive.lease_record import (
    LONGEST_SECONDS,
    PARTS_PER_LIST,
    LeaseRecord,
    intent_path,
    newest_generation,
    read_record,
    record_path,
    remove_intents_before,
    successor,
    write_record,
)
from fusion_core.errors import FuseArchiveError, LeaseLostError, OutputBusyError
from fusion_core.storage.store import Storage

_KEPT = 8  # generations whose intents stay
_ADVICE = "Start later, or set overlap to 'wait' and no earlier deadline"
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
        self.run_id = record.run_id
        self.lists = 0
        """Number of lists of write intents that were written."""
        self.tails: dict[str, tuple[str, int]] = {}
        """By table and date the file of published rows that may grow, and its row groups."""
        self._declaring = threading.Lock()
        self._uncommitted = True
        self._heart = Heart(output, generation, record)

    def check(self) -> None:
        """Check that no later generation was seen.

        Raises:
            LeaseLostError: One was.
        """
        lost_to = self._heart.lost_to
        if lost_to is not None:
            raise LeaseLostError(
                f"{lost_to} took the output over from {self.run_id}, which had given no sign "
                f"of life for {self._heart.record.patience:g} s; nothing more is committed. What "
                "it committed before stands; let the other run finish"
            )

    def confirm(self) -> None:
        """Check that there is no later generation, as whoever removes or replaces objects must.

        What the heartbeat saw counts for as long as nobody can have taken over since; beyond that,
        as after a sleep, this looks itself. Those that only create are held by the fence, and by
        ``check``, which asks nothing of the store.

        Raises:
            LeaseLostError: There is one.
            StorageError: The store failed.
        """
        if self._heart.is_silent:
            self._look(self._output())
        self.check()

    def declare_intents(self, parts: Sequence[str]) -> None:
        """Declare the intent to write these parts, before any of them is committed.

        Any thread may do so at any time of the run. It costs two small requests.

        Args:
            parts: Paths from ``part_path``; a split chunk's halves need not be declared.

        Raises:
            LeaseLostError: Another run has taken over.
            StorageError: The store failed.
        """
        storage = self._output()
        # One list after the other: they are looked up by number, up to the first that is missing.
        with self._declaring:
            for start in range(0, len(parts), PARTS_PER_LIST):
                self._write_list(storage, parts[start : start + PARTS_PER_LIST])
        # In this order: whoever takes over after the look finds the intents written before it.
        self._look(storage)
        self.check()

    def settle(self, generation: int) -> None:
        """Note that no generation up to this one can commit anything any more.

        Raises:
            StorageError: The store failed.
        """
        self._heart.settle(generation)
        remove_intents_before(self._output(), generation + 1 - _KEPT)

    def all_published(self) -> None:
        """Note that all declared intents are published, so that nobody needs to look for them."""
        self._uncommitted = False

    def release(self) -> None:
        """Give the lease back, so that the next run needn't wait until it expires."""
        if not self._heart.stop():
            log.warning("The store keeps the last heartbeat waiting; the lease will expire")
        elif self._heart.lost_to is None:
            ended = {
                "released": True,
                "complete": not self._uncommitted,
                "tails": tuple(self.tails.values())[-_KEPT:],
            }
            record = self._heart.record.model_copy(update=ended)
            try:
                write_record(self._output(), self.generation, record)
            except FuseArchiveError as error:
                log.warning("The lease could not be given back, it will expire: %s", error)

    def abandon(self) -> None:
        """Stop the heartbeat, so that the lease expires."""
        self._heart.stop()

    def _write_list(self, storage: Storage, parts: Sequence[str]) -> None:
        body, written = "\n".join(parts).encode(), False
        while not written:
            # A write that failed before may still arrive, and must not replace this one.
            written = storage.create(intent_path(self.generation, self.lists + 1), body)
            self.lists += 1

    def _look(self, storage: Storage) -> None:
        found = successor(storage, self.generation)
        if found is not None:
            self._heart.lost_to = found


def acquire(
    output: Callable[[], Storage],
    run_id: str,
    *,
    seconds: float,
    wait: bool,
    exclusive: bool = True,
    until: float | None = None,
    advice: str = _ADVICE,
) -> Lease:
    """Take an output's lease.

    Args:
        output: Makes the output's storage.
        run_id: The run that wants the lease.
        seconds: How long this run may give no sign of life before others take over; a day at
            most.
        wait: Whether to wait where a living run holds the lease; a dead one is waited for until it
            is known to be dead.
        exclusive: Whether the store honours conditional writes. Where it doesn't, a claim is looked
            at again after a moment, which makes two claims at once unlikely and not impossible.
        until: Moment of the monotonic clock at which waiting ends.
        advice: What to do where a living run holds it.

    Raises:
        OutputBusyError: A living run holds it, and ``wait`` is False or the time to wait is over.
        StorageError: The store failed.
    """
    while True:
        storage = output()
        newest = newest_generation(storage)
        if newest:
            _wait_until_free(output, newest, seconds=seconds, wait=wait, until=until, advice=advice)
        token = uuid.uuid4().hex
        record = LeaseRecord(
            run_id=run_id,
            host=platform.node(),
            token=token,
            seconds=min(seconds, LONGEST_SECONDS),
            publishes=True,
        )
        body = record.model_dump_json().encode()
        won = storage.create(record_path(newest + 1), body)
        if won and not exclusive:
            time.sleep(min(2.0, seconds / 4))
            won = storage.read(record_path(newest + 1)) == body
        # Versions before removed generations that were long over, which are free to take again.
        if won and newest_generation(storage) == newest + 1:
            return Lease(output, newest + 1, record)


def _wait_until_free(
    output: Callable[[], Storage],
    generation: int,
    *,
    seconds: float,
    wait: bool,
    until: float | None,
    advice: str,
) -> None:
    """Return once a generation is released, dead or followed by another."""
    seen: LeaseRecord | None = None
    still_since = told = time.monotonic()
    while True:
        storage = output()
        record = read_record(storage, generation)
        now = time.monotonic()
        followed = successor(storage, generation) is not None
        if record is None or record.released or followed:
            return
        if seen is not None and record == seen and now - still_since > record.patience:
            log.warning("%s on %s is dead; its lease is taken over", record.run_id, record.host)
            return
        patient = wait and (until is None or now < until)
        if seen is not None and record != seen and not patient:
            raise OutputBusyError(
                f"{record.run_id} on {record.host} is at work on {storage.url('')}; found its "
                f"heartbeat, expected none. {advice}"
            )
        if record != seen:
            seen, still_since = record, now
        if now >= told:
            log.warning(
                "%s on %s holds %s; waiting until it ends or gives no sign of life for %g s",
                *(record.run_id, record.host, storage.url(""), record.patience),
            )
            told = now + 60.0
        time.sleep(min(5.0, seconds / 8, record.patience / 8))
