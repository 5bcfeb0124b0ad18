"""Writes the figures on the page on published methods out of their record.

    python tests/benchmarks/method_figures.py

A test compares the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from record import RESULTS

from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports import published_sets

PAGE = Path(__file__).resolve().parents[2] / "fusion_core/models/foreign/README.md"
RECORD = RESULTS / "published_methods.json"
BEGIN = "<!-- from published_methods.json: begin -->\n"
END = "<!-- from published_methods.json: end -->\n"
HEADS = ("VIF", "AG", "SCD", "Qabf", "SF", "EN", "SSIM")


def figures(record: Mapping[str, Any]) -> str:
    """Return the page's table: by method, what was run, its means, and how far off the table."""
    results = record["results"]
    lines = [
        f"| method | what was run | {' | '.join(HEADS)} | off the table |",
        f"| --- | --- |{' ---: |' * len(HEADS)} --- |",
    ]
    for method, printed in table().items():
        lines.append(_row(method, "the table", printed, ""))
        for key, told in (("images", "published images"), ("networks", "network, as ONNX")):
            if method in results[key]:
                means = results[key][method]["means"]
                lines.append(_row("", told, means, difference(means, printed)))
    return "\n".join(lines) + "\n"


def table() -> dict[str, Mapping[str, float]]:
    """Return the printed means by method, RefineFuse's own left out."""
    return {row.method: row.means for row in published_sets()["tno"] if row.method != "RefineFuse"}


def difference(means: Mapping[str, float], printed: Mapping[str, float]) -> str:
    """Return how many cells differ at the four printed decimals, and by how much at most."""
    off = {
        metric: means[metric] / printed[metric] - 1
        for metric in METRIC_NAMES
        if f"{means[metric]:.4f}" != f"{printed[metric]:.4f}"
    }
    if not off:
        return "no cell"
    worst = max(off, key=lambda metric: abs(off[metric]))
    cells = "1 cell" if len(off) == 1 else f"{len(off)} cells"
    return f"{cells}, {HEADS[METRIC_NAMES.index(worst)]} {100 * off[worst]:+.2f} %"


def section(page: str) -> str:
    """Return what stands between the marks of the page."""
    (found,) = re.findall(f"{re.escape(BEGIN)}(.*?){re.escape(END)}", page, re.DOTALL)
    return str(found)


def _row(method: str, told: str, means: Mapping[str, float], off: str) -> str:
    values = " | ".join(f"{means[metric]:.4f}" for metric in METRIC_NAMES)
    return f"| {method} | {told} | {values} | {off} |"


def main() -> None:
    """Write the section."""
    page = PAGE.read_text()
    old, new = (
        f"{BEGIN}{text}{END}" for text in (section(page), figures(json.loads(RECORD.read_text())))
    )
    PAGE.write_text(page.replace(old, new))


if __name__ == "__main__":
    main()
