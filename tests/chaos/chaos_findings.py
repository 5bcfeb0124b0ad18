"""What the chaos suite did and found so far, and the record of it."""

from __future__ import annotations

import collections
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import record
from auditor import Audit
from kinds import KINDS
from manifest_reader import ManifestReader
from rounds import RoundResult

_SETTINGS = ("seed", "pairs", "chunk_pairs", "per_round", "faulty_every")


def memory_kills() -> int:
    """Return how many processes of this machine the kernel has ended for memory."""
    lines = Path("/proc/vmstat").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


class Findings:
    """Grows round by round.

    Args:
        arguments: Of the command line.

    Attributes:
        rounds: Number of rounds begun.
        faults: What was made to go wrong, each with its kind and when.
        violations: What an audit found that must not be.
        broken: Where the suite itself failed.
        store_faults: Faults of the store by kind, beside those.
        complete: Whether all was done that was asked for.
    """

    def __init__(self, arguments: Mapping[str, Any]):
        self._arguments = arguments
        self._began = time.monotonic()
        self._kernel_kills = memory_kills()
        self._counts: collections.Counter[str] = collections.Counter()
        self._endings: collections.Counter[str] = collections.Counter()
        self._failures: list[dict[str, Any]] = []
        self._left_frozen: list[dict[str, Any]] = []
        self.rounds = 0
        self.faults: list[dict[str, Any]] = []
        self.violations: list[str] = []
        self.broken: list[str] = []
        self.store_faults: dict[str, int] = {}
        self.complete = False

    def tell(self, text: str) -> None:
        """Show a line of progress."""
        seconds = time.monotonic() - self._began
        print(f"{seconds:7.1f} s {len(self.faults):5}  {text}", flush=True)

    def of_round(self, number: int) -> list[str]:
        """Return the violations in a round."""
        marks = (f"round {number}:", f"run{number}/")
        return [one for one in self.violations if any(mark in one for mark in marks)]

    def take_in(self, result: RoundResult, *, through_proxy: bool) -> None:
        """Add what was done in a round."""
        self.faults += result.faults
        self.violations += result.violations
        self._endings += result.endings
        self._failures += result.driver_failures
        self._counts["driver_runs"] += result.driver_runs
        self._counts["cleanings"] += result.cleanings
        self._counts["ended_frozen_workers"] += result.ended_frozen
        self._left_frozen += result.left_frozen
        self._counts["rounds_with_a_faulty_store"] += through_proxy

    def take_in_reader(self, reader: ManifestReader) -> None:
        """Add what was seen in the manifest while runs wrote it."""
        self._counts["looks_at_the_manifest"] += reader.looks
        self._counts["looks_without_an_answer"] += reader.away
        self.violations += reader.violations

    def take_in_audit(self, number: int, audit: Audit) -> None:
        """Add what an audit found after a round."""
        for name in ("ok_rows", "failed_rows", "undone_rows", "orphan_images"):
            self._counts[name] += getattr(audit, name)
        self._counts["rounds_audited"] += 1
        found = list(audit.violations)
        if audit.failed_rows:
            found.append(f"{audit.failed_rows} rows say of healthy pairs that they failed for good")
        self.violations += [f"round {number}: {one}" for one in found]
        self.tell(
            f"round {number}: complete, {audit.ok_rows} ok, {audit.undone_rows} undone and "
            f"{audit.failed_rows} failed rows, {len(found)} violations"
        )

    def take_in_cleaned(self, number: int, audit: Audit, removed: Collection[str]) -> None:
        """Add what an audit found once the output of a round was cleaned as well.

        Args:
            number: Of the round.
            audit: What was found.
            removed: Keys of all that was removed in the round.
        """
        self._counts["objects_removed"] += len(removed)
        self.violations += [f"round {number}: cleaned, {one}" for one in audit.violations]

    def results(self) -> dict[str, Any]:
        """Return what the record holds."""
        by_kind = collections.Counter(one["kind"] for one in self.faults)
        names = (
            "driver_runs",
            "cleanings",
            "objects_removed",
            "ok_rows",
            "undone_rows",
            "failed_rows",
            "orphan_images",
        )
        more = ("rounds_audited", "rounds_with_a_faulty_store", "ended_frozen_workers")
        reading = ("looks_at_the_manifest", "looks_without_an_answer")
        return {
            "complete": self.complete,
            "settings": {name: self._arguments[name] for name in _SETTINGS},
            "kills_and_faults": len(self.faults),
            "by_kind": {kind: by_kind[kind] for kind in KINDS},
            "rounds": self.rounds,
            **{name: self._counts[name] for name in (*names, *more, *reading)},
            "left_frozen_workers": self._left_frozen,
            "runs_ended": dict(self._endings),
            "ended_by_the_kernel_for_memory": memory_kills() - self._kernel_kills,
            "store_faults": self.store_faults,
            "violations": self.violations,
            "suite_errors": self.broken,
            "seconds": round(time.monotonic() - self._began, 1),
            "driver_failures": self._failures,
            "each": [" ".join(f"{name}={one[name]}" for name in one) for one in self.faults],
        }

    def write(self) -> Path:
        """Write the record, of as much as there is."""
        command = f"make chaos SEED={self._arguments['seed']} KILLS={self._arguments['kills']}"
        return record.write("chaos", command, self.results())
