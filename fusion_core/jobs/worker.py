"""The base of all workers on chunks: one committed part per chunk, whatever became of its pairs."""

from __future__ import annotations

import datetime as dt
import platform
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar

import torch

from fusion_core import __version__
from fusion_core.archive.layout import MANIFEST_FOLDER, part_path
from fusion_core.archive.parts import commit_part
from fusion_core.archive.plan import Chunk, PairRef, ScoreRef
from fusion_core.archive.schema import STAGES
from fusion_core.errors import (
    ArchivedError,
    CrashError,
    ManifestError,
    PairError,
    SameFileError,
)
from fusion_core.jobs.committed import ChunkResult, committed_rows, result_of_rows
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.loading import check_two_files
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.stages import Outcomes
from fusion_core.jobs.told import attempts_of
from fusion_core.jobs.verdict import Cause, judge
from fusion_core.models.memory_budget import give_back_freed
from fusion_core.settings.run import MAX_ATTEMPTS
from fusion_core.storage.store import Storage

Work = TypeVar("Work", bound=PairState)


class ChunkWorker(ABC, Generic[Work]):
    """Runs chunks and commits their rows; how pairs become rows is up to the subclass.

    Args:
        source: Where the pairs are.
        output: Where parts go.
        run: The run's identity.
        device: Where to compute, as torch names it.
        max_attempts: So many attempts without a verdict make a pair failed.
    """

    folder: ClassVar[str] = MANIFEST_FOLDER
    """Folder of the parts below the output."""

    def __init__(
        self,
        source: Storage,
        output: Storage,
        run: RunIdentity,
        device: str,
        *,
        max_attempts: int = MAX_ATTEMPTS,
    ):
        self.source = source
        self.output = output
        self.run_identity = run
        self.device = device
        self.max_attempts = max_attempts
        self.on_gpu = not device.startswith("cpu")
        self.device_name = torch.cuda.get_device_name(device) if self.on_gpu else "cpu"
        self.stopping = threading.Event()
        """Set it, from another thread, to have no further pair begun."""
        self._at_work: tuple[str, Sequence[Work]] = ("", ())
        self.watched = False
        """Whether results tell of each attempt."""

    def run(self, chunk: Chunk) -> ChunkResult:
        """Take a chunk's pairs through their stages, then commit their rows.

        Raises:
            GpuFaultError: The GPU failed; nothing is committed, and this process should end.
            StorageError: The part can't be written.
            UnreachableError: A store gives no answer, which is no pair's fault.
            LeaseLostError: Another run has taken the output over.
            ManifestError: The part that is there already can't be read.
        """
        if known := self._known(chunk):
            return known
        refused = {ref.key: _refusal(ref) for ref in chunk.pairs}
        begun = [self._begin(ref) for ref in chunk.pairs]
        self._at_work = chunk.part_id, begun
        fresh = [pair for pair in begun if not refused[pair.ref.key]]
        done = self._outcomes(fresh, in_tiles=chunk.in_tiles) if fresh else Outcomes[Work]()
        if done.spoiled:  # also where the chunk turns out to be split, and its halves come next
            self.stopping.set()
        rows = [self._row_of(pair, outcome) for pair, outcome in done.of_pairs]
        for pair in begun:
            error = refused[pair.ref.key]
            rows += [self._row_of(pair, error)] if error else []
        rows = sorted(rows, key=lambda row: (row["pair_id"], row["method"]))
        # Told to stop before any was begun, there are none to commit.
        result = self._commit(chunk, rows) if rows else ChunkResult((), left=chunk.pairs)
        give_back_freed()  # kept, it grows from chunk to chunk of many sizes
        return result.after(spoiled=done.spoiled, alone={pair.ref.key for pair in done.alone})

    def progress(self) -> tuple[str, int]:
        """Return the part that is at work, and of how many of its pairs the outcome is known.

        It may be called from another thread.
        """
        part_id, pairs = self._at_work
        return part_id, sum(pair.ended is not None for pair in pairs)

    def give_up(
        self, chunk: Chunk, reason: str, *, cause: Cause = "worker", where: str | None = None
    ) -> ChunkResult:
        """Commit rows of pairs that end every process that works on them.

        Args:
            chunk: The pairs.
            reason: How they end it, for the rows.
            cause: What that is blamed on.
            where: The machine where it happened last. Default: this one.

        Raises:
            StorageError: The part can't be written.
            LeaseLostError: Another run has taken the output over.
            ManifestError: The part that is there already can't be read.
        """
        if known := self._known(chunk):
            return known
        error = CrashError(reason)
        begun = map(self._begin, chunk.pairs)
        rows = [self._unsuccessful(pair, error, cause=cause, where=where) for pair in begun]
        return self._commit(chunk, rows)

    @abstractmethod
    def _begin(self, ref: PairRef) -> Work:
        """Return a pair that no stage has touched."""

    @abstractmethod
    def _outcomes(self, pairs: Sequence[Work], *, in_tiles: bool) -> Outcomes[Work]:
        """Take the pairs through their stages, or as many as there is time for.

        Args:
            pairs: The pairs.
            in_tiles: Whether photographs are to be fused in small tiles.
        """

    def _row_of(self, pair: Work, outcome: Mapping[str, Any] | Exception) -> dict[str, Any]:
        if isinstance(outcome, Exception):
            return self._unsuccessful(pair, outcome)
        history = f"{pair.ref.history}; ok" if pair.ref.history else None
        return {**self._row(pair), **outcome, "status": "ok", "history": history}

    def _row(self, pair: Work) -> dict[str, Any]:
        """Return the columns that all rows have alike."""
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
            **pair.registered.columns,
            "attempt": ref.attempt,
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

    def _unsuccessful(
        self,
        pair: Work,
        error: Exception,
        *,
        cause: Cause | None = None,
        where: str | None = None,
    ) -> dict[str, Any]:
        """Return the row of an attempt that is not ok, with stage, cause and reason."""
        verdict = judge(
            pair.ref,
            error,
            stage=pair.stage,
            where=where or platform.node(),
            max_attempts=self.max_attempts,
            cause=cause,
        )
        return {
            **self._row(pair),
            "status": verdict.status,
            "stage": verdict.stage,
            "cause": verdict.cause,
            "error_type": verdict.error_type,
            "error_message": verdict.message,
            "history": verdict.history,
        }

    def _part_path(self, part_id: str) -> str:
        return part_path(self.run_identity.date, part_id, self.folder)

    def _known(self, chunk: Chunk) -> ChunkResult | None:
        """Return what another worker has committed for the chunk, None where it is free.

        A chunk that was split first gets a part without rows, which keeps whoever may still work on
        the whole of it from committing its pairs a second time. Where the whole one holds rows, the
        fence doesn't know of halves: what it holds no row of is left.
        """
        for part_id in chunk.split_from:
            path = self._part_path(part_id)
            # Only a conditional write says who was first, but a store may lack those.
            free = not self.output.exists(path) and commit_part(self.output, path, [])
            if not free and (part := self._part(path)):
                return result_of_rows(chunk, path, part)
        path = self._part_path(chunk.part_id)
        return self._committed_before(chunk) if self.output.exists(path) else None

    def _commit(self, chunk: Chunk, rows: Sequence[dict[str, Any]]) -> ChunkResult:
        """Write the rows as the chunk's part, or report the part of who was first."""
        path = self._part_path(chunk.part_id)
        if not commit_part(self.output, path, rows):
            return self._committed_before(chunk)
        result = result_of_rows(chunk, path, rows)
        return replace(result, attempts=attempts_of(rows)) if self.watched else result

    def _committed_before(self, chunk: Chunk) -> ChunkResult:
        path = self._part_path(chunk.part_id)
        if part := self._part(path):
            return result_of_rows(chunk, path, part)
        if len(chunk.pairs) == 1:
            raise ManifestError(
                f"{self.output.url(path)} holds no row of {chunk.pairs[0].pair_id}; expected one. "
                "Move the file out of the manifest folder"
            )
        first, second = (self.run(half) for half in chunk.halves())
        return first.joined(second)

    def _part(self, path: str) -> list[dict[str, Any]]:
        """Return what a part tells of its pairs; nothing where it says that its chunk was split."""
        kind = PairRef if self.folder == MANIFEST_FOLDER else ScoreRef
        return committed_rows(self.output, path, kind.key_columns, run_id=self.run_identity.run_id)


def _refusal(ref: PairRef) -> PairError | None:
    """Return why a pair is not begun at all, whatever its files hold; None where it is."""
    if ref.archived:
        return ArchivedError(
            f"{ref.ir_path} or {ref.vi_path} is archived (storage class {ref.archived}); expected "
            "files that can be read at once. Restore it; the first run that finds it restored "
            "works on the pair"
        )
    try:
        check_two_files(ref)
    except SameFileError as error:
        return error
    return None
