"""Writes the tables of the model cards, and a drawing, out of the record of the weights.

    python tests/benchmarks/weights_figures.py

A test compares them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from record import RESULTS
from tradeoff import drawing

from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports import published_sets

CARDS = Path(__file__).resolve().parents[2] / "fusion_core/models/weights"
RECORD, DRAWING = RESULTS / "weights.json", RESULTS / "weights_tradeoff.svg"
MARKS = "<!-- {} from weights.json: begin -->\n", "<!-- {} from weights.json: end -->\n"
HEADS = ("VIF", "AG", "SCD", "Qabf", "SF", "EN", "SSIM")
SETS = {
    "tno": ("TNO", "tno"),
    "msrs": ("MSRS, for tests", "msrs"),
    "msrs_labelled": ("MSRS, labelled", "msrs"),
    "roadscene_validation": ("RoadScene, validation", None),
    "roadscene_labelled": ("RoadScene, labelled", None),
    "clips": ("frames of clips", None),
    "mri_ct": ("CT and MRI", "mri-ct"),
    "mri_pet": ("PET and MRI", "mri-pet"),
    "mri_spect": ("SPECT and MRI", "mri-spect"),
}
"""What a set is called, and whose published means stand beside it."""

SEEDS = (0, 1, 2)
BESIDE = ("mean", "maximum", "laplacian")
PARTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "MODEL_CARD.md": {
        "means": ("refinefuse", "refinefuse-1", *BESIDE),
        "seeds": ("refinefuse",),
        "detection": ("refinefuse", "refinefuse-1", *BESIDE),
        "brightness": ("refinefuse", "refinefuse-1", *BESIDE),
    },
    "OPEN_CARD.md": {
        "means": ("refinefuse-open", "refinefuse"),
        "seeds": ("refinefuse-open",),
        "detection": ("refinefuse-open", "refinefuse", *BESIDE),
        "brightness": ("refinefuse-open", "refinefuse", *BESIDE),
    },
    "MINI_CARD.md": {"means": ("refinefuse-mini", "refinefuse-1")},
}
"""By card the tables in it, each with its methods."""


def means(record: Mapping[str, Any], methods: Sequence[str]) -> str:
    """Return the seven means by set and method, with what the paper prints for RefineFuse."""
    found = record["results"]["means"]
    lines = _head(("pairs", ""), HEADS)
    for key, (name, published) in SETS.items():
        told = f"{name}, {found[methods[0]][key]['pairs']}"
        for method in methods:
            lines.append(_row((told, method), _seven(found[method][key], digits=3)))
            told = ""
        if published:
            row = next(r for r in published_sets()[published] if r.method == "RefineFuse")
            said = f"published, {row.images} pairs"
            lines.append(_row((told, said), _seven(row.means, digits=3)))
    return "\n".join(lines) + "\n"


def seeds(record: Mapping[str, Any], methods: Sequence[str]) -> str:
    """Return the seven means by set and seed."""
    found = record["results"]["means"]
    lines = _head(("pairs", "seed"), HEADS)
    for key, (name, _) in SETS.items():
        told = name
        for seed in SEEDS:
            values = found[seed_name(methods[0], seed)][key]
            lines.append(_row((told, str(seed)), _seven(values, digits=3)))
            told = ""
    return "\n".join(lines) + "\n"


def seed_name(method: str, seed: int) -> str:
    """Return what the record calls the weights of a seed, before the chosen ones were packaged."""
    return f"{method}-seed-{seed}"


def detection(record: Mapping[str, Any], methods: Sequence[str]) -> str:
    """Return a detector's average precision by set and class, for the sides and methods."""
    found = record["results"]["detection"]
    names = ("infrared", "visible", *methods)
    lines = _head(("AP at IoU 0.5", ""), names)
    for key in ("msrs_labelled", "roadscene_labelled"):
        for part in ("person", "car"):
            values = [f"{found[key][name][f'{part} ap50']:.3f}" for name in names]
            lines.append(_row((SETS[key][0], part), values))
    return "\n".join(lines) + "\n"


def brightness(record: Mapping[str, Any], methods: Sequence[str]) -> str:
    """Return what methods make of bright skies, black, and rims of hot things."""
    found = record["results"]["brightness"]
    asked = (
        ("sky, mean", "sky", "{:.0f}"),
        ("black on both sides, mean", "black", "{:.2f}"),
        ("of it zero", "black_zeros", "{:.0%}"),
        ("rims of hot things, darker by", "rim_darker", "{:.2f}"),
        ("brighter by", "rim_brighter", "{:.2f}"),
    )
    lines = _head(("grey levels",), methods)
    for told, key, form in asked:
        lines.append(_row((told,), [form.format(found[name][key]) for name in methods]))
    return "\n".join(lines) + "\n"


def marked(card: str, part: str) -> str:
    """Return what stands between the marks of a table in a card."""
    begin, end = (re.escape(mark.format(part)) for mark in MARKS)
    (found,) = re.findall(f"{begin}(.*?){end}", card, re.DOTALL)
    return str(found)


def tables(record: Mapping[str, Any], card: str) -> dict[str, str]:
    """Return the tables of a card by their names."""
    writers = {
        "means": means,
        "seeds": seeds,
        "detection": detection,
        "brightness": brightness,
    }
    return {part: writers[part](record, methods) for part, methods in PARTS[card].items()}


def _head(told: Sequence[str], names: Sequence[str]) -> list[str]:
    ruler = "|" + " --- |" * len(told) + " ---: |" * len(names)
    return [_row(told, names), ruler]


def _row(told: Sequence[str], values: Sequence[str]) -> str:
    return "| " + " | ".join((*told, *values)) + " |"


def _seven(values: Mapping[str, float], *, digits: int) -> list[str]:
    return [f"{values[metric]:.{digits}f}" for metric in METRIC_NAMES]


def main() -> None:
    """Write the tables and the drawing."""
    record = json.loads(RECORD.read_text())
    for name in PARTS:
        path = CARDS / name
        card = path.read_text()
        for part, table in tables(record, name).items():
            begin, end = (mark.format(part) for mark in MARKS)
            card = card.replace(f"{begin}{marked(card, part)}{end}", f"{begin}{table}{end}")
        path.write_text(card)
    DRAWING.write_text(drawing(record))


if __name__ == "__main__":
    main()
