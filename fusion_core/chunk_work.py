"""Works a chunk off: from pair references to fused images and one committed part."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.errors import CrashError, PairError
from fusion_core.fuser import Fuser
from fusion_core.keys import fused_path
from fusion_core.manifest import STAGES, commit_part, part_path, read_part
from fusion_core.metrics import METRIC_VERSION
from fusion_core.pair_work import PairInWork, finish_pair, load_pair
from fusion_core.pipeline import run_pipeline
from fusion_core.plan import Chunk
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import Storage


@dataclass(frozen=True)
class RunIdentity:
    """What all rows of a run share."""

    run_id: str
    date: dt.date
    model_hash: str
    settings_hash: str


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk; small enough to travel to the driver.

    Attributes:
        part: Path of the part that holds the chunk's rows.
        ok: Number of pairs fused.
        failed: Number of pairs failed.
        won: False where another run had committed the same chunk first; the numbers are its.
    """

    part: str
    ok: int
    failed: int
    won: bool


class ChunkWorker:
    """Turns chunks into fused images and parts; hosts one network.

    Args:
        source: Where the pairs are.
        output: Where images and parts go.
        fuser: The network.
        settings: The run's settings.
        run: What the rows of the run share.
    """

    def __init__(
        self,
        source: Storage,
        output: Storage,
        fuser: Fuser,
        settings: FuseArchiveSettings,
        run: RunIdentity,
    ):
        self.source = source
        self.output = output
        self.fuser = fuser
        self.settings = settings
        self.run_identity = run
        on_gpu = not fuser.device.startswith("cpu")
        # A batch gains nothing on a CPU and multiplies the memory of the feature maps.
        self.batch_size = settings.batch_size or (8 if on_gpu else 1)
        self.device_name = torch.cuda.get_device_name(fuser.device) if on_gpu else "cpu"

    def run(self, chunk: Chunk) -> ChunkResult:
        """Fuse, score and write a chunk's pairs, then commit their rows.

        Raises:
            StorageError: The part can't be written.
            ManifestError: Another run's part of this chunk can't be read.
        """
        path = part_path(self.run_identity.date, chunk.part_id)
        if self.output.exists(path):
            return self._committed_before(path)
        outcomes = run_pipeline(
            [PairInWork(pair) for pair in chunk.pairs],
            self._load,
            self._fuse,
            self._finish,
            batch_size=self.batch_size,
            threads=self.settings.io_threads,
            memory=self.settings.memory_mb << 20,
        )
        rows = [
            self._failed_row(pair, outcome)
            if isinstance(outcome, Exception)
            else {**self._row(pair), **outcome, "status": "ok"}
            for pair, outcome in outcomes
        ]
        return self._commit(path, sorted(rows, key=lambda row: str(row["pair_id"])))

    def give_up(self, chunk: Chunk, reason: str) -> ChunkResult:
        """Commit failed rows for pairs that end every process that works on them."""
        path = part_path(self.run_identity.date, chunk.part_id)
        error = CrashError(reason)
        rows = [
            self._failed_row(PairInWork(pair, stage=error.stage), error) for pair in chunk.pairs
        ]
        return self._commit(path, rows)

    def _commit(self, path: str, rows: Sequence[dict[str, Any]]) -> ChunkResult:
        """Write the rows as the chunk's part, or report the part of who was first."""
        if not commit_part(self.output, path, rows):
            return self._committed_before(path)
        ok = sum(row["status"] == "ok" for row in rows)
        return ChunkResult(path, ok, len(rows) - ok, won=True)

    def _committed_before(self, path: str) -> ChunkResult:
        status = read_part(self.output, path)["status"].to_pylist()
        ok = status.count("ok")
        return ChunkResult(path, ok, len(status) - ok, won=False)

    def _load(self, pair: PairInWork) -> None:
        load_pair(pair, self.source, self.settings, self.settings.max_megapixels)

    def _fuse(self, batch: Sequence[PairInWork]) -> NDArray[np.float32]:
        sides = zip(*(pair.luminances() for pair in batch), strict=True)
        ir, vi = (torch.from_numpy(np.stack(side))[:, None] for side in sides)
        fused: NDArray[np.float32] = self.fuser(ir, vi)[:, 0].numpy()
        return fused

    def _finish(self, pair: PairInWork, fused: NDArray[np.float32]) -> dict[str, Any]:
        run = self.run_identity
        path = fused_path(pair.ref, run.settings_hash, run.model_hash, self.settings.format)
        return finish_pair(pair, fused, self.output, path, self.settings, self.fuser.device)

    def _failed_row(self, pair: PairInWork, error: Exception) -> dict[str, Any]:
        """Return the row of a failed pair, with stage and reason."""
        stage = error.stage if isinstance(error, PairError) else pair.stage
        return {
            **self._row(pair),
            "status": "failed",
            "stage": stage,
            "error_type": type(error).__name__,
            "error_message": str(error)[:2000],
        }

    def _row(self, pair: PairInWork) -> dict[str, Any]:
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
            "metric_version": METRIC_VERSION,
            "model_hash": run.model_hash,
            "settings_hash": run.settings_hash,
            "software_version": importlib.metadata.version("fuse-archive"),
            **{f"seconds_{stage}": pair.seconds.get(stage) for stage in STAGES},
            "host": platform.node(),
            "device": self.device_name,
            "started": pair.started or now,
            "ended": pair.ended or now,
        }
