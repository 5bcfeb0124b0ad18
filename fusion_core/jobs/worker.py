"""The base of all workers on chunks: one committed part per chunk, whatever became of its pairs."""

from __future__ import annotations

import datetime as dt
import platform
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch

from fusion_core import __version__
from fusion_core.archive.layout import MANIFEST_FOLDER, part_path
from fusion_core.archive.parts import commit_part, read_part_or_tombstone
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.archive.schema import STAGES
from fusion_core.errors import CrashError, LeaseLostError, ManifestError, PairError
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.pipeline import Outcome
from fusion_core.storage.store import Storage

Work = TypeVar("Work", bound=PairState)


@dataclass(frozen=True)
class RunIdentity:
    """The identity of a run, which all its rows share.

    Attributes:
        run_id: Names the run.
        date: The run's date.
        model_hash: sha256 of the model that fuses; None where none of ours is at work.
        settings_hash: Digest of the settings that decide pixels or scores.
    """

    run_id: str
    date: dt.date
    model_hash: str | None
    settings_hash: str


@dataclass(frozen=True)
class ChunkResult:
    """The outcome of a chunk; small enough to travel to the driver.

    Attributes:
        parts: Paths of the parts that hold the chunk's rows: one, or more where it was split.
        ok: Number of pairs fused, or images scored, by this worker or one that was first.
        failed: Number of those that failed.
    """

    parts: tuple[str, ...]
    ok: int
    failed: int


class ChunkWorker(ABC, Generic[Work]):
    """Runs chunks and commits their rows; how pairs become rows is up to the subclass.

    Args:
        source: Where the pairs are.
        output: Where parts go.
        run: The run's identity.
        device: Where to compute, as torch names it.
    """

    folder: ClassVar[str] = MANIFEST_FOLDER
    """Folder of the parts below the output."""

    def __init__(self, source: Storage, output: Storage, run: RunIdentity, device: str):
        self.source = source
        self.output = output
        self.run_identity = run
        self.device = device
        self.on_gpu = not device.startswith("cpu")
        self.device_name = torch.cuda.get_device_name(device) if self.on_gpu else "cpu"

    def run(self, chunk: Chunk) -> ChunkResult:
        """Take a chunk's pairs through their stages, then commit their rows.

        Raises:
            StorageError: The part can't be written.
            UnreachableError: A store gives no answer, which is no pair's fault.
            LeaseLostError: Another run has taken the output over.
            ManifestError: The part that is there already can't be read.
        """
        if known := self._known(chunk):
            return known
        rows = [
            self._failed_row(pair, outcome)
            if isinstance(outcome, Exception)
            else {**self._row(pair), **outcome, "status": "ok"}
            for pair, outcome in self._outcomes([self._begin(ref) for ref in chunk.pairs])
        ]
        return self._commit(chunk, sorted(rows, key=lambda row: (row["pair_id"], row["method"])))

    def give_up(self, chunk: Chunk, reason: str) -> ChunkResult:
        """Commit failed rows for pairs that end every process that works on them.

        Args:
            chunk: The pairs.
            reason: How they end it, for the rows.

        Raises:
            StorageError: The part can't be written.
            LeaseLostError: Another run has taken the output over.
            ManifestError: The part that is there already can't be read.
        """
        if known := self._known(chunk):
            return known
        error = CrashError(reason)
        rows = [self._failed_row(self._begin(ref), error) for ref in chunk.pairs]
        return self._commit(chunk, rows)

    @abstractmethod
    def _begin(self, ref: PairRef) -> Work:
        """Return a pair that no stage has touched."""

    @abstractmethod
    def _outcomes(self, pairs: Sequence[Work]) -> list[Outcome[Work]]:
        """Take the pairs through their stages.

        Returns:
            Each pair with the columns of its ok row, or with the error that stopped it.
        """

    def _row(self, pair: Work) -> dict[str, Any]:
        """Return the columns that ok and failed rows have alike."""
        ref, run = pair.ref, self.run_identity
        now = dt.datetime.now(dt.UTC)  # for a pair that is given up untouched
        return {
            "run_id": run.run_id,
            "pair_id": ref.pair_id,
            "ir_url": self.source.url(ref.ir_path),
            "ir_version": ref.ir_version,
            "ir_bytes": ref.ir_bytes,
            "vi_url": self.source.url(ref.vi_path),
            "vi_version": ref.vi_version,
            "vi_bytes": ref.vi_bytes,
            "model_hash": run.model_hash,
            "settings_hash": run.settings_hash,
            "software_version": __version__,
            **{f"seconds_{stage}": pair.seconds.get(stage) for stage in STAGES},
            "retries": pair.repeated.value,
            "host": platform.node(),
            "device": self.device_name,
            "started": pair.started or now,
            "ended": pair.ended or now,
        }

    def _failed_row(self, pair: Work, error: Exception) -> dict[str, Any]:
        """Return the row of a failed pair, with stage and reason."""
        stage = error.stage if isinstance(error, PairError) else pair.stage
        return {
            **self._row(pair),
            "status": "failed",
            "stage": stage,
            "error_type": type(error).__name__,
            "error_message": str(error)[:2000],
        }

    def _part_path(self, part_id: str) -> str:
        return part_path(self.run_identity.date, part_id, self.folder)

    def _known(self, chunk: Chunk) -> ChunkResult | None:
        """Return what another worker has committed for the chunk, None where it is free.

        A chunk that was split first gets a part without rows, which keeps whoever may still work on
        the whole of it from committing its pairs a second time.
        """
        for part_id in chunk.split_from:
            path = self._part_path(part_id)
            # Only a conditional write says who was first, but a store may lack those.
            free = not self.output.exists(path) and commit_part(self.output, path, [])
            if not free and (rows := self._rows_of(chunk, path)):
                return _counted(path, rows)
        path = self._part_path(chunk.part_id)
        return self._committed_before(chunk) if self.output.exists(path) else None

    def _commit(self, chunk: Chunk, rows: Sequence[dict[str, Any]]) -> ChunkResult:
        """Write the rows as the chunk's part, or report the part of who was first."""
        path = self._part_path(chunk.part_id)
        if not commit_part(self.output, path, rows):
            return self._committed_before(chunk)
        return _counted(path, [row["status"] for row in rows])

    def _committed_before(self, chunk: Chunk) -> ChunkResult:
        path = self._part_path(chunk.part_id)
        if rows := self._rows_of(chunk, path):
            return _counted(path, rows)
        if len(chunk.pairs) == 1:
            raise ManifestError(
                f"{self.output.url(path)} holds no row of {chunk.pairs[0].pair_id}; expected one. "
                "Move the file out of the manifest folder"
            )
        first, second = (self.run(half) for half in chunk.halves())
        return ChunkResult(
            tuple(dict.fromkeys(first.parts + second.parts)),
            first.ok + second.ok,
            first.failed + second.failed,
        )

    def _rows_of(self, chunk: Chunk, path: str) -> list[str]:
        """Return the status of each of the chunk's pairs that a part holds a row of.

        Raises:
            LeaseLostError: The part is another run's tombstone.
        """
        columns = chunk.pairs[0].key_columns
        wanted = {pair.key for pair in chunk.pairs}
        part, closed_by = read_part_or_tombstone(self.output, path, (*columns, "status"))
        if closed_by is not None:
            raise LeaseLostError(
                f"{closed_by} has taken the output over from {self.run_identity.run_id} and closed "
                f"{path}; expected to be the only run at work. What was committed before stands"
            )
        rows = part.to_pylist()
        return [row["status"] for row in rows if tuple(row[name] for name in columns) in wanted]


def _counted(path: str, statuses: Sequence[str]) -> ChunkResult:
    ok = statuses.count("ok")
    return ChunkResult((path,), ok, len(statuses) - ok)
