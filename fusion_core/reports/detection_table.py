"""Writes the table of what a detector finds, as papers print it: in markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from fusion_core.detection.average_precision import ClassPrecision
from fusion_core.detection.comparison import DetectionComparison
from fusion_core.reports.comparison_table import latex_text, markdown_text
from fusion_core.reports.published_detections import PublishedDetection

DIGITS = 3
"""Decimals of a printed AP. What is printed alike is equally good."""

MEASURES = {"ap50": "AP50", "ap": "AP50:95"}


def markdown_detections(
    comparison: DetectionComparison, published: Sequence[PublishedDetection] = ()
) -> str:
    """Return the table in markdown, with its caption and notes.

    Args:
        comparison: The methods compared.
        published: Rows to show below them, marked as published.
    """
    heads = [markdown_text(f"{measure} {name}") for measure, name in _heads(comparison)]
    lines = [
        markdown_text(detection_caption(comparison, published)),
        "",
        f"| method | {' | '.join(heads)} |",
        f"| --- |{' ---: |' * len(heads)}",
    ]
    for method, cells in table_rows(comparison, published, lambda text: f"**{text}**"):
        lines.append(f"| {markdown_text(method)} | {' | '.join(cells)} |")
    if notes := _notes(comparison):
        lines += ["", *(f"- {markdown_text(note)}" for note in notes)]
    return "\n".join(lines) + "\n"


def latex_detections(
    comparison: DetectionComparison, published: Sequence[PublishedDetection] = ()
) -> str:
    """Return the table in LaTeX, for the package booktabs.

    Args:
        comparison: The methods compared.
        published: As for ``markdown_detections``.
    """
    count = len(comparison.columns)
    said = " ".join(
        [detection_caption(comparison, published), *(f"{note}." for note in _notes(comparison))]
    )
    groups = " & ".join(
        rf"\multicolumn{{{count}}}{{c}}{{{measure}}}" for measure in MEASURES.values()
    )
    names = " & ".join(latex_text(name) for _, name in _heads(comparison))
    rules = rf"\cmidrule(lr){{2-{1 + count}}}\cmidrule(lr){{{2 + count}-{1 + 2 * count}}}"
    lines = [
        "% \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(said)}}}",
        rf"\begin{{tabular}}{{l{'r' * (2 * count)}}}",
        r"\toprule",
        rf" & {groups} \\",
        rules,
        rf"Method & {names} \\",
        r"\midrule",
    ]
    rows = table_rows(comparison, published, lambda text: rf"\textbf{{{text}}}")
    for place, (method, cells) in enumerate(rows):
        if published and place == len(comparison.methods):
            lines.append(r"\midrule")
        lines.append(rf"{latex_text(method)} & {' & '.join(cells)} \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def csv_detections(comparison: DetectionComparison) -> str:
    """Return the run's own rows as CSV with full precision: method, class, ap50, ap.

    The class ``all`` is the mean over the classes; what is undefined is empty.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["method", "class", "ap50", "ap"])
    for method in comparison.methods:
        for name in comparison.columns:
            found = _of(comparison, method, name)
            writer.writerow([method, name, found.ap50, found.ap])
    return file.getvalue()


def detection_caption(
    comparison: DetectionComparison, published: Sequence[PublishedDetection] = ()
) -> str:
    """Return the caption: what the table is over, and its marks.

    Args:
        comparison: The methods compared.
        published: As for ``markdown_detections``.
    """
    counts = ", ".join(f"{count} {name}" for name, count in comparison.labels.items())
    said = (
        f"Average precision as COCO defines it, over the {comparison.labelled} labelled pairs that "
        f"all compared methods have an image of (labelled boxes: {counts or 'none'}). Higher is "
        "better; best in bold."
    )
    if not published:
        return said
    sources = "; ".join(dict.fromkeys(row.source for row in published))
    return f"{said} Published rows are as printed in {sources}, over other images."


def table_rows(
    comparison: DetectionComparison,
    published: Sequence[PublishedDetection],
    bold: Callable[[str], str],
) -> list[tuple[str, list[str]]]:
    """Return each method with the cells of its row, and published ones behind.

    Args:
        comparison: The methods compared.
        published: The published rows.
        bold: Marks the best of a column.
    """
    keys = [(measure, name) for measure in MEASURES for name in comparison.columns]

    def text(found: ClassPrecision, measure: str) -> str:
        value = getattr(found, measure)
        return "" if value is None else f"{value:.{DIGITS}f}"

    printed = {
        method: [text(_of(comparison, method, name), measure) for measure, name in keys]
        for method in comparison.methods
    }
    best = [max(column, default="") for column in zip(*printed.values(), strict=True)]
    own = [
        (method, [bold(a) if a and a == b else a for a, b in zip(cells, best, strict=True)])
        for method, cells in printed.items()
    ]
    none = ClassPrecision(None, None)
    others = [
        (
            f"{row.method} (published)",
            [text(row.precisions.get(name, none), measure) for measure, name in keys],
        )
        for row in published
    ]
    return own + others


def _heads(comparison: DetectionComparison) -> list[tuple[str, str]]:
    return [(measure, name) for measure in MEASURES.values() for name in comparison.columns]


def _of(comparison: DetectionComparison, method: str, name: str) -> ClassPrecision:
    return comparison.precisions.get(method, {}).get(name, ClassPrecision(None, None))


def _notes(comparison: DetectionComparison) -> list[str]:
    """Return a note on each method's images, where methods don't have equally many."""
    counts = comparison.images
    if len(set(counts.values())) < 2:
        return []
    return [
        f"{method}: {count} images looked at, {min(count, comparison.labelled)} of them compared"
        for method, count in counts.items()
    ]
