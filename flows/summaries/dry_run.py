"""The summary of a dry run: what a run would do, and about how long it would take."""

from __future__ import annotations

from flows.summaries.archive import PlanSummary, older_told


class DryRun(PlanSummary):
    """The outcome of a dry run: what a run would do.

    Attributes:
        to_fuse: Pairs that would be fused.
        bytes_to_read: Size of their files.
        estimated_seconds: About how long the run would take, from timing the first few pairs on
            one worker; None where there is nothing to do.
        first: Ids of the first pairs that would be fused.
    """

    to_fuse: int
    bytes_to_read: int
    estimated_seconds: float | None
    first: tuple[str, ...]

    def sentence(self) -> str:
        """Return how much would be fused, and about how long that would take."""
        said = (
            f"{self.found} pairs found: {self.to_fuse} would be fused, reading "
            f"{self.bytes_to_read / 1e6:.1f} MB"
        )
        if self.estimated_seconds is None:
            return f"{said}."
        return f"{said}, in about {duration(self.estimated_seconds)} on this cluster."

    def markdown(self) -> str:
        """Return the plan as people read it."""
        lines = [
            "# Dry run: nothing was written",
            "",
            f"- {self.found} pairs found",
            f"- {self.to_fuse} would be fused, reading {self.bytes_to_read / 1e6:.1f} MB",
            f"- {self.done_before} have a successful row for the same files, model and settings",
            *([f"- {older_told(self.older)}"] if self.older else []),
            f"- {self.known_failed} are left alone, because the same files failed before",
            f"- {self.waiting} are left for later, because they were tried in vain a while ago",
            f"- {self.archived} are skipped, because a file of theirs is archived",
            f"- {self.over_limit} are left for later by the limit",
            *([f"- {self.unasked} are left alone: others were asked for"] if self.unasked else []),
            f"- {self.count('unpaired')} unpaired, {self.count('ambiguous')} ambiguous, "
            f"{self.count('unmatched')} unmatched files",
        ]
        if self.estimated_seconds is not None:
            lines.append(f"- about {duration(self.estimated_seconds)} on this cluster")
        if self.first:
            lines += ["", "First pairs: " + ", ".join(self.first)]
        return "\n".join(lines) + "\n"


def duration(seconds: float) -> str:
    """Return a time as people say it, to two digits or so."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
