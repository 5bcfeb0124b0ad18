"""The page of a comparison of methods or models: its table in several orders, and its sheet."""

from __future__ import annotations

import base64
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.comparison import DIGITS, Comparison
from fusion_core.reports.comparison_table import HEADINGS, caption
from fusion_core.reports.page.environment import render
from fusion_core.reports.published import PublishedRow
from fusion_core.storage.store import Storage

SHEET_BYTES = 3_000_000
"""Most that the sheet takes in a page."""

_SHEET_WIDTHS = (1600, 1200, 800)
LISTED = 100
"""So many failures stand in a page."""


@dataclass(frozen=True)
class ComparisonReport:
    """What the page of a comparison shows.

    Attributes:
        title: Its heading.
        run_id: The run.
        sentence: What became of it.
        comparison: The methods compared.
        published: Published rows, shown below them.
        failures: The first of what failed.
        sheet: Path of the contact sheet below the output, if one was drawn.
    """

    title: str
    run_id: str
    sentence: str
    comparison: Comparison
    published: Sequence[PublishedRow] = ()
    failures: Sequence[Mapping[str, Any]] = ()
    sheet: str | None = None


def write_comparison(output: Storage, path: str, report: ComparisonReport) -> str:
    """Write the page of a comparison.

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
    output.write(path, comparison_page(report, sheet).encode())
    return output.url(path)


def comparison_page(report: ComparisonReport, sheet: Mapping[str, Any] | None) -> str:
    """Return the page of a comparison.

    Args:
        report: What it shows.
        sheet: The contact sheet as ``data``, ``width`` and ``height``, if there is one.
    """
    return render(
        "comparison.html",
        title=report.title,
        run_id=report.run_id,
        sentence=report.sentence,
        caption=caption(report.comparison, report.published),
        published=bool(report.published),
        orders=_orders(report),
        headings=HEADINGS,
        failures=list(report.failures)[:LISTED],
        sheet=sheet,
        now=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
    )


def _orders(report: ComparisonReport) -> list[dict[str, Any]]:
    """Return the table in the order of the mean rank, and of each metric."""
    compared = report.comparison
    own = [_own_row(compared, method) for method in compared.methods]
    printed = [_published_row(row) for row in report.published]
    ranks = compared.mean_ranks()

    def by_rank(row: Mapping[str, Any]) -> tuple[bool, float]:
        rank = ranks.get(row["key"])
        return (rank is None, rank or 0.0)

    orders = [{"heading": "mean rank", "rows": [*sorted(own, key=by_rank), *printed]}]
    for metric in METRIC_NAMES:

        def falling(row: Mapping[str, Any], metric: str = metric) -> tuple[bool, float]:
            mean = row["means"].get(metric)
            return (mean is None, -(mean or 0.0))

        rows = sorted([*own, *printed], key=falling)
        orders.append({"heading": HEADINGS[metric], "rows": rows})
    return orders


def _own_row(compared: Comparison, method: str) -> dict[str, Any]:
    means, mean_ranks = compared.means[method], compared.mean_ranks()
    best = min((rank for rank in mean_ranks.values() if rank is not None), default=None)
    cells = []
    for metric in METRIC_NAMES:
        mean, rank = means[metric], compared.ranks(metric)[method]
        text = "" if mean is None else f"{mean:.{DIGITS}f}"
        cells.append({"text": text, "rank": rank, "best": rank == 1})
    own = mean_ranks[method]
    last = "" if own is None else f"{own:.2f}"
    cells.append({"text": last, "rank": None, "best": own is not None and own == best})
    return {
        "key": method,
        "method": method,
        "means": means,
        "cells": cells,
        "images": compared.pairs,
        "published": False,
    }


def _published_row(row: PublishedRow) -> dict[str, Any]:
    texts = [*(f"{row.means[metric]:.{DIGITS}f}" for metric in METRIC_NAMES), ""]
    return {
        "key": None,
        "method": f"{row.method} (published)",
        "means": row.means,
        "cells": [{"text": text, "rank": None, "best": False} for text in texts],
        "images": row.images,
        "published": True,
    }


def reduced_sheet(body: bytes) -> dict[str, Any] | None:
    """Return a sheet as it stands in the page; None where even a small one is too large."""
    with Image.open(io.BytesIO(body)) as sheet:
        for width in _SHEET_WIDTHS:
            small = sheet.convert("RGB")
            small.thumbnail((width, 16_000))  # WebP ends at 16,383
            file = io.BytesIO()
            small.save(file, format="WEBP", quality=75)
            data = base64.b64encode(file.getvalue()).decode()
            if len(data) <= SHEET_BYTES:
                return {
                    "data": f"data:image/webp;base64,{data}",
                    "width": small.width,
                    "height": small.height,
                }
    return None
