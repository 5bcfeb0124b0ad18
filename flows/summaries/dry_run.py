"""What a dry run tells."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from actors.fusion_actor import FusionJob
from actors.resources import WorkerShare
from actors.tasks import time_pairs, time_tile
from fusion_core.archive import Plan, cut_chunks, total_bytes
from fusion_core.scenes import add_pixels
from fusion_core.storage import Storage

_SAMPLE = 5
_LARGE = 1 << 22  # pixels


class DryRun(BaseModel):
    """What a run would do.

    Attributes:
        found: Pairs found in the archive.
        to_fuse: Pairs that would be fused.
        bytes_to_read: Size of their files.
        estimated_seconds: About how long the run would take, from timing the first few pairs on
            one worker; None where there is nothing to do.
        done_before: Pairs with a successful row.
        known_failed: Pairs whose files failed before.
        over_limit: Pairs left for later by ``limit``.
        unpaired: Files without a counterpart.
        ambiguous: Files that claim the same pair and role as another.
        unmatched: Files that belong to no pair.
        first: Ids of the first pairs that would be fused.
    """

    model_config = ConfigDict(frozen=True)

    found: int
    to_fuse: int
    bytes_to_read: int
    estimated_seconds: float | None
    done_before: int
    known_failed: int
    over_limit: int
    unpaired: tuple[str, ...]
    ambiguous: tuple[str, ...]
    unmatched: tuple[str, ...]
    first: tuple[str, ...]

    def markdown(self) -> str:
        """Return the plan as people read it."""
        lines = [
            "# Dry run: nothing was written",
            "",
            f"- {self.found} pairs found",
            f"- {self.to_fuse} would be fused, reading {self.bytes_to_read / 1e6:.1f} MB",
            f"- {self.done_before} have a successful row for the same files, model and settings",
            f"- {self.known_failed} are left alone, because the same files failed before",
            f"- {self.over_limit} are left for later by the limit",
            f"- {len(self.unpaired)} unpaired, {len(self.ambiguous)} ambiguous, "
            f"{len(self.unmatched)} unmatched files",
        ]
        if self.estimated_seconds is not None:
            lines.append(f"- about {_duration(self.estimated_seconds)} on this cluster")
        if self.first:
            lines += ["", "First pairs: " + ", ".join(self.first)]
        return "\n".join(lines) + "\n"


def estimate_seconds(
    job: FusionJob, share: WorkerShare, plan: Plan, storage_options: dict[str, Any]
) -> float:
    """Estimate the seconds that a plan takes, by timing a little of it on one worker.

    Pairs are timed by the first few; of large scenes, which may take an hour each, a tile is.
    """
    todo = add_pixels(Storage(job.settings.source, storage_options), plan.todo)
    large = pc.greater(todo["pixels"], _LARGE)
    scenes, pairs = todo.filter(large), todo.filter(pc.invert(large))
    seconds = 0.0
    if len(pairs):
        sample = next(cut_chunks(pairs, "", _SAMPLE)).pairs
        timed, timed_bytes = time_pairs(job, share, sample, storage_options)
        # Images of a kind cost about the same per byte, and sizes are all that a listing knows.
        seconds += timed * total_bytes(pairs) / max(timed_bytes, 1)
    if len(scenes):
        seconds += time_tile(job, share) * float(pc.sum(scenes["pixels"]).as_py())
    return seconds / share.count


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
