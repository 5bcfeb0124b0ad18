"""What every run tells at its end: counts, what failed, and what has no counterpart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from fusion_core.archive import Plan
from fusion_core.metrics import METRIC_VERSION

_LISTED = 20


class Summary(BaseModel):
    """The outcome of a run, as returned by the flow and stored as JSON beside its results.

    Attributes:
        run_id: The run.
        output: URL of the output.
        manifest: URL of the folder that holds the run's rows.
        found: Pairs found in the archive.
        done_before: Pairs (images, where those are scored; likewise below) not touched, because a
            successful row stands for the same files and settings.
        known_failed: Pairs not touched, because the same files failed before.
        over_limit: Pairs left for a later run by ``limit``.
        failed: Pairs that failed in this run.
        unfinished: Pairs of the plan that the run had no time for.
        retries: Calls to the stores that had to be made again for its pairs.
        unpaired: Source files without a counterpart.
        ambiguous: Files that claim the same pair and role as another file.
        unmatched: Files that belong to no pair.
        metric_version: Names the metrics' definitions.
        failures: What failed in this run, with stage and reason.
        seconds: Duration of the run.
    """

    model_config = ConfigDict(frozen=True)
    what: ClassVar[str] = "pairs"
    """What the run works on."""

    run_id: str
    output: str
    manifest: str
    found: int
    done_before: int
    known_failed: int
    over_limit: int
    failed: int
    unfinished: int = 0
    retries: int = 0
    unpaired: tuple[str, ...]
    ambiguous: tuple[str, ...]
    unmatched: tuple[str, ...]
    metric_version: str = METRIC_VERSION
    failures: tuple[dict[str, Any], ...]
    seconds: float

    @property
    def succeeded(self) -> int:
        """What this run did without failing."""
        raise NotImplementedError

    @property
    def failed_fraction(self) -> float:
        """What failed over all that this run worked on; 0 where there was nothing."""
        return self.failed / max(self.succeeded + self.failed, 1)

    def sentence(self) -> str:
        """Say in one sentence what was done, and why the rest was not."""
        raise NotImplementedError

    def markdown(self) -> str:
        """Return the summary as people read it."""
        raise NotImplementedError

    def _left_alone(self, same: str) -> list[str]:
        """Say how much was not touched and why; ``same`` names what a done row stands for."""
        parts = []
        if self.done_before:
            parts.append(
                f"{self.done_before} left alone, because the manifest holds a successful row for "
                f"the same {same}"
            )
        if self.known_failed:
            parts.append(
                f"{self.known_failed} left alone, because the same files failed before "
                "(--reprocess failed tries them again)"
            )
        if self.over_limit:
            parts.append(f"{self.over_limit} left for later by the limit")
        if self.unfinished:
            parts.append(f"{self.unfinished} left undone, because the run's deadline had passed")
        if self.retries:
            parts.append(f"{self.retries} calls to the stores had to be made again")
        return parts

    def _source_files(self) -> dict[str, tuple[str, ...]]:
        """Return the source files that make no pair, by title."""
        return {
            "Unpaired files (no counterpart)": self.unpaired,
            "Ambiguous files (same pair and role)": self.ambiguous,
            "Unmatched files (belong to no pair)": self.unmatched,
        }


def failure_lines(title: str, failures: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table of what failed, if anything did."""
    if not failures:
        return []
    lines = ["", f"## {title}", "", "| pair | stage | reason |", "| --- | --- | --- |"]
    lines += [
        f"| {table_cell(_name(row))} | {row['stage']} | {table_cell(row['error_message'])} |"
        for row in failures[:_LISTED]
    ]
    return lines + _more(len(failures))


def listing_lines(listings: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the lines of a list under each title, where there is something to list."""
    lines = []
    for title, names in listings.items():
        if names:
            lines += ["", f"## {title}: {len(names)}", ""]
            lines += [f"- `{name}`" for name in names[:_LISTED]]
            lines += _more(len(names))
    return lines


def plan_counts(plan: Plan) -> dict[str, Any]:
    """Return the fields of a summary that the plan knows."""
    return {
        "found": len(plan.pairing.pairs),
        "done_before": plan.done,
        "known_failed": plan.known_failed,
        "over_limit": plan.over_limit,
        "unpaired": plan.pairing.unpaired,
        "ambiguous": plan.pairing.ambiguous,
        "unmatched": plan.pairing.unmatched,
    }


def too_many_failed(summary: Summary, allowed: float) -> str:
    """Say what failed and why, for the error that ends a run past ``max_failed``."""
    stages = Counter(row["stage"] for row in summary.failures)
    by_stage = ", ".join(f"{count} at {stage}" for stage, count in stages.most_common())
    first = "; ".join(
        f"{_name(row)} ({row['stage']}): {row['error_message']}" for row in summary.failures[:5]
    )
    return (
        f"{summary.failed} of {summary.succeeded + summary.failed} {summary.what} failed "
        f"({summary.failed_fraction:.0%}; max_failed allows {allowed:.0%}): {by_stage}. The first: "
        f"{first}. All are rows of {summary.manifest} with status 'failed'"
    )


def table_cell(text: str) -> str:
    """Return a text as it can stand in a cell of a markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _name(row: Mapping[str, Any]) -> str:
    """Name what failed: a pair, or the image that a method made of it."""
    return f"{row['pair_id']} of {row['method']}" if "method" in row else str(row["pair_id"])


def _more(count: int) -> list[str]:
    return [f"\n… and {count - _LISTED} more"] if count > _LISTED else []
