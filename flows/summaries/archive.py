"""The fields and texts that the summaries of all runs over an archive share."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from flows.summaries.base import Summary
from flows.summaries.listings import failed_name, failure_lines, listing_lines, plain
from fusion_core.archive import Plan
from fusion_core.metrics import METRIC_VERSION


class PlanSummary(Summary):
    """The counts of a plan: what was found in the archive, and what is left alone.

    Attributes:
        found: Pairs found in the archive.
        done_before: Pairs (images, where those are scored; likewise below) not touched, because a
            successful row stands for the same files and settings.
        older: Those of them whose images, or scores, an earlier image version made.
        known_failed: Pairs not touched, because the same files failed for good before.
        waiting: Pairs not touched, because an earlier attempt at them was too short ago.
        archived: Pairs not touched, because a file of theirs is still archived, as a row says.
        over_limit: Pairs left for a later run by ``limit``.
        unasked: Pairs not touched, because only others were asked for.
        unpaired: Source files without a counterpart; the first hundred, likewise below.
        ambiguous: Files that claim the same pair and role as another file.
        unmatched: Files that belong to no pair.
        counts: How long each list is as a whole, by its name; where one isn't named, what stands
            here is the whole of it.
    """

    found: int
    done_before: int
    older: int = 0
    known_failed: int
    waiting: int = 0
    archived: int = 0
    over_limit: int
    unasked: int = 0
    unpaired: tuple[str, ...]
    ambiguous: tuple[str, ...]
    unmatched: tuple[str, ...]
    counts: dict[str, int] = Field(default_factory=dict)

    def count(self, name: str) -> int:
        """Return how long a list is as a whole."""
        return self.counts.get(name, len(getattr(self, name)))


class ArchiveSummary(PlanSummary):
    """The outcome of a run over an archive; stored as summary.json beside its results.

    Attributes:
        run_id: The run.
        output: URL of the output.
        manifest: URL of the folder that holds the run's rows.
        failed: Pairs that failed for good in this run.
        undone: Pairs that were tried without a verdict; later runs try them again.
        skipped: Pairs that were found to be archived.
        unfinished: Pairs of the plan that the run had no time for.
        left_out: Nodes and GPUs that were left out, and why.
        retries: Calls to the stores that had to be made again for its pairs.
        metric_version: Names the metrics' definitions.
        failures: What failed in this run, with stage and reason; the first hundred, likewise
            below.
        undone_pairs: What is undone, with stage, cause and reason.
        stages: How many failed or are undone at each stage, the most first.
        details: URL of the Parquet file that holds all lists as a whole.
        unmet: What the settings expect and isn't so, in sentences.
        request: What the run was asked for, of ``flows.requests``; None in summaries of before.
        report: URL of the run's page, if one was written.
        seconds: Duration of the run.
    """

    what: ClassVar[str] = "pairs"
    """What the run works on."""

    renamed: ClassVar[Mapping[str, str]] = {
        "half": "unpaired",
        "doubled": "ambiguous",
        "stray": "unmatched",
    }
    """Today's names of fields, by those that version 0.1.0 wrote."""

    run_id: str
    output: str
    manifest: str
    failed: int
    undone: int = 0
    skipped: int = 0
    unfinished: int = 0
    left_out: tuple[str, ...] = ()
    retries: int = 0
    metric_version: str = METRIC_VERSION
    failures: tuple[dict[str, Any], ...]
    undone_pairs: tuple[dict[str, Any], ...] = ()
    stages: dict[str, int] = Field(default_factory=dict)
    details: str | None = None
    unmet: tuple[str, ...] = ()
    request: dict[str, Any] | None = None
    report: str | None = None
    seconds: float

    @model_validator(mode="before")
    @classmethod
    def _of_version_0_1_0(cls, values: Any) -> Any:
        """Rename the fields of a summary that version 0.1.0 wrote."""
        # A summary.json stays as long as the images beside it. All of its names are old or none:
        # one of the old names is one of today's for something else.
        if isinstance(values, dict) and "half" in values:
            return {cls.renamed.get(name, name): value for name, value in values.items()}
        return values

    @property
    @abstractmethod
    def succeeded(self) -> int:
        """Number of pairs or images that this run did without failing."""

    @property
    def worked(self) -> int:
        """Number of pairs or images that this run worked on."""
        return self.succeeded + self.failed + self.undone + self.skipped

    @property
    def failed_fraction(self) -> float:
        """Fraction that failed or is undone of what this run worked on; 0 if there was nothing."""
        return (self.failed + self.undone) / max(self.worked, 1)

    def _left_alone(self, same: str) -> list[str]:
        """Return phrases on what was not touched, and why.

        Args:
            same: What a successful row must have been made of to count as done.
        """
        parts = []
        if self.undone:
            parts.append(f"{self.undone} undone, to be tried again")
        if self.done_before:
            parts.append(
                f"{self.done_before} left alone, because the manifest holds a successful row for "
                f"the same {same}"
            )
        if self.older:
            parts.append(older_told(self.older))
        if self.known_failed:
            parts.append(
                f"{self.known_failed} left alone, because the same files failed before "
                "(--reprocess failed tries them again)"
            )
        if self.waiting:
            parts.append(
                f"{self.waiting} left for a later run, because they were tried in vain a short "
                "while ago (--reprocess failed tries them at once)"
            )
        if self.archived or self.skipped:
            parts.append(
                f"{self.archived + self.skipped} skipped, because their files are archived "
                f"({self.skipped} of them new)"
            )
        if self.over_limit:
            parts.append(f"{self.over_limit} left for later by the limit")
        if self.unasked:
            parts.append(f"{self.unasked} left alone, because only others were asked for")
        if self.unfinished:
            parts.append(f"{self.unfinished} not begun, because the run's deadline had passed")
        if files := self._files_without_pair():
            parts.append(f"files in no pair: {files}")
        if self.retries:
            parts.append(f"{self.retries} calls to the stores had to be made again")
        parts += [f"left out: {place}" for place in self.left_out]
        parts += [f"not as expected: {plain(told)}" for told in self.unmet]
        return parts

    def _files_without_pair(self) -> str:
        counts = {name: self.count(name) for name in ("unpaired", "ambiguous", "unmatched")}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count)

    def _details_lines(self) -> list[str]:
        lines = [f"- report: `{self.report}`"] if self.report else []
        return lines + ([f"- all that is listed here: `{self.details}`"] if self.details else [])

    def _unsuccessful_lines(self) -> list[str]:
        """Return the lines of tables of what failed, and of what is undone."""
        return [
            *failure_lines(f"Failed {self.what}", self.failures, self.count("failures")),
            *failure_lines(
                f"Undone {self.what}, to be tried again",
                self.undone_pairs,
                self.count("undone_pairs"),
            ),
        ]

    def _source_file_lines(self) -> list[str]:
        """Return the lines of lists of the source files that make no pair."""
        titles = {
            "unpaired": "Unpaired files (no counterpart)",
            "ambiguous": "Ambiguous files (same pair and role)",
            "unmatched": "Unmatched files (belong to no pair)",
        }
        return [
            line
            for name, title in titles.items()
            for line in listing_lines(title, getattr(self, name), self.count(name))
        ]


def plan_counts(plan: Plan) -> dict[str, Any]:
    """Return the numbers of a ``PlanSummary``."""
    return {
        "found": len(plan.pairing.pairs),
        "done_before": plan.done,
        "older": plan.older,
        "known_failed": plan.known_failed,
        "waiting": plan.waiting,
        "archived": plan.archived,
        "over_limit": plan.over_limit,
        "unasked": plan.unasked,
    }


def older_told(older: int) -> str:
    """Return a phrase on how much rests on an earlier version, and how to renew it."""
    return (
        f"{older} of what was done before is of an earlier image version or of the model's earlier "
        "weights: its pixels may differ (--reprocess older makes it anew)"
    )


def too_many_failed(summary: ArchiveSummary, allowed: float) -> str:
    """Return the message of the error that ends a run past ``max_failed``."""
    found = [*summary.failures, *summary.undone_pairs]
    stages = summary.stages or dict(Counter(str(row["stage"]) for row in found).most_common())
    by_stage = ", ".join(f"{count} at {plain(stage)}" for stage, count in stages.items())
    first = "; ".join(
        plain(f"{failed_name(row)} ({row['stage']}): {row['error_message']}") for row in found[:5]
    )
    undone = f" or are undone ({summary.undone})" if summary.undone else ""
    return (
        f"{sum(stages.values())} of {summary.worked} {summary.what} failed{undone} "
        f"({summary.failed_fraction:.0%}; max_failed allows {allowed:.0%}): {by_stage}. The first: "
        f"{first}. All are rows of {summary.manifest} with status 'failed' or 'undone'"
    )
