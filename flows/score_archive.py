"""The flow ``score-archive``: score fused images of any method on Ray, and compare the methods."""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from actors.chunk_actor import Job, start_actor
from actors.cluster import connected
from actors.scoring_actor import ScoringActor
from flows.artifacts import publish
from flows.chunks import Worked, count_results, run_chunks
from flows.details import (
    files_without_pair,
    images_without_counterpart,
    unsuccessful,
    write_details,
)
from flows.expectations import fail_if_unmet, with_unmet
from flows.images_of_methods import plan_images, rows_of_images
from flows.night import ended
from flows.output_lease import output_lease, skip
from flows.parent_watchdog import end_with_worker
from flows.report_page import write_comparison_report
from flows.requests import request_of
from flows.run import Run, fail_past_limit, write_tables
from flows.summaries.archive import plan_counts
from flows.summaries.score import ScoreSummary
from flows.summaries.skipped import SkippedRun
from flows.watching.watch import Watch, watching
from fusion_core.archive import (
    SCORE_KEY,
    SCORES_FOLDER,
    FusedImages,
    Plan,
    Publisher,
    RunRows,
    collect_rows,
    read_manifest,
)
from fusion_core.errors import OutputBusyError
from fusion_core.jobs import ScoreArchiveSettings
from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports import Comparison, compare
from fusion_core.settings import OverrideOf, overridden
from fusion_core.storage import Storage, scratch_folder

FLOW = "score-archive"


@flow(name=FLOW, retries=0)
def score_archive(
    settings: ScoreArchiveSettings,
    override: Annotated[dict[str, Any] | None, OverrideOf(ScoreArchiveSettings)] = None,
) -> ScoreSummary | SkippedRun:
    """Score the fused images of several methods against their sources, and compare the methods.

    Images that can't be scored become failed rows. A run that is stopped loses nothing but the
    chunks in work; the next one goes on from the scores, and its table holds those of all runs.

    Args:
        settings: Which images to score, where to, and how.
        override: Some of the settings, which replace those above in this run.

    Returns:
        What became of the run, with the comparison table.

    Raises:
        TooManyFailuresError: More than the stated fraction of images failed.
        ExpectationError: The night isn't as the settings expect it.
        FuseArchiveError: The run as a whole can't go on: settings or storage.
    """
    end_with_worker()
    settings = overridden(settings, override)
    with watching(settings, FLOW) as watch:
        return score_watched(settings, watch)


def score_watched(settings: ScoreArchiveSettings, watch: Watch) -> ScoreSummary | SkippedRun:
    """Do what the flow does; see there.

    Args:
        settings: The run's settings.
        watch: Tells those who watch it what happens.
    """
    began = time.monotonic()
    run = Run.begin(
        settings,
        settings_hash=settings.settings_hash(),
        hashes_before=settings.hashes_before(),
        watch=watch,
    )
    try:
        with scratch_folder() as folder, output_lease(run) as publisher:
            with watch.phase("plan"):
                plan, images = plan_scores(run, folder, publisher.lease.generation)
            watch.planned(plan)
            with (
                connected(settings.ray_address) if len(plan.todo) else nullcontext(),
                watch.phase("score"),
            ):
                worked = score_images(run, plan, publisher)
            with watch.phase("summarise"):
                summary = summarise(run, plan, images, worked, began=began)
    except OutputBusyError as busy:
        return ended(skip(run, busy))
    fail_past_limit(summary, settings)
    fail_if_unmet(summary, settings)
    return ended(summary)


@task(name="plan", cache_policy=NO_CACHE)
def plan_scores(
    run: Run[ScoreArchiveSettings], folder: Path, generation: int
) -> tuple[Plan, FusedImages]:
    """List pairs and fused images, match them, and leave out what was scored already.

    Args:
        run: The run.
        folder: A scratch folder.
        generation: Of the output's lease.
    """
    return plan_images(run, folder, generation, table=SCORES_FOLDER, verb="score")


@task(name="score", cache_policy=NO_CACHE)
def score_images(run: Run[ScoreArchiveSettings], plan: Plan, publisher: Publisher) -> Worked:
    """Score the plan's chunks on Ray actors."""
    job = Job(run.settings, run.identity, run.watch.detailed)
    make_actor = partial(start_actor, ScoringActor, job)
    return run_chunks(run, plan, publisher, make_actor, verb="score", folder=SCORES_FOLDER)


@task(name="summarise", cache_policy=NO_CACHE)
def summarise(
    run: Run[ScoreArchiveSettings],
    plan: Plan,
    images: FusedImages,
    worked: Worked,
    *,
    began: float,
) -> ScoreSummary:
    """Compare the methods over all scores there are, and write table, summary and artifacts."""
    output = run.output()
    comparison = compare_scores(run, output, images)
    table, tables = write_tables(run, output, comparison)
    with scratch_folder() as folder:
        rows = RunRows(collect_rows(output, worked.parts, folder), folder)
        listings = [
            *unsuccessful(rows, "pair_id", "method"),
            *images_without_counterpart(images),
            *files_without_pair(plan.pairing),
        ]
        details = write_details(run, output, listings, folder)
        summary = ScoreSummary(
            run_id=run.identity.run_id,
            output=output.url(""),
            manifest=output.url(SCORES_FOLDER),
            images=len(images.images),
            scored=worked.ok,
            means=comparison.means,
            table=table,
            tables=tables,
            metric_version=run.settings.metric_version,
            left_out=worked.left_out,
            retries=rows.retries(),
            stages=rows.stages(),
            request=request_of(run, FLOW),
            seconds=time.monotonic() - began,
            **count_results(len(plan.todo), [worked], rows.undone()),
            **plan_counts(plan),
            **details.fields,
        )
    summary = with_unmet(summary, run, output, plan.pairing)
    summary = write_comparison_report(run, summary, comparison, flow=FLOW)
    publish(run, output, summary, FLOW)
    return summary


def compare_scores(
    run: Run[ScoreArchiveSettings], output: Storage, images: FusedImages
) -> Comparison:
    """Compare the run's methods over the images that it found, whichever run scored them."""
    rows = read_manifest(
        output.url(SCORES_FOLDER),
        latest=False,
        columns=[
            *SCORE_KEY,
            "attempt",
            "metric_version",
            "ended",
            "run_id",
            "status",
            "settings_hash",
            *METRIC_NAMES,
        ],
        filters=[("settings_hash", "in", [run.identity.settings_hash, *run.hashes_before])],
        storage_options=run.credentials,
        retry_seconds=run.settings.storage_timeout,
    )
    methods = list(run.settings.fused)
    return compare(rows_of_images(run, rows, images), methods, run.settings.metric_version)
