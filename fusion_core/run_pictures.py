"""Draws a run's contact sheet from what it wrote."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import fsspec

from fusion_core.contact_sheet import SheetRow, draw_contact_sheet
from fusion_core.images import decode
from fusion_core.metrics import METRIC_NAMES
from fusion_core.picture import Picture, resize
from fusion_core.storage import Storage


def write_contact_sheet(
    output: Storage, path: str, rows: Sequence[Mapping[str, Any]], title: str
) -> str:
    """Draw successful rows of the manifest and write the sheet as PNG.

    Args:
        output: The run's output, whose storage options also open the sources.
        path: Where below it.
        rows: Rows with ``pair_id``, ``ir_url``, ``vi_url``, ``fused_url`` and the metrics.
        title: The sheet's heading.

    Returns:
        URL of the sheet.
    """
    sheet_rows = []
    for row in rows:
        ir, vi, fused = (
            _picture(row[f"{kind}_url"], output.options) for kind in ("ir", "vi", "fused")
        )
        height, width = vi.pixels.shape[:2]
        if ir.pixels.shape[:2] != (height, width):
            ir = resize(ir, height, width)
        metrics = {name: row[name] for name in METRIC_NAMES}
        sheet_rows.append(SheetRow(row["pair_id"], ir.pixels, vi.pixels, fused.pixels, metrics))
    file = io.BytesIO()
    draw_contact_sheet(sheet_rows, title).save(file, format="PNG")
    output.write(path, file.getvalue())
    return output.url(path)


def _picture(url: str, options: Mapping[str, Any]) -> Picture:
    with fsspec.open(url, "rb", **options) as file:
        return decode(file.read())
