"""What a run tells at its end: counts, the metric table, and the pairs that need a look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from fusion_core.metrics import METRIC_NAMES, METRIC_VERSION
from fusion_core.plan import Plan

_LISTED = 20


class RunSummary(BaseModel):
    """The outcome of a run, as returned by the flow and stored as JSON beside the images.

    Attributes:
        run_id: The run.
        output: URL of the output.
        manifest: URL of the manifest folder.
        contact_sheet: URL of the contact sheet, if one was drawn.
        found: Pairs found in the archive.
        done_before: Pairs not touched, because a successful row stands for the same files,
            weights and settings.
        known_failed: Pairs not touched, because the same files failed before.
        over_limit: Pairs left for a later run by ``limit``.
        fused: Pairs fused by this run.
        failed: Pairs that failed in this run.
        committed_elsewhere: Pairs of this plan that another run committed first; counted in
            ``fused`` or ``failed`` as they ended there.
        half: Files without a counterpart.
        doubled: Files that claim the same pair and role as another file.
        stray: Files that belong to no pair.
        metrics: By metric, its mean, standard deviation, minimum and maximum over the fused pairs.
        metric_version: Names the metrics' definitions.
        failures: Failed pairs of this run with stage and reason.
        seconds: Duration of the run.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    output: str
    manifest: str
    contact_sheet: str | None
    found: int
    done_before: int
    known_failed: int
    over_limit: int
    fused: int
    failed: int
    committed_elsewhere: int
    half: tuple[str, ...]
    doubled: tuple[str, ...]
    stray: tuple[str, ...]
    metrics: dict[str, dict[str, float | None]]
    metric_version: str = METRIC_VERSION
    failures: tuple[dict[str, Any], ...]
    seconds: float

    @property
    def failed_fraction(self) -> float:
        """Failed pairs over all pairs that this run worked on; 0 where there were none."""
        return self.failed / max(self.fused + self.failed, 1)

    def markdown(self) -> str:
        """Return the summary as people read it."""
        lines = [f"# fuse-archive {self.run_id}", "", self.sentence(), ""]
        lines += [
            f"- images and summary: `{self.output}`",
            f"- manifest: `{self.manifest}`",
        ]
        if self.contact_sheet:
            lines += [f"- contact sheet: `{self.contact_sheet}`"]
        if self.metrics:
            lines += ["", *metric_table(self.metrics, self.fused)]
        if self.failures:
            lines += ["", "## Failed pairs", "", "| pair | stage | reason |", "| --- | --- | --- |"]
            lines += [
                f"| {_cell(row['pair_id'])} | {row['stage']} | {_cell(row['error_message'])} |"
                for row in self.failures[:_LISTED]
            ]
            lines += _more(len(self.failures))
        for title, paths in (
            ("Half pairs (no counterpart)", self.half),
            ("Doubled files (same pair and role)", self.doubled),
            ("Stray files (belong to no pair)", self.stray),
        ):
            if paths:
                lines += ["", f"## {title}: {len(paths)}", ""]
                lines += [f"- `{path}`" for path in paths[:_LISTED]]
                lines += _more(len(paths))
        return "\n".join(lines) + "\n"

    def sentence(self) -> str:
        """Say in one sentence what was done, and why the rest was not."""
        parts = [
            f"{self.found} pairs found: {self.fused} fused and {self.failed} failed in "
            f"{self.seconds:.0f} s"
        ]
        if self.done_before:
            parts.append(
                f"{self.done_before} left alone, because the manifest holds a successful row for "
                "the same files, weights and settings"
            )
        if self.known_failed:
            parts.append(
                f"{self.known_failed} left alone, because the same files failed before "
                "(--reprocess failed tries them again)"
            )
        if self.over_limit:
            parts.append(f"{self.over_limit} left for later by the limit")
        if self.committed_elsewhere:
            parts.append(f"{self.committed_elsewhere} of them committed by another run first")
        return "; ".join(parts) + "."


def metric_table(metrics: Mapping[str, Mapping[str, float | None]], pairs: int) -> list[str]:
    """Return the lines of a markdown table of :func:`metric_statistics`."""
    lines = [
        f"Metrics ({METRIC_VERSION}) over {pairs} fused pairs:",
        "",
        "| | " + " | ".join(name.upper() for name in METRIC_NAMES) + " |",
        "| --- |" + " ---: |" * len(METRIC_NAMES),
    ]
    for statistic in ("mean", "std", "min", "max"):
        values = (metrics[name][statistic] for name in METRIC_NAMES)
        cells = ("" if value is None else f"{value:.4f}" for value in values)
        lines.append(f"| {statistic} | " + " | ".join(cells) + " |")
    return lines


def metric_statistics(ok_rows: pa.Table) -> dict[str, dict[str, float | None]]:
    """Return mean, standard deviation (population), minimum and maximum of every metric."""
    return {
        name: {
            "mean": pc.mean(ok_rows[name]).as_py(),
            "std": pc.stddev(ok_rows[name]).as_py(),
            "min": pc.min(ok_rows[name]).as_py(),
            "max": pc.max(ok_rows[name]).as_py(),
        }
        for name in METRIC_NAMES
    }


def plan_counts(plan: Plan) -> dict[str, Any]:
    """Return the fields of a summary that the plan knows."""
    return {
        "found": len(plan.pairing.pairs),
        "done_before": plan.done,
        "known_failed": plan.known_failed,
        "over_limit": plan.over_limit,
        "half": plan.pairing.half,
        "doubled": plan.pairing.doubled,
        "stray": plan.pairing.stray,
    }


def too_many_failed(summary: RunSummary, allowed: float) -> str:
    """Say which pairs failed and why, for the error that ends a run past ``max_failed``."""
    stages = Counter(row["stage"] for row in summary.failures)
    by_stage = ", ".join(f"{count} at {stage}" for stage, count in stages.most_common())
    first = "; ".join(
        f"{row['pair_id']} ({row['stage']}): {row['error_message']}" for row in summary.failures[:5]
    )
    return (
        f"{summary.failed} of {summary.fused + summary.failed} pairs failed "
        f"({summary.failed_fraction:.0%}; max_failed allows {allowed:.0%}): {by_stage}. The first: "
        f"{first}. All are rows of {summary.manifest} with status 'failed'"
    )


def evenly(rows: Sequence[Any], count: int) -> list[Any]:
    """Return at most ``count`` rows, spread evenly over all of them."""
    if len(rows) <= count:
        return list(rows)
    return [rows[k * len(rows) // count] for k in range(count)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _more(count: int) -> list[str]:
    return [f"\n… and {count - _LISTED} more"] if count > _LISTED else []
