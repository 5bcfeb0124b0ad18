"""The comparison table as papers print it: in markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

from fusion_core.comparison import DIGITS, Comparison
from fusion_core.metrics import METRIC_NAMES

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


def markdown_table(comparison: Comparison) -> str:
    """Return the table in markdown, with its caption and notes."""
    heads = [f"{HEADINGS[metric]} ↑" for metric in METRIC_NAMES]
    lines = [
        caption(comparison),
        "",
        f"| method | {' | '.join(heads)} | mean rank ↓ |",
        f"| --- |{' ---: |' * (len(heads) + 1)}",
    ]
    for method, cells in _cells(comparison, lambda text: f"**{text}**"):
        lines.append(f"| {_markdown(method)} | {' | '.join(cells)} |")
    if notes := _notes(comparison):
        lines += ["", *(f"- {_markdown(method)}: {note}" for method, note in notes)]
    return "\n".join(lines) + "\n"


def latex_table(comparison: Comparison) -> str:
    """Return the table in LaTeX, for the package booktabs."""
    heads = [rf"{_LATEX_HEADINGS[metric]} $\uparrow$" for metric in METRIC_NAMES]
    notes = [f"{method}: {note}." for method, note in _notes(comparison)]
    lines = [
        "% \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(' '.join([caption(comparison), *notes]))}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) + 1)}}}",
        r"\toprule",
        rf"Method & {' & '.join(heads)} & Mean rank $\downarrow$ \\",
        r"\midrule",
    ]
    for method, cells in _cells(comparison, lambda text: rf"\textbf{{{text}}}"):
        lines.append(rf"{_latex(method)} & {' & '.join(cells)} \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def csv_table(comparison: Comparison) -> str:
    """Return the table as CSV with full precision: means, then ranks; empty where undefined."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    rank_names = [f"rank_{metric}" for metric in METRIC_NAMES]
    head = ["method", "images", "pairs", *METRIC_NAMES, *rank_names, "mean_rank", "metric_version"]
    writer.writerow(head)
    ranks = {metric: comparison.ranks(metric) for metric in METRIC_NAMES}
    mean_ranks = comparison.mean_ranks()
    for method in comparison.methods:
        means = (comparison.means[method][metric] for metric in METRIC_NAMES)
        own_ranks = (ranks[metric][method] for metric in METRIC_NAMES)
        counts = (comparison.images[method], comparison.pairs)
        version = comparison.metric_version
        writer.writerow([method, *counts, *means, *own_ranks, mean_ranks[method], version])
    return file.getvalue()


def caption(comparison: Comparison) -> str:
    """Say what the means are over, by which definitions, and what the marks mean."""
    fewer = [
        f"{HEADINGS[metric]} over {count}"
        for metric, count in comparison.counts.items()
        if count != comparison.pairs
    ]
    where = f" (where defined: {', '.join(fewer)})" if fewer else ""
    return (
        f"Means over the {comparison.pairs} pairs that all compared methods have a scored image "
        f"of{where}; metrics {comparison.metric_version}. Higher is better for all seven; ranks in "
        "brackets, best in bold."
    )


def _notes(comparison: Comparison) -> list[tuple[str, str]]:
    """Say of each method that has other images than the ones compared how many it has."""
    return [
        (method, f"{count} images scored, {comparison.pairs if count else 0} of them compared")
        for method, count in comparison.images.items()
        if count != comparison.pairs or not count
    ]


def _cells(comparison: Comparison, bold: Callable[[str], str]) -> list[tuple[str, list[str]]]:
    """Return each method with the cells of its row: a mean and its rank for each metric."""
    ranks = {metric: comparison.ranks(metric) for metric in METRIC_NAMES}
    mean_ranks = comparison.mean_ranks()
    best = min((rank for rank in mean_ranks.values() if rank is not None), default=None)

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
        (method, [*(cell(method, metric) for metric in METRIC_NAMES), last(method)])
        for method in comparison.methods
    ]


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text)


def _latex(text: str) -> str:
    return "".join(_LATEX_CHARACTERS.get(mark, mark) for mark in text)
