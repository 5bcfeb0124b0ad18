"""The page of a detecting run: the table of average precision, and the sheet with boxes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fusion_core.detection.comparison import DetectionComparison
from fusion_core.reports.detection_table import MEASURES, detection_caption, table_rows
from fusion_core.reports.page.comparison_page import LISTED, reduced_sheet
from fusion_core.reports.page.environment import render
from fusion_core.reports.published_detections import PublishedDetection
from fusion_core.storage.store import Storage

_BEST = "\0"  # marks the best of a column; no number holds it


@dataclass(frozen=True)
class DetectionReport:
    """What the page of a detecting run shows.

    Attributes:
        title: Its heading.
        run_id: The run.
        sentence: What became of it.
        comparison: The methods compared; None without labels.
        published: Published rows, shown below them.
        failures: The first of what failed.
        sheet: Path of the sheet below the output, if one was drawn.
    """

    title: str
    run_id: str
    sentence: str
    comparison: DetectionComparison | None
    published: Sequence[PublishedDetection] = ()
    failures: Sequence[Mapping[str, Any]] = ()
    sheet: str | None = None


def write_detection_page(output: Storage, path: str, report: DetectionReport) -> str:
    """Write the page of a detecting run.

    Args:
        output: Where it goes.
        path: Its path there.
        report: What it shows.

    Returns:
        URL of the page.

    Raises:
        StorageError: A store gives no answer, or the page can't be written.
    """
    sheet = reduced_sheet(output.read(report.sheet)) if report.sheet else None
    output.write(path, detection_page(report, sheet).encode())
    return output.url(path)


def detection_page(report: DetectionReport, sheet: Mapping[str, Any] | None) -> str:
    """Return the page of a detecting run.

    Args:
        report: What it shows.
        sheet: The sheet as ``data``, ``width`` and ``height``, if there is one.
    """
    compared = report.comparison
    return render(
        "detection.html",
        title=report.title,
        run_id=report.run_id,
        sentence=report.sentence,
        caption=detection_caption(compared, report.published) if compared else None,
        measures=list(MEASURES.values()),
        columns=compared.columns if compared else (),
        rows=_rows(compared, report.published) if compared else [],
        failures=list(report.failures)[:LISTED],
        sheet=sheet,
        now=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
    )


def _rows(
    compared: DetectionComparison, published: Sequence[PublishedDetection]
) -> list[dict[str, Any]]:
    rows = table_rows(compared, published, lambda text: f"{_BEST}{text}")
    return [
        {
            "method": method,
            "published": place >= len(compared.methods),
            "cells": [
                {"text": text.removeprefix(_BEST), "best": text.startswith(_BEST)} for text in cells
            ],
        }
        for place, (method, cells) in enumerate(rows)
    ]
