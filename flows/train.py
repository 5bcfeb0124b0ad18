"""The flow ``train-refinefuse``: train the network on Ray Train, and go on where it was stopped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Annotated, Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from actors.cluster import connected
from actors.resources import alive_nodes
from actors.training import require_ray_train, train, training_share
from flows.credentials import StorageCredentials
from flows.night import ended
from flows.parent_watchdog import end_with_worker
from flows.summaries.train import TrainSummary
from flows.train_progress import shown
from flows.training_lease import training_lease
from fusion_core.archive import Lease
from fusion_core.errors import TrainingError
from fusion_core.settings import OverrideOf, overridden
from fusion_core.storage import Storage
from fusion_core.training import (
    CURVE_FILE,
    LOG_FILE,
    WEIGHTS_FILE,
    LogFile,
    ProgressEvent,
    TrainingJob,
    TrainSettings,
    finished_log,
    plan_training,
)

FLOW = "train-refinefuse"


@flow(name=FLOW, retries=0)
def train_refinefuse(
    settings: TrainSettings,
    override: Annotated[dict[str, Any] | None, OverrideOf(TrainSettings)] = None,
) -> TrainSummary:
    """Train a RefineFuse network on the infrared and visible pairs of an archive.

    A training that is stopped goes on from its last checkpoint when the same settings are run
    again, and ends at the same loss; one that is finished is left alone.

    Args:
        settings: What to train on, how, and where to.
        override: Some of the settings, which replace those above in this run.

    Returns:
        What became of it.

    Raises:
        OutputBusyError: Another training is at work on the output.
        FuseArchiveError: The settings, pairs, checkpoint or storage can't be used, what Ray Train
            needs isn't installed, or the workers failed for good.
    """
    end_with_worker()
    settings = overridden(settings, override)
    require_ray_train()
    credentials = StorageCredentials(settings.credentials_block)
    job = plan(settings, credentials)
    log = finished_log(job, credentials)
    done_before = log is not None
    if log is None:
        with training_lease(job.settings, credentials) as lease, connected(settings.ray_address):
            run_on_ray(replace(job, generation=lease.generation), credentials, lease)
        log = finished_log(job, credentials)
    if log is None:
        raise TrainingError(
            f"the training in {job.settings.output} ended without its log; run it again"
        )
    summary = summarise(job, log, done_before=done_before)
    create_markdown_artifact(summary.markdown(), f"{FLOW}-summary", summary.sentence())
    create_link_artifact(summary.curve, "curve.png", f"{FLOW}-curve", "Losses and metrics")
    get_run_logger().info(summary.sentence())
    return ended(summary)


@task(name="plan", cache_policy=NO_CACHE)
def plan(settings: TrainSettings, credentials: StorageCredentials) -> TrainingJob:
    """List the pairs and set those for validation apart."""
    job, pairing = plan_training(settings, credentials)
    get_run_logger().info(
        "%d pairs found in %s: %d to train on, %d for validation; %d unpaired, %d ambiguous and "
        "%d unmatched files",
        len(pairing.pairs),
        settings.source,
        len(job.pairs),
        len(job.validation),
        len(pairing.unpaired),
        len(pairing.ambiguous),
        len(pairing.unmatched),
    )
    return job


@task(name="train", cache_policy=NO_CACHE)
def run_on_ray(job: TrainingJob, credentials: StorageCredentials, lease: Lease) -> None:
    """Train on Ray workers until the last step, or until the lease is lost."""
    logger = get_run_logger()
    share = training_share(job.settings, alive_nodes())
    logger.info("%d workers with %g CPUs and %g GPUs each", share.count, share.cpus, share.gpus)
    # A signal may come while the progress is shown; the workers end then, not with the process.
    with closing(train(job, share, credentials)) as events:
        shown(_while_held(events, lease), logger)


def _while_held(events: Iterable[ProgressEvent], lease: Lease) -> Iterator[ProgressEvent]:
    for event in events:
        lease.check()
        yield event


def summarise(job: TrainingJob, log: LogFile, *, done_before: bool) -> TrainSummary:
    """Return what became of a training, by its log."""
    output = Storage(job.settings.output)
    return TrainSummary(
        output=output.url(""),
        weights=output.url(WEIGHTS_FILE),
        log=output.url(LOG_FILE),
        curve=output.url(CURVE_FILE),
        done_before=done_before,
        pairs=len(job.pairs),
        steps=log.records[-1].step,
        seconds=log.records[-1].seconds,
        records=log.records,
        left_out=log.left_out,
    )
