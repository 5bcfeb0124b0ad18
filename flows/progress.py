"""Shows how far a run is: a bar in a terminal, lines in a log, an artifact in Prefect's UI."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
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

from fusion_core.jobs import ChunkResult

_SECONDS_BETWEEN_UPDATES = 2.0
_SECONDS_BETWEEN_LINES = 15.0
_SECONDS_OF_LISTING = 10.0

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]


def shown(
    results: Iterable[ChunkResult],
    total: int,
    logger: Logger,
    *,
    verb: str,
    bar: bool | None = None,
) -> Iterator[ChunkResult]:
    """Yield results as they come, and show how far the run is.

    Args:
        results: Chunks as they are done.
        total: Number of pairs, or of images to score, in the plan.
        logger: Takes a line now and then.
        verb: What is done to them: ``fuse`` or ``score``.
        bar: Whether to draw a bar. Default: where the error stream is a terminal.
    """
    draw = sys.stderr.isatty() if bar is None else bar
    columns = (
        TextColumn(verb),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]} failed"),
    )
    artifact = create_progress_artifact(0.0, f"{verb}-archive-progress", f"{total} to {verb}")
    assert isinstance(artifact, UUID)  # a coroutine only where an event loop runs
    updated = logged = time.monotonic()
    ok = failed = 0
    with Progress(*columns, console=Console(stderr=True), disable=not draw) as progress:
        task = progress.add_task(verb, total=total, failed=0)
        for result in results:
            ok, failed = ok + result.ok + result.skipped, failed + result.failed
            progress.update(task, completed=ok + failed, failed=failed)
            now = time.monotonic()
            if now - updated > _SECONDS_BETWEEN_UPDATES or ok + failed == total:
                update_progress_artifact(artifact, 100.0 * (ok + failed) / total)
                updated = now
            if now - logged > _SECONDS_BETWEEN_LINES:
                logger.info("%d of %d done, %d failed", ok + failed, total, failed)
                logged = now
            yield result


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
