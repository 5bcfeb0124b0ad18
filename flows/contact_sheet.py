"""Chooses what the contact sheet of a run shows, and has it drawn on a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from prefect import get_run_logger

from actors.tasks import run_on_worker
from flows.run import Run
from fusion_core import reports
from fusion_core.archive import PAIR_KEY, Chosen, RunRows, Spill, evenly, stored_image
from fusion_core.metrics import METRIC_NAMES
from fusion_core.storage import Storage, StoredFile

_SOURCES = ("ir_path", "vi_path")
Shown = TypeVar("Shown")


def draw_sheet(
    run: Run[Any],
    write: Callable[[Storage, str, Sequence[Shown], str], str],
    shown: Sequence[Shown],
    flow: str,
) -> str | None:
    """Have the run's contact sheet drawn, and return its URL.

    Args:
        run: The run.
        write: What draws and writes it, such as ``write_contact_sheet``.
        shown: What is shown.
        flow: Name of the run's flow, for the heading.

    Returns:
        None where there is nothing to show, or the drawing failed: a run whose images are safe
        doesn't fail for a drawing.
    """
    if not shown:
        return None
    path, title = f"{run.folder}/contact_sheet.png", f"{flow} {run.identity.run_id}"
    try:
        return run_on_worker(write, run.output(), path, shown, title)
    except Exception as error:
        get_run_logger().warning("The contact sheet could not be drawn: %s", error)
        return None


def fused_pairs(
    run: Run[Any], pairs: pa.Table | Spill, rows: RunRows, count: int
) -> list[reports.ShownPair]:
    """Choose fused pairs for the contact sheet, spread evenly over all.

    Args:
        run: The run, of one model and settings; rows of others are left out.
        pairs: The plan's pairs: which files they are made of is told by the listing, not by rows.
        rows: The run's rows.
        count: At most so many pairs.
    """
    identity, source, output = run.identity, run.source(), run.output()
    model_hash, settings_hash = identity.model_hash, identity.settings_hash
    shown = []
    for row in rows.fused(pairs, count, model_hash=model_hash, settings_hash=settings_hash):
        image = stored_image(output, row)
        if image is not None:
            metrics = {name: row[name] for name in METRIC_NAMES}
            shown.append(_shown(source, row, {"fused": image}, metrics))
    return shown


def chosen_pairs(run: Run[Any], chosen: Chosen) -> tuple[list[reports.ShownPair], dict[int, int]]:
    """Return the pairs that a report shows, and where each stands by the place of its row.

    Args:
        run: The run.
        chosen: The rows; those that can't be an image's are left out.
    """
    source, output = run.source(), run.output()
    shown: list[reports.ShownPair] = []
    places = {}
    for place, row in sorted(chosen.rows.items()):
        image = stored_image(output, row)
        if image is not None:
            metrics = {name: row[name] for name in METRIC_NAMES}
            places[place] = len(shown)
            shown.append(_shown(source, row, {"fused": image}, metrics))
    return shown, places


def compared_pairs(
    run: Run[Any], rows: pa.Table, models: Sequence[str], count: int
) -> list[reports.ShownPair]:
    """Choose pairs for the sheet of a comparison, spread evenly over those that all models have.

    Args:
        run: The run.
        rows: One row per model and pair, sorted by pair, of the run's models and settings:
            ``method``, ``status``, ``IMAGE_COLUMNS`` and what ``with_sources`` adds.
        models: Their names, in the order of the sheet.
        count: At most so many pairs.
    """
    source, output = run.source(), run.output()
    ok = rows.filter(ds.field("status") == "ok")
    compared = pc.count_distinct(ok["method"])
    of_pair = ok.group_by("pair_id", use_threads=False).aggregate([("method", "count")])
    common = of_pair.filter(pc.equal(of_pair["method_count"], compared))["pair_id"]
    shown = []
    for pair_id in evenly(common.to_pylist(), count):
        own = {row["method"]: row for row in ok.filter(ds.field("pair_id") == pair_id).to_pylist()}
        images = {name: stored_image(output, own[name]) for name in models if name in own}
        found = {name: image for name, image in images.items() if image is not None}
        if len(found) == len(images):  # every row of a sheet has the same methods
            shown.append(_shown(source, next(iter(own.values())), found))
    return shown


def with_sources(rows: pa.Table, pairs: pa.Table) -> pa.Table:
    """Return the rows of these versions of the pairs, with the paths of their source files.

    Args:
        rows: Rows with ``PAIR_KEY``.
        pairs: Rows of ``PAIRS_SCHEMA``, from the listing of the archive.
    """
    return rows.join(pairs.select([*PAIR_KEY, *_SOURCES]), list(PAIR_KEY), join_type="inner")


def _shown(
    source: Storage,
    row: dict[str, Any],
    fused: dict[str, StoredFile],
    metrics: dict[str, float | None] | None = None,
) -> reports.ShownPair:
    ir, vi = (StoredFile(source, row[name]) for name in _SOURCES)
    return reports.ShownPair(row["pair_id"], ir, vi, fused, metrics or {})
