"""The Ray actor that scores fused images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.chunk_actor import ChunkActor
from fusion_core import jobs
from fusion_core.jobs import ScoreArchiveSettings
from fusion_core.storage import Storage


class ScoringActor(ChunkActor[ScoreArchiveSettings]):
    """Scores chunks of fused images."""

    def _make_worker(
        self, source: Storage, output: Storage, options: Mapping[str, Any]
    ) -> jobs.ScoringWorker:
        settings, run = self._job.settings, self._job.run
        fused = {
            method: source if location.url is None else Storage(location.url, options)
            for method, location in settings.locations().items()
        }
        return jobs.ScoringWorker(
            source=source,
            output=output,
            fused=fused,
            settings=settings,
            run=run,
            device=self._device,
        )
