"""Writes the comparison table as papers print it: in markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence

from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.comparison import DIGITS, Comparison
from fusion_core.reports.published import PublishedRow

HEADINGS = {
    "vif": "VIF",
    "ag": "AG",
    "scd": "SCD",
    "qabf": "Qabf",
    "sf": "SF",
    "en": "EN",
    "ssim": "SSIM",
}
_LATEX_HEADINGS = HEADINGS | {"qabf": "$Q^{AB/F}$"}
_LATEX_CHARACTERS = {
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}


def markdown_table(comparison: Comparison, published: Sequence[PublishedRow] = ()) -> str:
    """Return the table in markdown, with its caption and notes.

    Args:
        comparison: The methods compared.
        published: Rows to show below them, marked as published and without ranks; with any, a
            column tells how many images each row is over.
    """
    columns = [f"{HEADINGS[metric]} ↑" for metric in METRIC_NAMES]
    if published:
        columns.insert(0, "images")
    lines = [
        caption(comparison, published),
        "",
        f"| method | {' | '.join(columns)} | mean rank ↓ |",
        f"| --- |{' ---: |' * (len(columns) + 1)}",
    ]
    for method, cells in _compared_rows(comparison, published, lambda text: f"**{text}**"):
        lines.append(f"| {markdown_text(method)} | {' | '.join(cells)} |")
    for method, cells in _published_rows(published):
        lines.append(f"| {markdown_text(method)} | {' | '.join(cells)} |")
    if notes := _notes(comparison):
        lines += ["", *(f"- {markdown_text(method)}: {note}" for method, note in notes)]
    return "\n".join(lines) + "\n"


def latex_table(comparison: Comparison, published: Sequence[PublishedRow] = ()) -> str:
    """Return the table in LaTeX, for the package booktabs.

    Args:
        comparison: The methods compared.
        published: As for ``markdown_table``.
    """
    columns = [rf"{_LATEX_HEADINGS[metric]} $\uparrow$" for metric in METRIC_NAMES]
    if published:
        columns.insert(0, "Images")
    notes = [f"{method}: {note}." for method, note in _notes(comparison)]
    lines = [
        "% \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(' '.join([caption(comparison, published), *notes]))}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(columns) + 1)}}}",
        r"\toprule",
        rf"Method & {' & '.join(columns)} & Mean rank $\downarrow$ \\",
        r"\midrule",
    ]
    for method, cells in _compared_rows(comparison, published, lambda text: rf"\textbf{{{text}}}"):
        lines.append(rf"{latex_text(method)} & {' & '.join(cells)} \\")
    if published:
        lines.append(r"\midrule")
    for method, cells in _published_rows(published):
        lines.append(rf"{latex_text(method)} & {' & '.join(cells)} \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def csv_table(comparison: Comparison, published: Sequence[PublishedRow] = ()) -> str:
    """Return the table as CSV with full precision: means, then ranks; empty where undefined.

    Only published rows have a ``source``; no rank, and no metric version of ours.

    Args:
        comparison: The methods compared.
        published: As for ``markdown_table``.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    rank_names = [f"rank_{metric}" for metric in METRIC_NAMES]
    head = ["method", "images", "pairs", *METRIC_NAMES, *rank_names, "mean_rank"]
    writer.writerow([*head, "metric_version", "source"])
    ranks = {metric: comparison.ranks(metric) for metric in METRIC_NAMES}
    mean_ranks = comparison.mean_ranks()
    for method in comparison.methods:
        means = (comparison.means[method][metric] for metric in METRIC_NAMES)
        own_ranks = (ranks[metric][method] for metric in METRIC_NAMES)
        counts = (comparison.images[method], comparison.pairs)
        version = comparison.metric_version
        writer.writerow([method, *counts, *means, *own_ranks, mean_ranks[method], version, None])
    unranked = [None] * (len(rank_names) + 2)
    for row in published:
        means = (row.means[metric] for metric in METRIC_NAMES)
        writer.writerow([row.method, row.images, row.images, *means, *unranked, row.source])
    return file.getvalue()


def caption(comparison: Comparison, published: Sequence[PublishedRow] = ()) -> str:
    """Return the caption: what the means are over, by which definitions, and the marks.

    Args:
        comparison: The methods compared.
        published: As for ``markdown_table``.
    """
    fewer = [
        f"{HEADINGS[metric]} over {count}"
        for metric, count in comparison.counts.items()
        if count != comparison.pairs
    ]
    where = f" (where defined: {', '.join(fewer)})" if fewer else ""
    said = (
        f"Means over the {comparison.pairs} pairs that all compared methods have a scored image "
        f"of{where}; metrics {comparison.metric_version}. Higher is better for all seven; ranks in "
        "brackets, best in bold."
    )
    if not published:
        return said
    counts = " or ".join(str(count) for count in sorted({row.images for row in published}))
    sources = "; ".join(dict.fromkeys(row.source for row in published))
    return (
        f"{said} Published rows are as printed in {sources}: means over {counts} images, not "
        "scored here. They have no rank, since other images alone make other means."
    )


def _notes(comparison: Comparison) -> list[tuple[str, str]]:
    """Return each method whose images aren't those compared, with a note on their number."""
    return [
        (method, f"{count} images scored, {comparison.pairs if count else 0} of them compared")
        for method, count in comparison.images.items()
        if count != comparison.pairs or not count
    ]


def _compared_rows(
    comparison: Comparison, published: Sequence[PublishedRow], bold: Callable[[str], str]
) -> list[tuple[str, list[str]]]:
    """Return each method with the cells of its row: a mean and its rank for each metric."""
    ranks = {metric: comparison.ranks(metric) for metric in METRIC_NAMES}
    mean_ranks = comparison.mean_ranks()
    best = min((rank for rank in mean_ranks.values() if rank is not None), default=None)
    images = [str(comparison.pairs)] if published else []

    def cell(method: str, metric: str) -> str:
        mean, rank = comparison.means[method][metric], ranks[metric][method]
        if mean is None:
            return ""
        text = f"{mean:.{DIGITS}f}"
        return f"{bold(text) if rank == 1 else text} ({rank})"

    def last(method: str) -> str:
        rank = mean_ranks[method]
        if rank is None:
            return ""
        return bold(f"{rank:.2f}") if rank == best else f"{rank:.2f}"

    return [
        (method, [*images, *(cell(method, metric) for metric in METRIC_NAMES), last(method)])
        for method in comparison.methods
    ]


def _published_rows(published: Sequence[PublishedRow]) -> list[tuple[str, list[str]]]:
    """Return each published row's method with its cells; it has no ranks."""
    return [
        (
            f"{row.method} (published)",
            [str(row.images), *(f"{row.means[metric]:.{DIGITS}f}" for metric in METRIC_NAMES), ""],
        )
        for row in published
    ]


def markdown_text(text: str) -> str:
    """Return a text with what markdown gives a meaning escaped."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text)


def latex_text(text: str) -> str:
    """Return a text with what LaTeX gives a meaning escaped."""
    return "".join(_LATEX_CHARACTERS.get(mark, mark) for mark in text)
