"""Scores the fused images of a chunk, each against its pair, and commits the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from fusion_core.archive.layout import SCORES_FOLDER
from fusion_core.archive.plan import PairRef, ScoreRef
from fusion_core.errors import SizeMismatchError
from fusion_core.images.codecs import decode_listed
from fusion_core.images.picture import Picture
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.loading import Stage, load_pair
from fusion_core.jobs.pair import PairState, scaling_columns
from fusion_core.jobs.pipeline import run_pipeline
from fusion_core.jobs.remarks import unused_percentiles
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.jobs.stages import Outcomes, PairStages, PipelineLimits
from fusion_core.jobs.worker import ChunkWorker
from fusion_core.metrics.columns import score_columns
from fusion_core.storage.reading import read_listed
from fusion_core.storage.store import Storage


@dataclass(frozen=True)
class FusedImage:
    """A fused image that is to be scored.

    Attributes:
        picture: The decoded image.
        sha256: sha256 of its file's bytes, in hex.
    """

    picture: Picture
    sha256: str


@dataclass
class ScoringState(PairState):
    """The state of a pair of which one fused image is being scored.

    Attributes:
        fused: The fused image; set by whoever loads it, dropped by ``end``.
    """

    ref: ScoreRef
    fused: FusedImage | None = None

    def end(self) -> None:
        """Note the time and let go of the pixels."""
        super().end()
        self.fused = None


class ScoringWorker(ChunkWorker[ScoringState]):
    """Scores the fused images of chunks and commits their rows.

    Args:
        source: Where the pairs are.
        output: Where parts go.
        fused: Where the fused images are, by method.
        settings: The run's settings.
        run: The run's identity.
        device: Where to compute the metrics.
    """

    folder = SCORES_FOLDER

    def __init__(
        self,
        source: Storage,
        output: Storage,
        *,
        fused: Mapping[str, Storage],
        settings: ScoreArchiveSettings,
        run: RunIdentity,
        device: str = "cpu",
    ):
        super().__init__(source, output, run, device, max_attempts=settings.max_attempts)
        self.fused = fused
        self.settings = settings

    def _begin(self, ref: PairRef) -> ScoringState:
        assert isinstance(ref, ScoreRef)
        return ScoringState(ref)

    def _outcomes(self, pairs: Sequence[ScoringState], *, in_tiles: bool) -> Outcomes[ScoringState]:
        stages = PairStages(self._load, None, self._score)
        limits = PipelineLimits.of(self.settings, batch_size=1)
        return run_pipeline(pairs, stages, limits, self.stopping)

    def _load(self, pair: ScoringState) -> None:
        settings, ref = self.settings, pair.ref
        pair.loaded = load_pair(
            ref,
            self.source,
            settings=settings,
            max_megapixels=settings.max_megapixels,
            stage=pair.timed,
        )
        pair.fused = load_fused(
            ref,
            self.fused[ref.method],
            pair.shape,
            max_megapixels=settings.max_megapixels,
            stage=pair.timed,
        )

    def _score(self, pair: ScoringState) -> dict[str, Any]:
        loaded, fused = pair.pictures, pair.fused
        assert fused is not None
        with pair.timed("score"):
            scores = score_columns(
                *loaded.greys(fused.picture.pixels),
                self.device,
                convention=self.settings.convention,
                valid=loaded.valid,
            )
        height, width = pair.shape
        return {
            "fused_sha256": fused.sha256,
            "height": height,
            "width": width,
            "bit_depth": fused.picture.bit_depth,
            **scaling_columns(loaded),
            "remark": unused_percentiles(self.settings, loaded.scaling_names),
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


def load_fused(
    ref: ScoreRef,
    storage: Storage,
    shape: tuple[int, int],
    *,
    max_megapixels: float,
    stage: Stage = nullcontext,
) -> FusedImage:
    """Read and decode the fused image of a pair.

    Args:
        ref: Which image.
        storage: Where it is.
        shape: Height and width of the pair.
        max_megapixels: Larger images are refused.
        stage: Entered for each of the stages read and decode.

    Raises:
        PairError: The image can't be read or decoded, or is of another size.
        UnreachableError: The store gives no answer.
    """
    path = ref.fused_path
    with stage("read"):
        body = read_listed(storage, path, ref.fused_bytes, ref.fused_version)
    with stage("decode"):
        picture = decode_listed(path, body, max_megapixels)
    if picture.pixels.shape[:2] != shape:
        height, width = shape
        raise SizeMismatchError(
            f"{path} is {picture.pixels.shape[1]}x{picture.pixels.shape[0]} and its sources "
            f"{width}x{height}; expected equal sizes. Score images that were neither cropped nor "
            "scaled"
        )
    return FusedImage(picture, hashlib.sha256(body).hexdigest())
