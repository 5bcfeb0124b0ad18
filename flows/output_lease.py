"""Takes the lease of a run's output, so that one run at a time writes to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import get_run_logger

from flows.run import Run
from flows.summaries.skipped import SkippedRun
from fusion_core.archive import RUNS_FOLDER, TABLES, Lease, Publisher, acquire, merge_shards
from fusion_core.errors import (
    FuseArchiveError,
    LeaseLostError,
    OutputBusyError,
    UnreachableError,
)
from fusion_core.storage import Storage, scratch_folder


def skip(run: Run[Any], busy: OutputBusyError) -> SkippedRun:
    """Return the outcome of a run that ends because another one is at work, and log it.

    Args:
        run: The run that ends.
        busy: What the lease was refused with.
    """
    run.watch.skipped = True
    get_run_logger().warning("Nothing done: %s", busy)
    return SkippedRun(run_id=run.identity.run_id, reason=f"{busy}")


@contextmanager
def output_lease(run: Run[Any]) -> Iterator[Publisher]:
    """Hold the output's lease during the block, and publish what is committed under it.

    Before the block, what dead runs left open is closed, and what they committed is published.
    Behind it, if it ended well, what has grown in the index is merged.

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
    publisher = Publisher(run.output, lease, settings.publish_seconds)
    try:
        closed = publisher.take_over()
        if closed.tombstones or closed.unpublished:
            logger.warning(
                "A run that ended early left %d parts open, which are closed now, and %d "
                "committed, which are published now",
                *(closed.tombstones, len(closed.unpublished)),
            )
        publisher.start()
        yield publisher
        publisher.finish()
        _merge_indexes(run.output(), lease)
    except UnreachableError:
        publisher.stop()
        lease.abandon()  # there is nobody to give it back to
        raise
    except BaseException as error:
        publisher.stop()
        if not isinstance(error, LeaseLostError):
            _publish_what_there_is(publisher)
        lease.release()
        raise
    lease.release()


def _merge_indexes(output: Storage, lease: Lease) -> None:
    """Leave indexes of few shards; a run that has done its work doesn't fail of this."""
    try:
        with scratch_folder() as folder:
            for table in TABLES:
                lease.confirm()
                merge_shards(output, table, folder)
    except Exception as error:  # whatever it is: the next run merges
        get_run_logger().warning("Merging the index is left to the next run: %s", error)


def _publish_what_there_is(publisher: Publisher) -> None:
    """Publish what a run that ends early has committed; the next one does what fails here."""
    try:
        publisher.finish()
    except FuseArchiveError as error:
        get_run_logger().warning("What was committed is left to the next run to publish: %s", error)
