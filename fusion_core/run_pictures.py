"""Draws a run's sheets from what it wrote.

Pictures of any size are reduced as soon as they are decoded to what the sheets can show.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fsspec
from PIL import Image

from fusion_core.colour import Pixels
from fusion_core.comparison_sheet import ComparisonRow, draw_comparison_sheet
from fusion_core.contact_sheet import SheetRow, draw_contact_sheet
from fusion_core.detail import MAGNIFICATION, TALLEST, THUMBNAIL_WIDTH
from fusion_core.images import decode
from fusion_core.metrics import METRIC_NAMES
from fusion_core.picture import Picture, reduced, resize
from fusion_core.storage import Storage

# A detail as large as a thumbnail takes this much of the whole.
_SHOWN = (MAGNIFICATION * TALLEST, MAGNIFICATION * THUMBNAIL_WIDTH)


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
        ir, vi = _sources(row, output.options)
        fused = _picture(row["fused_url"], output.options).pixels
        metrics = {name: row[name] for name in METRIC_NAMES}
        sheet_rows.append(SheetRow(row["pair_id"], ir, vi, fused, metrics))
    return _write(output, path, draw_contact_sheet(sheet_rows, title))


def write_comparison_sheet(
    output: Storage, path: str, rows: Sequence[Mapping[str, Any]], title: str
) -> str:
    """Draw what several methods made of the same pairs and write the sheet as PNG.

    Args:
        output: The run's output, whose storage options also open the sources.
        path: Where below it.
        rows: One or more, each with ``pair_id``, ``ir_url``, ``vi_url``, and ``fused``: the URL of
            each method's fused image, by the method's name.
        title: The sheet's heading.

    Returns:
        URL of the sheet.
    """

    def loaded() -> Iterator[ComparisonRow]:
        for row in rows:
            ir, vi = _sources(row, output.options)
            fused = {
                name: _picture(url, output.options).pixels for name, url in row["fused"].items()
            }
            yield ComparisonRow(row["pair_id"], ir, vi, fused)

    return _write(output, path, draw_comparison_sheet(loaded(), title))


def _sources(row: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Pixels, Pixels]:
    """Return infrared and visible image of a row in one size."""
    ir, vi = (_picture(row[f"{kind}_url"], options) for kind in ("ir", "vi"))
    height, width = vi.pixels.shape[:2]
    if ir.pixels.shape[:2] != (height, width):
        ir = resize(ir, height, width)
    return ir.pixels, vi.pixels


def _picture(url: str, options: Mapping[str, Any]) -> Picture:
    with fsspec.open(url, "rb", **options) as file:
        return reduced(decode(file.read()), *_SHOWN)


def _write(output: Storage, path: str, sheet: Image.Image) -> str:
    file = io.BytesIO()
    sheet.save(file, format="PNG")
    output.write(path, file.getvalue())
    return output.url(path)
