"""Shows how far a run is: a bar in a terminal, lines in a log, an artifact in Prefect's UI."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from flows.summaries.dry_run import duration
from fusion_core.jobs import ChunkResult

_SECONDS_BETWEEN_UPDATES = 2.0
_SECONDS_BETWEEN_LINES = 15.0
_SECONDS_OF_LISTING = 10.0
_FIRST_RATE = 1.0  # seconds from which on a rate says something

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]


class PairProgress:
    """Counts pairs as they are done, and tells of them by rate, remaining time and failures.

    Args:
        total: Number of pairs, or of images to score, in the plan.
        what: What is counted: ``pairs`` or ``images``.
        now: The clock, in seconds.
    """

    def __init__(self, total: int, what: str, now: Callable[[], float] = time.monotonic):
        self.total, self.what, self._now = total, what, now
        self.ok = self.failed = self.at_work = 0
        self._began: float | None = None
        self._first = 0

    def add(self, result: ChunkResult) -> None:
        """Add a chunk that is done."""
        self.ok += result.ok + result.skipped
        self.failed += result.failed

    @property
    def done(self) -> int:
        """How many are done: those of chunks that are, and those of chunks that are at work."""
        return min(self.ok + self.failed + self.at_work, self.total)

    def told(self) -> str:
        """Return how far it is, such as "312 of 1000 pairs, 4.1/s, 2 min left, 3 failed"."""
        parts = [f"{self.done} of {self.total} {self.what}"]
        now = self._now()
        # Workers start for a while before the first pair: that is no part of the rate.
        if self._began is None and self.done:
            self._began, self._first = now, self.done
        if self._began is not None and now - self._began > _FIRST_RATE:
            rate = (self.done - self._first) / (now - self._began)
            if rate > 0:
                parts.append(f"{rate:.1f}/s" if rate >= 0.1 else f"{rate * 60:.1f}/min")
                if left := self.total - self.done:
                    parts.append(f"{duration(left / rate)} left")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts)


class Shown:
    """Shows a progress wherever people look; give it results, and call it while waiting for them.

    Args:
        progress: What is shown.
        logger: Takes a line now and then.
        artifact: Id of the artifact in Prefect's UI.
        bar: What draws the bar in a terminal.
    """

    def __init__(self, progress: PairProgress, logger: Logger, artifact: UUID, bar: Progress):
        self._progress, self._logger, self._artifact, self._bar = progress, logger, artifact, bar
        self._updated = self._logged = time.monotonic()
        self._shown = ""

    def add(self, result: ChunkResult) -> None:
        """Add a chunk that is done, and show it."""
        self._progress.add(result)
        self.look()

    def look(self, at_work: int = 0) -> None:
        """Show what is new, if it is time for that.

        Args:
            at_work: How many pairs are done of the chunks that are at work.
        """
        progress = self._progress
        progress.at_work = at_work
        self._bar.update(self._bar.task_ids[0], completed=progress.done, failed=progress.failed)
        now = time.monotonic()
        last = progress.ok + progress.failed == progress.total
        if now - self._updated > _SECONDS_BETWEEN_UPDATES or last:
            self._updated, told = now, progress.told()
            if told != self._shown:
                self._shown = told
                percent = 100.0 * progress.done / progress.total
                update_progress_artifact(self._artifact, percent, told)
        if now - self._logged > _SECONDS_BETWEEN_LINES:
            self._logged = now
            self._logger.info("%s", progress.told())


@contextmanager
def shown(total: int, logger: Logger, *, verb: str, bar: bool | None = None) -> Iterator[Shown]:
    """Show how far a run is, as long as the block goes on.

    Args:
        total: Number of pairs, or of images to score, in the plan.
        logger: Takes a line now and then.
        verb: What is done to them: ``fuse``, ``score`` or ``detect``.
        bar: Whether to draw a bar. Default: where the error stream is a terminal.
    """
    draw = sys.stderr.isatty() if bar is None else bar
    columns: tuple[Any, ...] = (
        TextColumn(verb),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]} failed"),
    )
    progress = PairProgress(total, "pairs" if verb == "fuse" else "images")
    artifact = create_progress_artifact(0.0, f"{verb}-archive-progress", progress.told())
    assert isinstance(artifact, UUID)  # a coroutine only where an event loop runs
    with Progress(*columns, console=Console(stderr=True), disable=not draw) as drawn:
        drawn.add_task(verb, total=total, failed=0)
        yield Shown(progress, logger, artifact, drawn)


def listing_told(logger: Logger) -> Callable[[int], None]:
    """Return what to call with the number of objects that were listed; it logs that now and then.

    Args:
        logger: Takes a line every ten seconds.
    """
    logged = time.monotonic()

    def tell(count: int) -> None:
        nonlocal logged
        now = time.monotonic()
        if now - logged > _SECONDS_OF_LISTING:
            logger.info("%d objects listed so far", count)
            logged = now

    return tell
