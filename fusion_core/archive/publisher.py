"""Publishes what a run has committed: from many small parts into few large files.

The lease's holder does it, every few minutes and at the end. A record is created first, which only
one can; then the file is written, and only then the next record may be. So a run that lost its
lease finds the next number taken; what it may still write is the file as its last record says,
which whoever took over has written too.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextvars import copy_context
from dataclasses import dataclass

from fusion_core.archive.fencing import Closed, close_predecessors
from fusion_core.archive.layout import rows_path
from fusion_core.archive.lease import Lease
from fusion_core.archive.pieces import Piece, read_pieces
from fusion_core.archive.publications import Publication, create_publication
from fusion_core.archive.rows_file import can_grow, grown
from fusion_core.archive.write_intents import WriteIntents
from fusion_core.errors import LeaseLostError
from fusion_core.storage.store import Storage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Step:
    """A publication that was begun: its record, then its file, each the same at every try."""

    number: int
    record: Publication
    body: bytes
    piece: Piece
    settled: frozenset[str]


class Publisher:
    """Publishes the commits of one run, of any table and date.

    Args:
        output: The output's storage, made anew for every use so that credentials stay fresh.
        lease: The lease that the run holds.
        seconds: How long a commit may stay unpublished while the run is at work.

    Attributes:
        lease: The lease.
    """

    def __init__(self, output: Callable[[], Storage], lease: Lease, seconds: float = 300.0):
        self.lease = lease
        self._output, self._seconds = output, seconds
        self._lock = threading.Lock()  # of the intents, and of the lease's count of their lists
        self._publishing = threading.Lock()
        self._intents = WriteIntents()
        self._step: _Step | None = None
        self._tried = False  # whether a write of the step's file has failed
        self._records = 0
        self._files: defaultdict[str, int] = defaultdict(int)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def declare(self, parts: Sequence[str]) -> None:
        """Declare the intent to write these parts, as ``Lease.declare_intents`` does."""
        with self._lock:
            self.lease.declare_intents(parts)
            self._intents.declare(parts)

    def committed(self, parts: Iterable[str]) -> None:
        """Note that parts were committed; each is published once, however often it is told."""
        with self._lock:
            self._intents.commit(parts)

    def take_over(self) -> Closed:
        """Close what earlier runs left open, and publish what they committed.

        Raises:
            FuseArchiveError: A part can't be read, or the store failed.
        """
        closed = close_predecessors(self._output(), self.lease)
        self.publish(closed.unpublished)
        self.lease.settle(self.lease.generation - 1)
        return closed

    def start(self) -> None:
        """Publish every so many seconds from now on, from a thread."""
        run = copy_context().run  # which may say how credentials are come by
        self._ended.clear()
        self._thread = threading.Thread(
            target=run, args=(self._keep_publishing,), name="publisher", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after what it is at."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def finish(self) -> None:
        """Publish what is left, and let the lease know whether that is all; raises as ``publish``.

        Raises:
            FuseArchiveError: It could not be published.
        """
        self.stop()
        self.publish()
        if self.all_published:
            self.lease.all_published()

    def publish(self, parts: Sequence[str] | None = None) -> None:
        """Publish what is committed and not published yet.

        Args:
            parts: Publish these instead, whoever wrote them.

        Raises:
            LeaseLostError: Another run has taken over.
            ManifestError: A part, or the file that is to grow, can't be read.
            StorageError: The store failed.
        """
        with self._publishing:
            storage = self._output()
            if self._step is not None:
                self._finish(storage)
            if parts is None:
                with self._lock:
                    parts = tuple(self._intents.waiting)
            for piece in read_pieces(storage, parts):
                self.lease.check()
                self._step = self._begin(storage, piece)
                self._finish(storage)

    @property
    def all_published(self) -> bool:
        """Whether all that was declared is committed and published."""
        with self._lock:
            return self._intents.nothing_left and self._step is None

    def _begin(self, storage: Storage, piece: Piece) -> _Step:
        path, body, row_groups = self._file_for(storage, piece.folder)
        body = grown(body, piece.rows)
        with self._lock:
            left = self._intents.after(piece.parts)
            record = Publication(
                file=path,
                row_groups=row_groups + 1,
                rows=len(piece.rows),
                parts=piece.parts,
                lists=self.lease.lists,
                open=left.open,
                halves=left.halves,
            )
        return _Step(self._records + 1, record, body, piece, left.settled)

    def _finish(self, storage: Storage) -> None:
        step = self._step
        assert step is not None
        assert step.record.file is not None
        generation = self.lease.generation
        if not create_publication(storage, generation, step.number, step.record):
            raise LeaseLostError(
                f"another run has taken the output over from {self.lease.run_id} and ended its "
                "publishing; nothing more is committed. What was committed before stands"
            )
        # A write that fails may still arrive later, and nobody is to build upon that file.
        self.lease.tails.pop(step.piece.folder, None)
        # Whoever took over while this run slept has written the file, and may have written it
        # anew without rows that were to be forgotten.
        self.lease.confirm()
        tried, self._tried = self._tried, True
        storage.write(step.record.file, step.body)
        self._tried = False
        if not tried:
            self.lease.tails[step.piece.folder] = step.record.file, step.record.row_groups
        with self._lock:
            self._intents.published(step.piece.parts, step.settled)
        self._records, self._step = step.number, None

    def _file_for(self, storage: Storage, folder: str) -> tuple[str, bytes, int]:
        """Return the file that the next rows go to, its bytes, and how many row groups it has."""
        if folder in self.lease.tails:
            path, row_groups = self.lease.tails[folder]
            body = storage.read(path)
            if can_grow(path, body, row_groups):
                return path, body, row_groups
        self._files[folder] += 1
        table, _, date = folder.partition("/date=")
        number, day = self._files[folder], dt.date.fromisoformat(date)
        return rows_path(day, self.lease.generation, number, table), b"", 0

    def _keep_publishing(self) -> None:
        while not self._ended.wait(self._seconds):
            try:
                self.publish()
            except LeaseLostError:
                return  # the run finds out by itself
            except Exception as error:  # whatever it is, the next time may do better
                log.warning("What was committed isn't published yet, but will be: %s", error)
