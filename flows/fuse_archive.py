"""The flow ``fuse-archive``: plan what is new, fuse it on Ray, say what became of it."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from prefect import flow, get_run_logger, task
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext

from actors.cluster import connected
from actors.fusion_actor import Job, start_actor
from actors.pool import ActorPool
from actors.resources import alive_nodes, worker_share
from actors.tasks import draw_contact_sheet
from flows.credentials import StorageCredentials
from flows.dry_run import DryRun, estimate_seconds
from flows.progress import shown
from flows.run_summary import (
    RunSummary,
    evenly,
    metric_statistics,
    plan_counts,
    too_many_failed,
)
from fusion_core.archive import RUNS_FOLDER, list_pairs
from fusion_core.chunk_work import ChunkResult, RunIdentity
from fusion_core.errors import TooManyFailuresError
from fusion_core.manifest import MANIFEST_FOLDER, read_manifest, read_part
from fusion_core.plan import Plan, cut_chunks, make_plan
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import Storage
from fusion_core.weights_file import load_weights

SUMMARY_ARTIFACT = "fuse-archive-summary"
FAILURES_ARTIFACT = "fuse-archive-failures"
OUTPUT_ARTIFACT = "fuse-archive-output"
_ROWS_IN_UI = 1000
_READERS = 16


@dataclass(frozen=True)
class Run:
    """A run's settings, identity and way to the storage."""

    settings: FuseArchiveSettings
    identity: RunIdentity
    credentials: StorageCredentials

    def source(self) -> Storage:
        """Return the archive's storage with fresh credentials."""
        return Storage(self.settings.source, self.credentials())

    def output(self) -> Storage:
        """Return the output's storage with fresh credentials."""
        return Storage(self.settings.output, self.credentials())


@flow(name="fuse-archive", retries=0)
def fuse_archive(settings: FuseArchiveSettings) -> RunSummary | DryRun:
    """Fuse the new infrared and visible pairs of an archive, score them, and keep the manifest.

    Pairs that can't be fused become failed rows of the manifest. A run that is stopped loses
    nothing but the chunks in work; the next one goes on from the manifest.

    Args:
        settings: What to fuse, where to, and how.

    Returns:
        What became of the run; with ``dry_run`` what would be done.

    Raises:
        TooManyFailuresError: More than the stated fraction of pairs failed.
        FuseArchiveError: The run as a whole can't go on: settings, weights or storage.
    """
    began = time.monotonic()
    run = identify(settings)
    plan = plan_archive(run)
    if settings.dry_run:
        return estimate(run, plan)
    results: list[ChunkResult] = []
    with connected(settings.ray_address) if len(plan.todo) else nullcontext():
        results = fuse_chunks(run, plan)
        summary = summarise(run, plan, results, began)
    if summary.failed_fraction > settings.max_failed:
        raise TooManyFailuresError(too_many_failed(summary, settings.max_failed))
    return summary


def identify(settings: FuseArchiveSettings) -> Run:
    """Give the run its id and date, and find the weights' hash.

    Raises:
        WeightsError: The weights can't be used.
    """
    now = dt.datetime.now(dt.UTC)
    context = FlowRunContext.get()
    flow_run = context.flow_run.id if context and context.flow_run else uuid.uuid4()
    _, weights = load_weights(settings.weights, settings.weights_sha256)
    identity = RunIdentity(
        run_id=f"{now:%Y%m%dT%H%M%SZ}-{str(flow_run)[:8]}",
        date=settings.date or now.date(),
        model_hash=weights.sha256,
        settings_hash=settings.image_settings().settings_hash(),
    )
    return Run(settings, identity, StorageCredentials(settings.credentials_block))


@task(name="plan", cache_policy=NO_CACHE)
def plan_archive(run: Run) -> Plan:
    """List the archive, pair it, and leave out what the manifest holds already."""
    logger = get_run_logger()
    settings, identity = run.settings, run.identity
    source, output = run.source(), run.output()
    if not settings.dry_run and not output.check_exclusive(RUNS_FOLDER):
        logger.warning(
            "The store of %s ignores conditional writes (If-None-Match), so two runs at the same "
            "moment could both commit a pair. Run one at a time.",
            settings.output,
        )
    pairing = list_pairs(settings, source, output, identity.date, run.credentials())
    rows = read_manifest(
        output.url(MANIFEST_FOLDER),
        latest=False,
        columns=["pair_id", "ir_version", "vi_version", "status", "stage", "ended"],
        filters=(ds.field("model_hash") == identity.model_hash)
        & (ds.field("settings_hash") == identity.settings_hash),
        storage_options=run.credentials(),
    )
    plan = make_plan(pairing, rows, settings.reprocess, settings.limit)
    logger.info(
        "%d pairs found in %s: %d to fuse (%.1f MB), %d done before, %d failed before; "
        "%d half pairs, %d doubled and %d stray files",
        len(pairing.pairs),
        settings.source,
        len(plan.todo),
        plan.todo_bytes / 1e6,
        plan.done,
        plan.known_failed,
        len(pairing.half),
        len(pairing.doubled),
        len(pairing.stray),
    )
    return plan


@task(name="fuse", cache_policy=NO_CACHE)
def fuse_chunks(run: Run, plan: Plan) -> list[ChunkResult]:
    """Work the plan's chunks off on Ray actors."""
    logger = get_run_logger()
    if not len(plan.todo):
        logger.info("Nothing to fuse.")
        return []
    settings, identity = run.settings, run.identity
    share = worker_share(settings.worker, alive_nodes(), settings.max_workers)
    chunk_count = -(-len(plan.todo) // settings.chunk_pairs)
    size = min(share.count, chunk_count)
    logger.info(
        "%d workers with %g CPUs and %g GPUs each for %d chunks",
        size,
        share.cpus,
        share.gpus,
        chunk_count,
    )
    job = Job(settings, identity)
    pool = ActorPool(lambda: start_actor(job, share), size, run.credentials)
    run_key = f"{identity.model_hash}-{identity.settings_hash}"
    chunks = cut_chunks(plan.todo, run_key, settings.chunk_pairs)
    results = list(shown(pool.run(chunks), len(plan.todo), logger))
    if pool.deaths:
        logger.warning("%d times a worker was lost and its work given to another", pool.deaths)
    return results


@task(name="summarise", cache_policy=NO_CACHE)
def summarise(run: Run, plan: Plan, results: list[ChunkResult], began: float) -> RunSummary:
    """Read the run's rows back, draw the contact sheet, and write summary and artifacts."""
    logger = get_run_logger()
    settings, identity, output = run.settings, run.identity, run.output()
    with ThreadPoolExecutor(_READERS) as readers:
        parts = list(readers.map(lambda result: read_part(output, result.part), results))
    rows = pa.concat_tables(parts) if parts else None
    ok = rows.filter(ds.field("status") == "ok") if rows is not None else None
    folder = f"{RUNS_FOLDER}/{identity.run_id}"
    sheet = None
    if ok is not None and len(ok) and settings.contact_sheet:
        chosen = evenly(ok.to_pylist(), settings.contact_sheet)
        title = f"fuse-archive {identity.run_id}"
        path = f"{folder}/contact_sheet.png"
        try:
            sheet = draw_contact_sheet(output, path, chosen, title)
        except Exception as error:  # the images are safe; a missing drawing must not say otherwise
            logger.warning("The contact sheet could not be drawn: %s", error)
    summary = RunSummary(
        run_id=identity.run_id,
        output=output.url(""),
        manifest=output.url(MANIFEST_FOLDER),
        contact_sheet=sheet,
        fused=sum(result.ok for result in results),
        failed=sum(result.failed for result in results),
        committed_elsewhere=sum(r.ok + r.failed for r in results if not r.won),
        metrics=metric_statistics(ok) if ok is not None and len(ok) else {},
        failures=_failures(rows),
        seconds=time.monotonic() - began,
        **plan_counts(plan),
    )
    output.write(f"{folder}/summary.md", summary.markdown().encode())
    output.write(f"{folder}/summary.json", summary.model_dump_json(indent=2).encode())
    create_markdown_artifact(summary.markdown(), SUMMARY_ARTIFACT, summary.sentence())
    if summary.failures:
        create_table_artifact(
            [dict(row) for row in summary.failures[:_ROWS_IN_UI]],
            FAILURES_ARTIFACT,
            f"Failed pairs of {identity.run_id}",
        )
    create_link_artifact(summary.output, summary.output, OUTPUT_ARTIFACT, "Where the images are")
    logger.info(summary.sentence())
    return summary


def estimate(run: Run, plan: Plan) -> DryRun:
    """Say what a run would do, how many bytes it would read, and about how long it would take."""
    seconds = None
    if len(plan.todo):
        with connected(run.settings.ray_address):
            share = worker_share(run.settings.worker, alive_nodes(), run.settings.max_workers)
            job = Job(run.settings, run.identity)
            seconds = estimate_seconds(job, share, plan, run.credentials())
    dry_run = DryRun(
        to_fuse=len(plan.todo),
        bytes_to_read=plan.todo_bytes,
        estimated_seconds=seconds,
        first=tuple(plan.todo["pair_id"].slice(0, 20).to_pylist()),
        **plan_counts(plan),
    )
    create_markdown_artifact(dry_run.markdown(), SUMMARY_ARTIFACT, "Dry run")
    get_run_logger().info(dry_run.markdown())
    return dry_run


def _failures(rows: pa.Table | None) -> tuple[dict[str, Any], ...]:
    if rows is None:
        return ()
    failed = rows.filter(ds.field("status") == "failed").sort_by("pair_id")
    columns = ["pair_id", "stage", "error_type", "error_message"]
    return tuple(failed.select(columns).to_pylist())
