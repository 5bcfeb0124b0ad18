"""Draws and writes a run's sheets, from its rows and the images that they name.

Pictures of any size are reduced as soon as they are decoded to what the sheets can show.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from fusion_core.images.codecs import decode
from fusion_core.images.colour import Pixels
from fusion_core.images.picture import Picture, reduced, resize
from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.comparison_sheet import ComparisonRow, draw_comparison_sheet
from fusion_core.reports.contact_sheet import SheetRow, draw_contact_sheet
from fusion_core.reports.detail import MAGNIFICATION, TALLEST, THUMBNAIL_WIDTH
from fusion_core.scenes.quicklook import scene_pictures
from fusion_core.storage.store import Storage

# A detail as large as a thumbnail takes this much of the whole.
_SHOWN = (MAGNIFICATION * TALLEST, MAGNIFICATION * THUMBNAIL_WIDTH)


def write_contact_sheet(
    output: Storage, path: str, rows: Sequence[Mapping[str, Any]], title: str
) -> str:
    """Draw successful rows of the manifest and write the sheet as PNG.

    Args:
        output: The run's output, whose options and retries also serve the sources.
        path: Where below it.
        rows: Rows with ``pair_id``, ``ir_url``, ``vi_url``, ``fused_url`` and the metrics.
        title: The sheet's heading.

    Returns:
        URL of the sheet.
    """
    sheet_rows = []
    for row in rows:
        shown = _pictures(row, {"fused": row["fused_url"]}, output)
        metrics = {name: row[name] for name in METRIC_NAMES}
        sheet_rows.append(SheetRow(pair_id=row["pair_id"], **shown, metrics=metrics))
    return _write(output, path, draw_contact_sheet(sheet_rows, title))


def write_comparison_sheet(
    output: Storage, path: str, rows: Sequence[Mapping[str, Any]], title: str
) -> str:
    """Draw what several methods made of the same pairs and write the sheet as PNG.

    Args:
        output: The run's output, whose options and retries also serve the sources.
        path: Where below it.
        rows: One or more, each with ``pair_id``, ``ir_url``, ``vi_url``, and ``fused``: the URL of
            each method's fused image, by the method's name.
        title: The sheet's heading.

    Returns:
        URL of the sheet.
    """

    def loaded() -> Iterator[ComparisonRow]:
        for row in rows:
            shown = _pictures(row, row["fused"], output)
            fused = {name: shown[name] for name in row["fused"]}
            yield ComparisonRow(row["pair_id"], shown["ir"], shown["vi"], fused)

    return _write(output, path, draw_comparison_sheet(loaded(), title))


def _pictures(
    row: Mapping[str, Any], fused: Mapping[str, str], output: Storage
) -> dict[str, Pixels]:
    """Return a row's infrared and visible image, as ir and vi, and fused ones, in one size."""
    urls = {"ir": row["ir_url"], "vi": row["vi_url"], **fused}
    scene = scene_pictures(urls, next(iter(fused.values())), output.options)
    if scene is not None:
        return scene
    ir, vi, *others = (_picture(url, output) for url in urls.values())
    height, width = vi.pixels.shape[:2]
    if ir.pixels.shape[:2] != (height, width):
        ir = resize(ir, height, width)
    return dict(zip(urls, (picture.pixels for picture in (ir, vi, *others)), strict=True))


def _picture(url: str, output: Storage) -> Picture:
    storage = Storage(url, output.options, output.retry_policy.seconds)
    return reduced(decode(storage.read("")), *_SHOWN)


def _write(output: Storage, path: str, sheet: Image.Image) -> str:
    file = io.BytesIO()
    sheet.save(file, format="PNG")
    output.write(path, file.getvalue())
    return output.url(path)
