"""The Ray actor that looks for things in images by a detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.chunk_actor import ChunkActor
from actors.scoring_actor import images_of_methods
from fusion_core import jobs
from fusion_core.detection import Detector, read_detector
from fusion_core.errors import WeightsError
from fusion_core.jobs import DetectSettings
from fusion_core.models import Arithmetic, DeviceKind
from fusion_core.storage import Storage


class DetectingActor(ChunkActor[DetectSettings]):
    """Looks at chunks of images with the detector that it hosts."""

    _detector: Detector

    def _prepare(self, arithmetic: Arithmetic | None) -> Arithmetic | None:
        settings = self._job.settings
        file = read_detector(settings.detector, settings.detector_description)
        if settings.settings_hash(file) != self._job.run.settings_hash:
            raise WeightsError(
                f"The detector {settings.detector} or its description has changed since the run "
                "began; expected the same to the end. Start the run again"
            )
        # Else one that finds another engine there would find other boxes.
        engine = arithmetic.engine if arithmetic else settings.engine
        self._detector = Detector(file, self._device, engine)
        kind: DeviceKind = "cuda" if self._device == "cuda" else "cpu"
        return Arithmetic(kind, "fp32", self._detector.engine)

    def _make_worker(
        self, source: Storage, output: Storage, options: Mapping[str, Any]
    ) -> jobs.DetectingWorker:
        settings = self._job.settings
        return jobs.DetectingWorker(
            source=source,
            output=output,
            fused=images_of_methods(settings, source, options),
            settings=settings,
            run=self._job.run,
            detector=self._detector,
            device=self._device,
        )
