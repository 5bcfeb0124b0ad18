"""Reads the summaries of the runs that an output has had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fusion_core.archive import RUNS_FOLDER
from fusion_core.storage import Storage, folders


@dataclass(frozen=True)
class PastRun:
    """A run that an output has had.

    Attributes:
        run_id: The run.
        summary: What its summary.json says, by whatever version wrote it.
    """

    run_id: str
    summary: dict[str, Any]

    @property
    def request(self) -> dict[str, Any] | None:
        """What it was asked for, of ``flows.requests``; None where its version noted nothing."""
        request = self.summary.get("request")
        return request if isinstance(request, dict) else None

    @property
    def path(self) -> str:
        """Path of the run's folder below the output."""
        return f"{RUNS_FOLDER}/{self.run_id}"


def past_runs(output: Storage, *, before: str | None = None) -> Iterator[PastRun]:
    """Yield the runs of an output that have a summary, the newest first, each read when asked for.

    Args:
        output: The output.
        before: Only runs whose id sorts before this one; ids begin with the moment of the start.

    Raises:
        StorageError: The store failed.
    """
    for run_id in reversed(folders(output, RUNS_FOLDER)):
        if before is not None and run_id >= before:
            continue
        try:
            summary = json.loads(output.read(f"{RUNS_FOLDER}/{run_id}/summary.json"))
        except (FileNotFoundError, ValueError):
            continue  # it ended before its summary, or somebody wrote it by hand
        if isinstance(summary, dict):
            yield PastRun(run_id, summary)
