"""Works a chunk of fused images off: scores each against its pair, and commits the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fusion_core.archive.layout import SCORES_FOLDER
from fusion_core.archive.plan import PairRef, ScoreRef
from fusion_core.errors import SizeMismatchError
from fusion_core.images.picture import Picture
from fusion_core.jobs.pair import PairState, decode_listed, load_pair, read_listed
from fusion_core.jobs.pipeline import Outcome, run_pipeline
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.jobs.worker import ChunkWorker, RunIdentity
from fusion_core.metrics.columns import score_columns
from fusion_core.storage.store import Storage


@dataclass
class ScoringState(PairState):
    """A pair on its way through the stages, with one fused image of it.

    Attributes:
        fused: The fused image; set by ``load_scored``, dropped by ``end``.
        fused_sha256: sha256 of the fused file's bytes, in hex.
    """

    ref: ScoreRef
    fused: Picture | None = None
    fused_sha256: str | None = None

    def end(self) -> None:
        """Note the time and let go of the pixels."""
        super().end()
        self.fused = None


class ScoringWorker(ChunkWorker[ScoringState]):
    """Turns chunks of fused images into parts.

    Args:
        source: Where the pairs are.
        output: Where parts go.
        fused: Where the fused images are, by method.
        settings: The run's settings.
        run: What the rows of the run share.
        device: Where to compute the metrics.
    """

    folder = SCORES_FOLDER

    def __init__(
        self,
        source: Storage,
        output: Storage,
        fused: Mapping[str, Storage],
        settings: ScoreArchiveSettings,
        run: RunIdentity,
        device: str = "cpu",
    ):
        super().__init__(source, output, run, device)
        self.fused = fused
        self.settings = settings

    def _begin(self, ref: PairRef) -> ScoringState:
        assert isinstance(ref, ScoreRef)
        return ScoringState(ref)

    def _outcomes(self, pairs: Sequence[ScoringState]) -> list[Outcome[ScoringState]]:
        return run_pipeline(
            pairs,
            self._load,
            None,
            self._score,
            batch_size=1,
            threads=self.settings.io_threads,
            memory=self.settings.memory_mb << 20,
            deadline=self.settings.pair_deadline,
        )

    def _load(self, pair: ScoringState) -> None:
        storage = self.fused[pair.ref.method]
        load_scored(pair, self.source, storage, self.settings, self.settings.max_megapixels)

    def _score(self, pair: ScoringState) -> dict[str, Any]:
        ir, vi = pair.pictures
        assert pair.fused is not None
        with pair.timed("score"):
            scores = score_columns(
                ir.pixels,
                vi.pixels,
                pair.fused.pixels,
                self.device,
                convention=self.settings.convention,
            )
        height, width = pair.shape
        return {
            "fused_sha256": pair.fused_sha256,
            "height": height,
            "width": width,
            "bit_depth": pair.fused.bit_depth,
            **scores,
        }

    def _row(self, pair: ScoringState) -> dict[str, Any]:
        ref = pair.ref
        return {
            **super()._row(pair),
            "method": ref.method,
            "fused_url": self.fused[ref.method].url(ref.fused_path),
            "fused_version": ref.fused_version,
            "fused_bytes": ref.fused_bytes,
            "metric_version": self.settings.metric_version,
        }


def load_scored(
    pair: ScoringState,
    source: Storage,
    storage: Storage,
    settings: ScoreArchiveSettings,
    max_megapixels: float,
) -> None:
    """Read and decode a pair as for fusing, and the fused image.

    Raises:
        PairError: What can't be read or decoded, or is of another size.
    """
    load_pair(pair, source, settings, max_megapixels)
    path = pair.ref.fused_path
    with pair.timed("read"):
        body = read_listed(storage, path, pair.ref.fused_bytes, pair.ref.fused_version)
    with pair.timed("decode"):
        fused = decode_listed(path, body, max_megapixels)
    if fused.pixels.shape[:2] != pair.shape:
        pair.stage = "pair"
        height, width = pair.shape
        raise SizeMismatchError(
            f"{path} is {fused.pixels.shape[1]}x{fused.pixels.shape[0]} and its sources "
            f"{width}x{height}; expected equal sizes. Score images that were neither cropped nor "
            "scaled"
        )
    pair.fused, pair.fused_sha256 = fused, hashlib.sha256(body).hexdigest()
