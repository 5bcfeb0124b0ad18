"""What became of a chunk, told from its rows: whoever wrote them, and whenever."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from fusion_core.archive.parts import read_part_or_tombstone
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.errors import LeaseLostError
from fusion_core.jobs.told import Attempt, Told
from fusion_core.storage.store import Storage

_COLUMNS = ("status", "cause", "history")


@dataclass(frozen=True)
class Undone:
    """A pair that was tried without a verdict.

    Attributes:
        ref: The pair, numbered for its next attempt.
        cause: What the attempt is blamed on.
    """

    ref: PairRef
    cause: str


@dataclass(frozen=True)
class ChunkResult:
    """The outcome of a chunk; small enough to travel to the driver.

    Attributes:
        parts: Paths of the parts that hold the chunk's rows: one, or more where it was split; none
            where nothing was begun.
        ok: Number of pairs fused, or images scored, by this worker or one that was first.
        failed: Number of those that failed for good.
        skipped: Number of those that are archived.
        undone: Those that were tried without a verdict.
        left: Those that were not begun, or not finished, and have no row.
        alone: Those of them that were in a batch that hung, and should be tried one by one.
        spoiled: Whether a thread of the worker's process hangs, so that it should be ended.
        attempts: What the rows tell in detail, where the run is watched and this worker wrote them.
        told: What the worker tells beside the outcome; None where it tells nothing.
    """

    parts: tuple[str, ...]
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    undone: tuple[Undone, ...] = ()
    left: tuple[PairRef, ...] = ()
    alone: tuple[PairRef, ...] = ()
    spoiled: bool = False
    attempts: tuple[Attempt, ...] = ()
    told: Told | None = field(default=None, compare=False)

    def after(self, *, spoiled: bool, alone: Set[tuple[str, ...]]) -> ChunkResult:
        """Return the outcome with what the worker says of its own state.

        Args:
            spoiled: As in the result.
            alone: Keys of the pairs left that should be tried one by one.
        """
        return dataclasses.replace(
            self,
            left=tuple(ref for ref in self.left if ref.key not in alone),
            alone=self.alone + tuple(ref for ref in self.left if ref.key in alone),
            spoiled=self.spoiled or spoiled,
        )

    def joined(self, other: ChunkResult) -> ChunkResult:
        """Return the outcome of two chunks as that of one."""
        return ChunkResult(
            tuple(dict.fromkeys(self.parts + other.parts)),
            ok=self.ok + other.ok,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
            undone=self.undone + other.undone,
            left=self.left + other.left,
            alone=self.alone + other.alone,
            spoiled=self.spoiled or other.spoiled,
            attempts=self.attempts + other.attempts,
        )


def result_of_rows(chunk: Chunk, path: str, rows: Sequence[Mapping[str, Any]]) -> ChunkResult:
    """Return the outcome of a chunk.

    Args:
        chunk: The chunk.
        path: The part that holds the rows.
        rows: Rows of some or all of its pairs, and of others, with their key, ``status``, ``cause``
            and ``history``.
    """
    of_key = {tuple(row[name] for name in chunk.pairs[0].key_columns): row for row in rows}
    found = [(ref, of_key[ref.key]) for ref in chunk.pairs if ref.key in of_key]
    counts = Counter(row["status"] for _, row in found)
    return ChunkResult(
        (path,),
        ok=counts["ok"],
        failed=counts["failed"],
        skipped=counts["skipped"],
        undone=tuple(
            Undone(tried(ref, row["history"]), row["cause"] or "worker")
            for ref, row in found
            if row["status"] == "undone"
        ),
        left=tuple(ref for ref in chunk.pairs if ref.key not in of_key),
    )


def tried(ref: PairRef, history: str | None) -> PairRef:
    """Return a pair for its next attempt, after one without a verdict.

    Args:
        ref: The pair as it was tried.
        history: What all attempts so far are blamed on.
    """
    return dataclasses.replace(ref, attempt=ref.attempt + 1, tries=ref.tries + 1, history=history)


def committed_rows(
    output: Storage, path: str, key: Sequence[str], *, run_id: str
) -> list[dict[str, Any]]:
    """Return what a part tells of its pairs: key, status, cause and history.

    Args:
        output: The run's output.
        path: The part.
        key: The columns that tell one pair from another.
        run_id: The run that asks.

    Raises:
        LeaseLostError: The part is another run's tombstone.
        ManifestError: It can't be read.
        StorageError: The store failed.
    """
    part, closed_by = read_part_or_tombstone(output, path, (*key, *_COLUMNS))
    if closed_by is not None:
        raise LeaseLostError(
            f"{closed_by} has taken the output over from {run_id} and closed {path}; expected to "
            "be the only run at work. What was committed before stands"
        )
    rows: list[dict[str, Any]] = part.to_pylist()
    return rows
