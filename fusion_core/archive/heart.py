"""Keeps a lease alive: by a process of its own, and by a thread where there is none.

A thread alone starves while its process holds the interpreter's lock, as sorting a large table
does. So it beats only until the process is up, should the process end, and for a store that no
other process reaches; otherwise it hands the process fresh credentials, as signs of life.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from fusion_core.archive.heartbeat import Pulse, longest_end, message
from fusion_core.archive.heartbeat_process import HeartbeatProcess
from fusion_core.archive.lease_record import LeaseRecord
from fusion_core.errors import FuseArchiveError
from fusion_core.storage.store import Storage

_LONGEST_START = 10.0  # seconds that a run waits for its heartbeat's process
log = logging.getLogger(__name__)


class Heart:
    """The heartbeat of one generation of a lease.

    Args:
        output: The output's storage, made anew for every use so that credentials stay fresh.
        generation: The generation's number.
        record: What was written when it was taken.

    Attributes:
        lost_to: The run that has taken over, None where none was seen.
    """

    def __init__(self, output: Callable[[], Storage], generation: int, record: LeaseRecord):
        self.lost_to: str | None = None
        self._output = output
        self._storage = output()
        self._pulse = Pulse(generation, record)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._woken = threading.Event()
        self._begun = threading.Event()
        self._process_is_up = False
        self._process = self._start_process()
        # In this context, which may say how credentials are come by.
        beat = copy_context().run
        self._thread = threading.Thread(target=beat, args=(self._beat,), name="lease", daemon=True)
        self._thread.start()
        try:
            if self._process:
                self._begun.wait(_LONGEST_START)  # from here on the run may hold the lock
        except BaseException:  # Ctrl-C, and nobody else can stop it yet
            self.stop()
            raise

    @property
    def record(self) -> LeaseRecord:
        """What the generation's record says, as far as is known here."""
        return self._pulse.record

    @property
    def is_silent(self) -> bool:
        """Whether no beat is known of for so long that others may have taken over."""
        return time.monotonic() - self._pulse.begun_at > self.record.patience

    def settle(self, generation: int) -> None:
        """Let the record say that no generation up to this one is open, by a beat at once."""
        with self._lock:
            self._pulse.record = self.record.model_copy(update={"settled": generation})
        self._woken.set()

    def stop(self) -> bool:
        """End the heartbeat.

        Returns:
            Whether no beat can arrive at the store any later.
        """
        self._ended.set()
        self._woken.set()
        patience = longest_end(self.record.seconds)
        ended = self._process is None or self._process.stop(patience)
        self._thread.join(patience)
        return ended and not self._thread.is_alive()

    def _start_process(self) -> HeartbeatProcess | None:
        if "memory" in self._storage.fs.protocol:  # no other process sees what is in it
            return None
        try:
            json.dumps(message(self._storage, self._pulse))
            return HeartbeatProcess(self._hear)
        except (OSError, TypeError) as error:
            log.warning("The heartbeat has no process of its own, only a thread: %s", error)
            return None

    def _hear(self, told: dict[str, Any]) -> None:
        """Take in what the process says, from its reader's thread; nothing if it has ended."""
        if "lost_to" in told:
            self.lost_to = told["lost_to"]
        elif "warning" in told:
            log.warning("No heartbeat could be written: %s", told["warning"])
        elif "beat" in told:
            with self._lock:
                self._pulse.record = self.record.model_copy(update={"beat": told["beat"]})
                # Not the moment of hearing: a run that slept hears of many beats at once.
                self._pulse.begun_at = told["begun_at"]
        elif not told and self.lost_to is None and not self._ended.is_set():
            log.warning("The heartbeat's process has ended; a thread goes on with it")
        if not told or "ready" in told:
            self._process_is_up = bool(told)
            self._woken.set()
        if "ready" not in told:
            self._begun.set()

    def _beat(self) -> None:
        while True:
            self._woken.wait(self._pulse.interval)
            self._woken.clear()
            if self._ended.is_set() or self.lost_to is not None:
                return
            try:
                self._storage = self._output()
            except Exception as error:  # whoever gives credentials; the last ones may still do
                log.warning("No fresh credentials for the heartbeat: %s", error)
            if self._process is not None and self._process_is_up:
                self._process.tell(message(self._storage, self._pulse))
            else:
                self._beat_here()

    def _beat_here(self) -> None:
        try:
            with self._lock:
                self.lost_to = self._pulse.beat(self._storage)
        except FuseArchiveError as error:
            log.warning("No heartbeat could be written: %s", error)
