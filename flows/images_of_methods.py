"""Plans runs over images that are there already, as scoring and detecting do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import pyarrow as pa
from prefect import get_run_logger

from flows.expectations import check_found
from flows.run import Run, warn_of_older
from fusion_core.archive import (
    SCORE_KEY,
    FusedImages,
    Patience,
    Plan,
    last_attempts,
    make_plan,
    newest_rows,
    open_index,
    standing_rows,
    with_sides,
)
from fusion_core.jobs import FusedSettings, list_fused

Settings = TypeVar("Settings", bound=FusedSettings)


def plan_images(
    run: Run[Settings],
    folder: Path,
    generation: int,
    *,
    table: str,
    verb: str,
    sides: Mapping[str, Literal["ir", "vi"]] | None = None,
) -> tuple[Plan, FusedImages]:
    """List pairs and images, match them, and leave out what was done already.

    Args:
        run: The run.
        folder: A scratch folder.
        generation: Of the output's lease.
        table: The table of its rows.
        verb: What is done to images, for the log.
        sides: Methods that are the pairs' own images, each with its side.
    """
    settings, output = run.settings, run.output()
    pairing, images = list_fused(
        settings, run.source(), output, date=run.identity.date, storage_options=run.credentials
    )
    check_found(run, pairing)
    images = with_sides(images, pairing.pairs, sides or {})
    index = open_index(output, table, folder, generation=generation)
    ids = images.images["pair_id"].unique()
    rows = index.rows_of(ids.sort())
    own, older = run.split(rows)
    plan = make_plan(
        pairing,
        own,
        reprocess=settings.reprocess,
        limit=settings.limit,
        images=images.images,
        numbers=last_attempts(rows),
        patience=Patience(settings.retry_hours),
        older=older,
    )
    warn_of_older(plan.older)
    get_run_logger().info(
        "%d pairs and %d images of them found: %d to %s (%.1f MB), %d done before, %d failed "
        "before",
        len(pairing.pairs),
        len(images.images),
        len(plan.todo),
        verb,
        plan.todo_bytes / 1e6,
        plan.done,
        plan.known_failed,
    )
    return plan, images


def rows_of_images(run: Run[Settings], rows: pa.Table, images: FusedImages) -> pa.Table:
    """Return the newest row of each image that is there, of the run's settings.

    Rows of images that have changed or gone, or of another archive, are left out.

    Args:
        run: The run.
        rows: Rows of any settings: ``SCORE_KEY``, ``settings_hash``, ``attempt``, ``ended``,
            ``run_id``, ``status``, ``metric_version`` and any others.
        images: The images that were found.
    """
    key = list(SCORE_KEY)
    rows = standing_rows(*run.split(rows), key)
    return newest_rows(rows.join(images.images.select(key), key, join_type="left semi"))
