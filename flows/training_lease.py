"""Takes the lease of a training's output, so that no two trainings write to it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.context import FlowRunContext

from flows.credentials import StorageCredentials
from fusion_core.archive import RUNS_FOLDER, Lease, acquire
from fusion_core.errors import UnreachableError
from fusion_core.storage import Storage
from fusion_core.training import TrainSettings

_ADVICE = "Let it end, or train into another output folder. Nothing was changed"


@contextmanager
def training_lease(settings: TrainSettings, credentials: StorageCredentials) -> Iterator[Lease]:
    """Hold the lease of a training's output during the block.

    A training that was killed is waited for until it is known to be dead, ``lease_seconds`` of its
    settings; one that lives isn't.

    Args:
        settings: The training's.
        credentials: Of the output's store.

    Raises:
        OutputBusyError: Another training is at work on the output.
        StorageError: The store failed.
    """

    def output() -> Storage:
        return Storage(settings.output, credentials)

    context = FlowRunContext.get()
    flow_run = context.flow_run.id if context and context.flow_run else uuid.uuid4()
    exclusive = output().check_exclusive(RUNS_FOLDER)
    if not exclusive:
        get_run_logger().warning(
            "The store of %s ignores conditional writes (If-None-Match), so two trainings that "
            "begin at the same moment could both take it. Each looks again after a moment, which "
            "makes that unlikely and not impossible.",
            output().url(""),
        )
    lease = acquire(
        output,
        f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-train-{str(flow_run)[:8]}",
        seconds=settings.lease_seconds,
        wait=False,
        exclusive=exclusive,
        advice=_ADVICE,
    )
    try:
        yield lease
    except UnreachableError:
        lease.abandon()  # there is nobody to give it back to
        raise
    except BaseException:
        lease.release()
        raise
    lease.release()
