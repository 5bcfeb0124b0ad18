"""The flow ``evaluate``: fuse pairs with several models, and compare what they made."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from actors.cluster import connected
from flows.artifacts import publish
from flows.chunks import Worked, count_results
from flows.contact_sheet import compared_pairs, draw_sheet, with_sources
from flows.details import files_without_pair, unsuccessful, write_details
from flows.expectations import check_found, fail_if_unmet, with_unmet
from flows.fuse_archive import fuse_chunks
from flows.night import ended
from flows.output_lease import output_lease, skip
from flows.parent_watchdog import end_with_worker
from flows.report_page import write_comparison_report
from flows.requests import note_settings, request_of
from flows.run import (
    Run,
    fail_past_limit,
    warn_of_older,
    write_tables,
)
from flows.summaries.archive import plan_counts
from flows.summaries.evaluation import EvaluationSummary, ModelOutcome
from flows.summaries.skipped import SkippedRun
from fusion_core.archive import (
    IMAGE_COLUMNS,
    MANIFEST_FOLDER,
    PAIR_KEY,
    RUN_SCHEMA,
    Patience,
    Plan,
    RunRows,
    last_attempts,
    make_plan,
    newest_rows,
    open_index,
    read_manifest,
    read_rows,
    spill,
    standing_rows,
)
from fusion_core.errors import OutputBusyError, SettingsError
from fusion_core.jobs import EvaluateSettings, list_pairs
from fusion_core.metrics import METRIC_NAMES, METRIC_VERSION
from fusion_core.models import read_model
from fusion_core.reports import compare, published_sets, write_comparison_sheet
from fusion_core.settings import FuseArchiveSettings, OverrideOf, overridden
from fusion_core.storage import Storage, scratch_folder

FLOW = "evaluate"

_COMPARED = (
    "attempt",
    "ended",
    "run_id",
    "status",
    "fused_version",
    "metric_version",
    *METRIC_NAMES,
)

Runs = Mapping[str, Run[FuseArchiveSettings]]


@flow(name=FLOW, retries=0)
def evaluate(
    settings: EvaluateSettings,
    override: Annotated[dict[str, Any] | None, OverrideOf(EvaluateSettings)] = None,
) -> EvaluationSummary | SkippedRun:
    """Fuse the same pairs with several models, score what they made, and compare the models.

    Each model does what a run of fuse-archive with it does, into one output and its manifest, so
    an evaluation that is stopped goes on where it was, and one with another model more fuses with
    that one only. The comparison is over the pairs that all models have fused.

    Args:
        settings: Which pairs, which models, where to, and how.
        override: Some of the settings, which replace those above in this run.

    Returns:
        What became of the run, with the comparison table.

    Raises:
        TooManyFailuresError: More than the stated fraction of images failed.
        ExpectationError: The night isn't as the settings expect it.
        FuseArchiveError: The run as a whole can't go on: settings, a model or storage.
    """
    end_with_worker()
    settings = overridden(settings, override)
    began = time.monotonic()
    run = Run.begin(settings, settings_hash="")  # rows have the hashes of their model's run
    runs = runs_of_models(run)
    try:
        with scratch_folder() as folder, output_lease(run) as publisher:
            plans = plan_models(run, runs, folder, publisher.lease.generation)
            for name, plan in plans.items():
                note_settings(runs[name], plan, FLOW)
            todo = any(len(plan.todo) for plan in plans.values())
            some = todo or settings.contact_sheet
            with connected(settings.ray_address) if some else nullcontext():
                worked = {
                    name: fuse_chunks.with_options(task_run_name=f"fuse-{name}")(
                        runs[name], plan, publisher
                    )
                    for name, plan in plans.items()
                }
                summary = summarise(run, runs, plans, worked, began=began)
    except OutputBusyError as busy:
        return ended(skip(run, busy))
    fail_past_limit(summary, settings)
    fail_if_unmet(summary, settings)
    return ended(summary)


# Deployments that version 0.1.0 made name their flow by this entrypoint until they are made anew.
evaluate_refinefuse = evaluate


def runs_of_models(run: Run[EvaluateSettings]) -> Runs:
    """Make one run of fuse-archive for each model of the evaluation.

    Raises:
        SettingsError: Two names stand for the same model.
        WeightsError: A model's file is missing or can't be used.
        StorageError: It can't be reached.
    """
    runs: dict[str, Run[FuseArchiveSettings]] = {}
    names: dict[str, str] = {}
    for name, model in run.settings.models.items():
        model_hash = read_model(model).model_hash
        if model_hash in names:
            raise SettingsError(
                f"{names[model_hash]} and {name} are the same model (sha256 {model_hash}); "
                "expected each model once. Leave one of the two names out"
            )
        names[model_hash] = name
        settings = run.settings.fusing(model)
        images = settings.image_settings()
        identity = dataclasses.replace(
            run.identity, model_hash=model_hash, settings_hash=images.settings_hash()
        )
        before = images.hashes_before()
        runs[name] = Run(settings, identity, run.credentials, run.began, before)
    return runs


@task(name="plan", cache_policy=NO_CACHE)
def plan_models(
    run: Run[EvaluateSettings], runs: Runs, folder: Path, generation: int
) -> dict[str, Plan]:
    """List the archive, pair it, and leave out for each model what the manifest holds already.

    Args:
        run: The run.
        runs: That of each model.
        folder: A scratch folder.
        generation: Of the output's lease.
    """
    logger = get_run_logger()
    settings, output = run.settings, run.output()
    pairing = list_pairs(
        settings,
        run.source(),
        output,
        date=run.identity.date,
        storage_options=run.credentials,
    )
    check_found(run, pairing)
    index = open_index(output, MANIFEST_FOLDER, folder, generation=generation)
    rows = index.rows_of(pairing.pairs["pair_id"].combine_chunks())
    numbers = last_attempts(rows)
    plans = {}
    for name, of_model in runs.items():
        own, older = of_model.split(rows)
        plan = plans[name] = make_plan(
            pairing,
            own,
            reprocess=settings.reprocess,
            limit=settings.limit,
            numbers=numbers,
            patience=Patience(settings.retry_hours),
            older=older,
        )
        logger.info(
            "%s: %d pairs found, %d to fuse, %d done before, %d failed before",
            *(name, len(pairing.pairs), len(plan.todo), plan.done, plan.known_failed),
        )
    warn_of_older(sum(plan.older for plan in plans.values()))
    return plans


@task(name="summarise", cache_policy=NO_CACHE)
def summarise(
    run: Run[EvaluateSettings],
    runs: Runs,
    plans: dict[str, Plan],
    worked: dict[str, Worked],
    *,
    began: float,
) -> EvaluationSummary:
    """Compare the models over the rows of all runs, and write tables, sheet and summary."""
    settings, output = run.settings, run.output()
    found = rows_of_models(run, runs, *PAIR_KEY, *_COMPARED, *IMAGE_COLUMNS)
    rows = pa.concat_tables([standing_rows(*of_model, PAIR_KEY) for of_model in found.values()])
    rows = _named(rows, runs)
    # Rows of pairs that have changed or gone, or of another archive, have no place in the table.
    rows = newest_rows(with_sources(rows, next(iter(plans.values())).pairing.pairs))
    comparison = compare(rows, list(runs), METRIC_VERSION)
    published = published_sets()[settings.published] if settings.published else ()
    table, tables = write_tables(run, output, comparison, published)
    shown = compared_pairs(run, rows, list(runs), settings.contact_sheet)
    with scratch_folder() as folder:
        own = _rows_of_run(output, worked.values(), runs, folder)
        pairing = next(iter(plans.values())).pairing
        listings = [*unsuccessful(own, "pair_id", "method"), *files_without_pair(pairing)]
        details = write_details(run, output, listings, folder)
        summary = EvaluationSummary(
            run_id=run.identity.run_id,
            output=output.url(""),
            manifest=output.url(MANIFEST_FOLDER),
            models={name: _outcome(runs[name], plans[name], worked[name]) for name in worked},
            pairs=comparison.pairs,
            contact_sheet=draw_sheet(run, write_comparison_sheet, shown, FLOW),
            means=comparison.means,
            published=settings.published,
            table=table,
            tables=tables,
            left_out=tuple(dict.fromkeys(told for one in worked.values() for told in one.left_out)),
            retries=own.retries(),
            stages=own.stages(),
            request=request_of(run, FLOW, used=own.arithmetic(), models=runs),
            seconds=time.monotonic() - began,
            **count_results(_todo(plans), list(worked.values()), own.undone()),
            **_counts(list(plans.values())),
            **details.fields,
        )
    summary = with_unmet(summary, run, output, pairing)
    summary = write_comparison_report(
        run,
        summary,
        comparison,
        flow=FLOW,
        published=published,
        sheet=summary.contact_sheet is not None,
    )
    publish(run, output, summary, FLOW)
    return summary


def _rows_of_run(output: Storage, worked: Iterable[Worked], runs: Runs, folder: Path) -> RunRows:
    """Read the rows of the run with all models, whose names here are the rows' methods."""
    parts = (part for of_model in worked for part in of_model.parts)
    named = (_named(rows, runs) for rows in read_rows(output, parts))
    return RunRows(spill(folder, RUN_SCHEMA, named), folder)


def rows_of_models(
    run: Run[EvaluateSettings], runs: Runs, *columns: str
) -> dict[str, tuple[pa.Table, pa.Table]]:
    """Read by model all rows of its run, and those of earlier image versions."""
    rows = read_manifest(
        run.output().url(MANIFEST_FOLDER),
        latest=False,
        columns=list(dict.fromkeys([*columns, "attempt", "method", "model_hash", "settings_hash"])),
        storage_options=run.credentials,
        retry_seconds=run.settings.storage_timeout,
    )
    return {name: own.split(rows) for name, own in runs.items()}


def _named(rows: pa.Table, runs: Runs) -> pa.Table:
    """Name each row's method as this evaluation names its model: several may be one method."""
    hashes = pa.array([own.identity.model_hash for own in runs.values()], pa.string())
    places = pc.index_in(rows["model_hash"], value_set=hashes)
    names = pc.take(pa.array(list(runs), pa.string()), places)
    return rows.set_column(rows.schema.get_field_index("method"), "method", names)


def _todo(plans: Mapping[str, Plan]) -> int:
    return sum(len(plan.todo) for plan in plans.values())


def _outcome(run: Run[FuseArchiveSettings], plan: Plan, worked: Worked) -> ModelOutcome:
    return ModelOutcome(
        model=run.settings.model,
        model_hash=str(run.identity.model_hash),
        fused=worked.ok,
        failed=worked.failed,
        done_before=plan.done,
        known_failed=plan.known_failed,
    )


def _counts(plans: Sequence[Plan]) -> dict[str, Any]:
    """Return a summary's counts: pairs are the same for all models, the rest is summed up."""
    sums = ("done_before", "older", "known_failed", "waiting", "archived", "over_limit")
    of_plans = [plan_counts(plan) for plan in plans]
    return of_plans[0] | {name: sum(counts[name] for counts in of_plans) for name in sums}
