"""Keeps what a worker's process warns of, with the chunk and the pair, for the run's log.

Warnings in another process end in a file that nobody looks at. A worker collects the first few of
each chunk, and they travel to the driver with the chunk's result.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

MOST_PER_CHUNK = 10
"""So many warnings of a chunk are kept; of the others only the number."""

_LONGEST = 2000  # characters of a message, or of a traceback

PAIR_AT_WORK: ContextVar[str | None] = ContextVar("PAIR_AT_WORK", default=None)
"""The pair that this thread works on; None where it is none, or several."""


@dataclass(frozen=True)
class WorkerWarning:
    """A log record of a worker, small enough to travel.

    Attributes:
        time: When it was made, in seconds since the epoch.
        level: Its level, as ``logging`` numbers it.
        logger: The logger's name; ``py.warnings`` for a warning of Python's.
        message: What it says.
        traceback: The traceback that came with it, if any.
        chunk: Part id of the chunk that was at work; None outside of any.
        pair_id: The pair that was at work, where that is known.
    """

    time: float
    level: int
    logger: str
    message: str
    traceback: str | None = None
    chunk: str | None = None
    pair_id: str | None = None


@contextmanager
def about(pair_id: str | None) -> Iterator[None]:
    """Have what this thread warns of inside the block be about a pair; None for no single one."""
    token = PAIR_AT_WORK.set(pair_id)
    try:
        yield
    finally:
        PAIR_AT_WORK.reset(token)


class WarningCollector(logging.Handler):
    """Keeps the first warnings until they are taken, and counts the others.

    Attributes:
        chunk: Part id of the chunk that is at work.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.chunk: str | None = None
        self._kept: list[WorkerWarning] = []
        self._more = 0
        self._format = logging.Formatter()

    def install(self) -> None:
        """Collect what all of this process warns of; it is printed as before."""
        root = logging.getLogger()
        if not root.handlers and logging.lastResort is not None:
            root.addHandler(logging.lastResort)  # which prints only where there is no other
        root.addHandler(self)
        logging.captureWarnings(True)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, or count it; called under the handler's lock."""
        if len(self._kept) >= MOST_PER_CHUNK:
            self._more += 1
            return
        traceback = self._format.formatException(record.exc_info) if record.exc_info else None
        self._kept.append(
            WorkerWarning(
                record.created,
                record.levelno,
                record.name,
                record.getMessage()[:_LONGEST],
                traceback=traceback and traceback[-_LONGEST:],
                chunk=self.chunk,
                pair_id=getattr(record, "pair_id", None) or PAIR_AT_WORK.get(),
            )
        )

    def take(self) -> tuple[tuple[WorkerWarning, ...], int]:
        """Return what was kept, and how many more there were, and begin anew."""
        self.acquire()
        try:
            taken = tuple(self._kept), self._more
            self._kept, self._more = [], 0
        finally:
            self.release()
        return taken
