"""The flow ``fuse-archive``: plan what is new, fuse it on Ray, summarise the run."""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from actors.chunk_actor import start_actor
from actors.cluster import connected
from actors.fusion_actor import FusionActor, FusionJob
from flows.artifacts import publish
from flows.chunks import Worked, count_results, run_chunks, share_of
from flows.contact_sheet import draw_sheet, fused_pairs
from flows.details import (
    files_without_pair,
    first_files,
    misaligned,
    remarks,
    unsuccessful,
    write_details,
)
from flows.estimate import estimate_seconds
from flows.expectations import check_found, fail_if_unmet, with_unmet
from flows.night import ended
from flows.output_lease import output_lease, skip
from flows.parent_watchdog import end_with_worker
from flows.progress import listing_told
from flows.report_page import write_fused_report
from flows.requests import note_settings, request_of
from flows.run import (
    Run,
    fail_past_limit,
    warn_of_late_pairs,
    warn_of_older,
)
from flows.summaries.archive import plan_counts
from flows.summaries.dry_run import DryRun
from flows.summaries.run import RunSummary
from flows.summaries.skipped import SkippedRun
from flows.watching.watch import Watch, watching
from fusion_core import reports, scenes
from fusion_core.archive import (
    MANIFEST_FOLDER,
    Patience,
    Plan,
    Publisher,
    RunRows,
    collect_rows,
    metric_histograms,
    open_index,
    plan_pairs,
    seconds_by_stage,
)
from fusion_core.errors import OutputBusyError
from fusion_core.jobs import find_pairs, sample_pairs
from fusion_core.models import model_hash_of, model_hashes_before
from fusion_core.settings import FuseArchiveSettings, OverrideOf, overridden
from fusion_core.storage import Storage, scratch_folder

FLOW = "fuse-archive"


@flow(name=FLOW, retries=0)
def fuse_archive(
    settings: FuseArchiveSettings,
    override: Annotated[dict[str, Any] | None, OverrideOf(FuseArchiveSettings)] = None,
) -> RunSummary | DryRun | SkippedRun:
    """Fuse the new infrared and visible pairs of an archive, score them, and keep the manifest.

    Pairs that can't be fused become failed rows of the manifest. A run that is stopped loses
    nothing but the chunks in work; the next one goes on from the manifest.

    Args:
        settings: What to fuse, where to, and how.
        override: Some of the settings, which replace those above in this run.

    Returns:
        What became of the run; with ``dry_run`` what would be done; which run was found at work,
        where ``overlap`` says to skip this one.

    Raises:
        RunDeadlineError: The run's deadline came before its end.
        LeaseLostError: Another run has taken the output over.
        TooManyFailuresError: More than the stated fraction of pairs failed.
        ExpectationError: The night isn't as the settings expect it.
        FuseArchiveError: The run as a whole can't go on: settings, model or storage.
    """
    end_with_worker()
    settings = overridden(settings, override)
    with watching(settings, FLOW, quiet=settings.dry_run) as watch:
        return fuse_watched(settings, watch)


def fuse_watched(settings: FuseArchiveSettings, watch: Watch) -> RunSummary | DryRun | SkippedRun:
    """Do what the flow does; see there.

    Args:
        settings: The run's settings.
        watch: Tells those who watch it what happens.
    """
    began = time.monotonic()
    model_hash = model_hash_of(settings.model, settings.model_sha256)
    images = settings.image_settings()
    run = Run.begin(
        settings,
        settings_hash=images.settings_hash(),
        hashes_before=images.hashes_before(),
        model_hash=model_hash,
        models_before=model_hashes_before(settings.model, settings.model_sha256),
        watch=watch,
    )
    if settings.dry_run:
        with scratch_folder() as folder:
            return ended(estimate(run, plan_archive(run, folder)))
    try:
        with scratch_folder() as folder, output_lease(run) as publisher:
            with watch.phase("plan"):
                plan = plan_archive(run, folder, publisher.lease.generation)
            watch.planned(plan)
            note_settings(run, plan, FLOW)
            with connected(settings.ray_address) if len(plan.todo) else nullcontext():
                with watch.phase("fuse"):
                    worked = fuse_chunks(run, plan, publisher)
                with watch.phase("summarise"):
                    summary = summarise(run, plan, worked, began=began)
    except OutputBusyError as busy:
        return ended(skip(run, busy))
    fail_past_limit(summary, settings)
    fail_if_unmet(summary, settings)
    return ended(summary)


@task(name="plan", cache_policy=NO_CACHE)
def plan_archive(
    run: Run[FuseArchiveSettings], folder: Path, generation: int | None = None
) -> Plan:
    """List the archive, pair it, and leave out what the manifest holds already.

    Args:
        run: The run.
        folder: A scratch folder, for as long as the plan is used.
        generation: Of the output's lease; None in a dry run, which holds none and writes nothing.
    """
    logger = get_run_logger()
    settings, identity = run.settings, run.identity
    source, output = run.source(), run.output()
    warn_of_late_pairs(settings)
    pairing = find_pairs(
        settings,
        source,
        output,
        date=identity.date,
        storage_options=run.credentials,
        folder=folder,
        progress=listing_told(logger),
    )
    check_found(run, pairing)
    plan = plan_pairs(
        pairing,
        open_index(output, MANIFEST_FOLDER, folder, generation=generation),
        run.split,
        folder,
        reprocess=settings.reprocess,
        limit=settings.limit,
        patience=Patience(settings.retry_hours),
        only=settings.pairs,
    )
    warn_of_older(plan.older)
    logger.info(
        "%d pairs found in %s: %d to fuse (%.1f MB), %d done before, %d failed before; "
        "%d unpaired, %d ambiguous and %d unmatched files",
        len(pairing.pairs),
        settings.source,
        len(plan.todo),
        plan.todo_bytes / 1e6,
        plan.done,
        plan.known_failed,
        len(pairing.unpaired),
        len(pairing.ambiguous),
        len(pairing.unmatched),
    )
    return plan


@task(name="fuse", cache_policy=NO_CACHE)
def fuse_chunks(run: Run[FuseArchiveSettings], plan: Plan, publisher: Publisher) -> Worked:
    """Fuse the plan's chunks on Ray actors."""
    samples = sample_pairs(plan.todo, run.settings)
    job = FusionJob(run.settings, run.identity, run.watch.detailed, samples)
    make_actor = partial(start_actor, FusionActor, job)
    return run_chunks(run, plan, publisher, make_actor, verb="fuse")


@task(name="summarise", cache_policy=NO_CACHE)
def summarise(
    run: Run[FuseArchiveSettings], plan: Plan, worked: Worked, *, began: float
) -> RunSummary:
    """Read the run's rows back, draw the contact sheet, and write summary and artifacts."""
    output = run.output()
    with scratch_folder() as folder:
        rows = RunRows(collect_rows(output, worked.parts, folder), folder)
        listings = [
            *unsuccessful(rows, "pair_id"),
            remarks(rows),
            misaligned(rows),
            *files_without_pair(plan.pairing),
        ]
        details = write_details(run, output, listings, folder)
        shown = fused_pairs(run, plan.todo, rows, run.settings.contact_sheet)
        summary = RunSummary(
            run_id=run.identity.run_id,
            output=output.url(""),
            manifest=output.url(MANIFEST_FOLDER),
            contact_sheet=draw_sheet(run, reports.write_contact_sheet, shown, FLOW),
            catalog=_write_catalog(run, output),
            fused=worked.ok,
            metrics=rows.metric_statistics(),
            registration=rows.registrations(),
            histograms=metric_histograms(rows),
            stage_seconds=seconds_by_stage(rows),
            left_out=worked.left_out,
            retries=rows.retries(),
            stages=rows.stages(),
            request=request_of(run, FLOW, used=rows.arithmetic()),
            seconds=time.monotonic() - began,
            **count_results(len(plan.todo), [worked], rows.undone()),
            **plan_counts(plan),
            **details.fields,
        )
        summary = with_unmet(summary, run, output, plan.pairing)
        summary = write_fused_report(run, plan, rows, summary)
    publish(run, output, summary, FLOW)
    return summary


def estimate(run: Run[FuseArchiveSettings], plan: Plan) -> DryRun:
    """Return and show what a run would do, how many bytes it would read, and about how long."""
    seconds = None
    if len(plan.todo):
        with connected(run.settings.ray_address):
            share = share_of(run)
            job = FusionJob(run.settings, run.identity)
            seconds = estimate_seconds(job, share, plan, run.credentials)
    dry_run = DryRun(
        to_fuse=len(plan.todo),
        bytes_to_read=plan.todo_bytes,
        estimated_seconds=seconds,
        first=plan.first_ids(20),
        **plan_counts(plan),
        **first_files(plan.pairing),
    )
    create_markdown_artifact(dry_run.markdown(), f"{FLOW}-summary", "Dry run")
    get_run_logger().info(dry_run.sentence())
    return dry_run


def _write_catalog(run: Run[FuseArchiveSettings], output: Storage) -> str | None:
    kind = run.settings.stac
    return scenes.write_scene_catalog(output, kind) if kind in ("catalog", "collection") else None
