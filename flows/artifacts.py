"""Writes a run's summary beside its results, and shows the run in Prefect."""

from __future__ import annotations

import base64
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from actors.tasks import run_on_worker
from flows.links import browsable
from flows.run import Run
from flows.summaries.archive import ArchiveSummary
from fusion_core import reports
from fusion_core.storage import Storage


def publish(run: Run[Any], output: Storage, summary: ArchiveSummary, flow: str) -> None:
    """Write the summary beside the results, and show it in Prefect as the flow's artifacts.

    Args:
        run: The run.
        output: Its output.
        summary: What became of it.
        flow: Name of its flow.
    """
    output.write(f"{run.folder}/summary.md", summary.markdown().encode())
    output.write(f"{run.folder}/summary.json", summary.model_dump_json(indent=2).encode())
    create_markdown_artifact(summary.markdown(), f"{flow}-summary", summary.sentence())
    if getattr(summary, "contact_sheet", None):
        _show_sheet(run, output, flow)
    _show_unsuccessful(summary, flow)
    _link(run, f"{summary.output.rstrip('/')}/", f"{flow}-output", "Where the results are")
    folder = output.url(f"{run.folder}/")
    _link(run, folder, f"{flow}-run", f"Summary and tables of {summary.run_id}")
    get_run_logger().info(summary.sentence())


def _show_sheet(run: Run[Any], output: Storage, flow: str) -> None:
    """Show the contact sheet within the artifact: a browser need not be let into the store."""
    try:
        jpeg = run_on_worker(reports.preview, output, f"{run.folder}/contact_sheet.png")
    except Exception as error:  # as where it is drawn: no reason for a run to fail
        get_run_logger().warning("The contact sheet could not be shown: %s", error)
        return
    create_image_artifact(
        f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}",
        f"{flow}-sheet",
        f"Pairs of {run.identity.run_id}",
    )


def _show_unsuccessful(summary: ArchiveSummary, flow: str) -> None:
    if summary.failures:
        create_table_artifact(
            [dict(row) for row in summary.failures],
            f"{flow}-failures",
            f"What failed in {summary.run_id}: {_first_of(summary, 'failures')}",
        )
    if summary.undone_pairs:
        create_table_artifact(
            [dict(row) for row in summary.undone_pairs],
            f"{flow}-undone",
            f"What {summary.run_id} left undone, to be tried again: "
            f"{_first_of(summary, 'undone_pairs')}",
        )


def _link(run: Run[Any], url: str, key: str, description: str) -> None:
    create_link_artifact(browsable(url, run.credentials()), url, key, description)


def _first_of(summary: ArchiveSummary, name: str) -> str:
    shown, count = len(getattr(summary, name)), summary.count(name)
    return (
        f"all {count}" if shown == count else f"the first {shown} of {count}, see details.parquet"
    )
