"""Takes the lease of a run's output, so that one run at a time writes to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import get_run_logger

from flows.run import Run
from flows.summaries.skipped import SkippedRun
from fusion_core.archive import RUNS_FOLDER, Lease, acquire, write_tombstones
from fusion_core.errors import OutputBusyError, UnreachableError


def skip(run: Run[Any], busy: OutputBusyError) -> SkippedRun:
    """Return the outcome of a run that ends because another one is at work, and log it.

    Args:
        run: The run that ends.
        busy: What the lease was refused with.
    """
    get_run_logger().warning("Nothing done: %s", busy)
    return SkippedRun(run_id=run.identity.run_id, reason=f"{busy}")


@contextmanager
def output_lease(run: Run[Any]) -> Iterator[Lease]:
    """Hold the output's lease during the block; before it, close what dead runs left open.

    Raises:
        OutputBusyError: A living run is at work, and the setting ``overlap`` says to skip, or the
            run's deadline came while it waited.
        StorageError: The store failed.
    """
    logger, settings = get_run_logger(), run.settings
    output = run.output()
    exclusive = output.check_exclusive(RUNS_FOLDER)
    if not exclusive:
        logger.warning(
            "The store of %s ignores conditional writes (If-None-Match), so two runs at the same "
            "moment could both commit a pair. Each looks before it writes instead, and reads its "
            "lease back, which makes that unlikely and not impossible. Run one at a time.",
            output.url(""),
        )
    lease = acquire(
        run.output,
        run.identity.run_id,
        seconds=settings.lease_seconds,
        wait=settings.overlap == "wait",
        exclusive=exclusive,
        until=run.ends_at,
    )
    try:
        if closed := write_tombstones(output, lease):
            logger.warning("%d parts were left open by a run that ended early; closed", closed)
        yield lease
    except UnreachableError:
        lease.abandon()  # there is nobody to give it back to
        raise
    except BaseException:
        lease.release()
        raise
    lease.release()
