"""Draws the contact sheet of a run that is done, on a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prefect import get_run_logger

from actors.tasks import run_on_worker
from flows.run import Run
from fusion_core.storage import Storage, source_options

Rows = Sequence[Mapping[str, Any]]


def draw_sheet(
    run: Run[Any], write: Callable[[Storage, str, Rows, str], str], rows: Rows, flow: str
) -> str | None:
    """Have the run's contact sheet drawn, and return its URL.

    Args:
        run: The run.
        write: What draws and writes it: ``write_contact_sheet`` or ``write_comparison_sheet``.
        rows: What is shown.
        flow: Name of the run's flow, for the heading.

    Returns:
        None where there is nothing to show, or the drawing failed: a run whose images are safe
        doesn't fail for a drawing.
    """
    if not rows:
        return None
    path, title = f"{run.folder}/contact_sheet.png", f"{flow} {run.identity.run_id}"
    try:
        # The pictures' sources are read with the output's options.
        options = source_options(run.settings, run.credentials)
        output = Storage(run.settings.output, options, run.settings.storage_timeout)
        return run_on_worker(write, output, path, rows, title)
    except Exception as error:
        get_run_logger().warning("The contact sheet could not be drawn: %s", error)
        return None


def evenly(rows: Sequence[Any], count: int) -> list[Any]:
    """Return at most ``count`` rows, spread evenly over all of them."""
    if len(rows) <= count:
        return list(rows)
    return [rows[k * len(rows) // count] for k in range(count)]
