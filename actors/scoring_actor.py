"""The Ray actor that scores fused images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.chunk_actor import ChunkActor
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.jobs.scoring_worker import ScoreWorker
from fusion_core.storage.store import Storage


class ScoringActor(ChunkActor[ScoreArchiveSettings]):
    """Scores chunks of fused images; arguments as of ``ChunkActor``."""

    def _make_worker(
        self, source: Storage, output: Storage, options: Mapping[str, Any]
    ) -> ScoreWorker:
        settings, run = self._job.settings, self._job.run
        fused = {
            method: source if place.url is None else Storage(place.url, options)
            for method, place in settings.places().items()
        }
        return ScoreWorker(source, output, fused, settings, run, self._device)
