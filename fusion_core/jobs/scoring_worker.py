"""Scores the fused images of a chunk, each against its pair, and commits the rows."""

from __future__ import annotations

from typing import Any

from fusion_core.archive.layout import SCORES_FOLDER
from fusion_core.jobs.image_worker import ImageState, ImageWorker
from fusion_core.jobs.pair import scaling_columns
from fusion_core.jobs.remarks import unused_percentiles
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.jobs.stages import PairStages
from fusion_core.metrics.columns import score_columns


class ScoringWorker(ImageWorker[ScoreArchiveSettings]):
    """Scores the fused images of chunks and commits their rows; see ``ImageWorker``."""

    folder = SCORES_FOLDER

    def _stages(self) -> PairStages[ImageState]:
        return PairStages(self._load, None, self._score)

    def _score(self, pair: ImageState) -> dict[str, Any]:
        loaded, fused = pair.pictures, pair.image
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

    def _row(self, pair: ImageState) -> dict[str, Any]:
        return {**super()._row(pair), "metric_version": self.settings.metric_version}
