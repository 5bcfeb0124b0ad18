"""Gathers what the pages of a run show, and has them written: report and list of nights."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from prefect import get_run_logger

from actors.tasks import run_on_worker
from flows.contact_sheet import chosen_pairs
from flows.past_runs import past_runs
from flows.requests import differences
from flows.run import Run
from flows.summaries.archive import ArchiveSummary
from flows.summaries.detect import DetectSummary
from flows.summaries.evaluation import EvaluationSummary
from flows.summaries.run import RunSummary
from flows.summaries.score import ScoreSummary
from fusion_core import reports
from fusion_core.archive import (
    INDEX_PATH,
    NIGHTS_PATH,
    RUNS_FOLDER,
    Plan,
    RunRows,
    choose_pairs,
    footprints,
)
from fusion_core.detection import DetectionComparison
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import Storage, folders

WORST, SAMPLE, FOOTPRINTS, REASONS = 20, 24, 500, 30
"""Most pairs by each metric, pairs of all, scenes on the map, and reasons that a report shows."""

_READERS = 16

SomeSummary = TypeVar("SomeSummary", bound=ArchiveSummary)
Compared = TypeVar("Compared", ScoreSummary, EvaluationSummary)


def write_fused_report(
    run: Run[FuseArchiveSettings], plan: Plan, rows: RunRows, summary: RunSummary
) -> RunSummary:
    """Write a fusing run's report and the list of nights; return the summary with its URL.

    A run whose images are safe doesn't fail for a page: what can't be written is logged.

    Args:
        run: The run.
        plan: What it did.
        rows: Its rows.
        summary: Its summary so far.
    """

    def written(nights: Sequence[reports.Night]) -> str:
        report = _report(run, plan, rows, summary, nights)
        path = f"{run.folder}/report.html"
        if report.pairs:
            try:
                return run_on_worker(reports.write_report, run.output(), path, report)
            except Exception as error:
                get_run_logger().warning("The report has no pictures: %s", error)
                report = replace(report, pairs=(), worst={}, sample=())
        return reports.write_report(run.output(), path, report)

    return _with_pages(run, summary, written)


def write_comparison_report(
    run: Run[Any],
    summary: Compared,
    comparison: reports.Comparison,
    *,
    flow: str,
    published: Sequence[reports.PublishedRow] = (),
    sheet: bool = False,
) -> Compared:
    """Write the page of a comparison and the list of nights; return the summary with its URL.

    Args:
        run: The run.
        summary: Its summary so far.
        comparison: The methods compared.
        flow: Its flow, for the heading.
        published: Published rows, shown below them.
        sheet: Whether it has a contact sheet, for which the cluster is connected.
    """
    report = reports.ComparisonReport(
        title=f"{flow} {run.identity.run_id}",
        run_id=run.identity.run_id,
        sentence=summary.sentence(),
        comparison=comparison,
        published=published,
        failures=summary.failures,
        sheet=f"{run.folder}/contact_sheet.png" if sheet else None,
    )
    path = f"{run.folder}/report.html"
    write: Callable[..., str] = reports.write_comparison
    if sheet:
        write = partial(run_on_worker, write)
    return _with_pages(run, summary, lambda _: write(run.output(), path, report))


def write_detection_report(
    run: Run[Any],
    summary: DetectSummary,
    comparison: DetectionComparison,
    published: Sequence[reports.PublishedDetection],
    *,
    flow: str,
) -> DetectSummary:
    """Write the page of a detecting run and the list of nights; return the summary with its URL.

    Args:
        run: The run.
        summary: Its summary so far; where it has a sheet, the cluster is connected.
        comparison: The methods compared.
        published: Published rows, shown below them.
        flow: Its flow, for the heading.
    """
    report = reports.DetectionReport(
        title=f"{flow} {run.identity.run_id}",
        run_id=run.identity.run_id,
        sentence=summary.sentence(),
        comparison=comparison if summary.table else None,
        published=published,
        failures=summary.failures,
        sheet=f"{run.folder}/contact_sheet.png" if summary.contact_sheet else None,
    )
    path = f"{run.folder}/report.html"
    write: Callable[..., str] = reports.write_detection_page
    if report.sheet:
        write = partial(run_on_worker, write)
    return _with_pages(run, summary, lambda _: write(run.output(), path, report))


def _with_pages(
    run: Run[Any], summary: SomeSummary, write: Callable[[Sequence[reports.Night]], str]
) -> SomeSummary:
    """Have a run's report and the list of nights written, where the settings ask for them."""
    if not run.settings.report:
        return summary
    logger, output, began = get_run_logger(), run.output(), time.monotonic()
    try:
        ids = [name for name in folders(output, RUNS_FOLDER) if not name.startswith(".")]
        nights = nights_before(output, ids, before=run.identity.run_id)
        summary = summary.model_copy(update={"report": write(nights)})
        _list_nights(output, [*nights, _night_of(summary)], [*ids, run.identity.run_id])
    except Exception as error:
        logger.warning("The report could not be written: %s", error)
    logger.info("report.html and index.html took %.1f s", time.monotonic() - began)
    return summary


def nights_before(
    output: Storage, run_ids: Sequence[str], *, before: str | None = None
) -> list[reports.Night]:
    """Return the newest runs of an output, the newest first.

    What was kept of them is read as one object, and only what is missing there from summaries.

    Args:
        output: The output.
        run_ids: The runs whose folders are there.
        before: Only runs whose id sorts before this one.

    Raises:
        StorageError: The store failed.
    """
    try:
        kept = reports.read_kept(output.read(NIGHTS_PATH))
    except FileNotFoundError:
        kept = []
    known = {night.run_id for night in kept}
    wanted = sorted(run_ids, reverse=True)[: reports.MOST_NIGHTS]
    missing = [one for one in wanted if one not in known and (before is None or one < before)]
    with ThreadPoolExecutor(_READERS, "nights") as readers:
        found = [*readers.map(partial(_read_night, output), missing)]
    nights = reports.newest([*kept, *found])
    return [night for night in nights if before is None or night.run_id < before]


def _read_night(output: Storage, run_id: str) -> reports.Night:
    try:
        summary = json.loads(output.read(f"{RUNS_FOLDER}/{run_id}/summary.json"))
    except (FileNotFoundError, ValueError):  # it ended before its summary, or was made by hand
        summary = None
    return reports.Night.of_summary(run_id, summary if isinstance(summary, dict) else None)


def _night_of(summary: ArchiveSummary) -> reports.Night:
    return reports.Night.of_summary(summary.run_id, summary.model_dump(mode="json"))


def _list_nights(output: Storage, nights: Sequence[reports.Night], run_ids: Sequence[str]) -> None:
    """Write the list of nights; only the holder of the output's lease does, at its run's end."""
    page = reports.nights_page(nights, run_ids, f"Nights of {output.url('')}")
    output.write(NIGHTS_PATH, reports.kept_body(nights))
    output.write(INDEX_PATH, page.encode())


def _report(
    run: Run[FuseArchiveSettings],
    plan: Plan,
    rows: RunRows,
    summary: RunSummary,
    nights: Sequence[reports.Night],
) -> reports.RunReport:
    """Gather what a run's page shows."""
    identity = run.identity
    chosen = choose_pairs(
        rows,
        plan.todo,
        worst=WORST,
        sample=SAMPLE,
        model_hash=identity.model_hash,
        settings_hash=identity.settings_hash,
    )
    shown, places = chosen_pairs(run, chosen)
    scenes, marked = footprints(rows, FOOTPRINTS)
    drawn = tuple(found for row in marked if (found := reports.Footprint.of_row(row)))
    return reports.RunReport(
        title=f"Night of {identity.date}",
        summary=summary.model_dump(mode="json"),
        sentence=summary.sentence(),
        before=tuple(nights),
        differences=_differences(run, summary),
        pairs=tuple(shown),
        worst={
            name: tuple(places[one] for one in found if one in places)
            for name, found in chosen.worst.items()
        },
        sample=tuple(places[one] for one in chosen.sample if one in places),
        footprints=drawn,
        scenes=scenes,
        reasons=tuple(rows.reasons(REASONS)),
    )


def _differences(run: Run[Any], summary: RunSummary) -> tuple[str, ...] | None:
    """Return how what was asked differs from the night before; None where that isn't known."""
    asked = summary.model_dump(mode="json").get("request")
    for one in past_runs(run.output(), before=run.identity.run_id):
        if "fused" in one.summary:
            before = one.summary.get("request")
            if not (isinstance(before, dict) and asked):
                return None
            return tuple(differences(before, asked))
    return None
