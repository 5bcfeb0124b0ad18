"""The Ray actor that scores fused images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.chunk_actor import ChunkActor
from fusion_core import jobs
from fusion_core.jobs import FusedSettings, ScoreArchiveSettings
from fusion_core.storage import Storage


class ScoringActor(ChunkActor[ScoreArchiveSettings]):
    """Scores chunks of fused images."""

    def _make_worker(
        self, source: Storage, output: Storage, options: Mapping[str, Any]
    ) -> jobs.ScoringWorker:
        settings = self._job.settings
        return jobs.ScoringWorker(
            source=source,
            output=output,
            fused=images_of_methods(settings, source, options),
            settings=settings,
            run=self._job.run,
            device=self._device,
        )


def images_of_methods(
    settings: FusedSettings, source: Storage, options: Mapping[str, Any]
) -> dict[str, Storage]:
    """Return the storage of each method's images, which may be the source."""
    return {
        method: source if location.url is None else Storage(location.url, options)
        for method, location in settings.locations().items()
    }
