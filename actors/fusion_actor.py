"""The Ray actor that hosts one network and fuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.chunk_actor import ChunkActor, Job
from fusion_core.chunk_work import ChunkWorker
from fusion_core.fuser import Fuser
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import Storage
from fusion_core.weights_file import load_weights

FusionJob = Job[FuseArchiveSettings]


class FusionActor(ChunkActor[FuseArchiveSettings]):
    """Hosts a network and fuses chunks of pairs; arguments as of :class:`ChunkActor`."""

    def __init__(self, job: FusionJob, device: str, cpus: float):
        super().__init__(job, device, cpus)
        self._fuser: Fuser | None = None

    def start(self) -> str:
        """Load the network and return the device that it runs on; errors as of :meth:`network`."""
        return self.network().device

    def network(self) -> Fuser:
        """Return the network, loading it the first time.

        Raises:
            SettingsError: A GPU was asked for and torch sees none.
            WeightsError: The weights can't be used, or aren't those that the plan was made for.
        """
        if self._fuser is None:
            device = super().start()
            settings = self._job.settings
            model, weights = load_weights(settings.weights, self._job.run.model_hash)
            self._fuser = Fuser(model, device, settings.precision, weights.sha256)
        return self._fuser

    def _make_worker(
        self, source: Storage, output: Storage, options: Mapping[str, Any]
    ) -> ChunkWorker:
        return ChunkWorker(source, output, self.network(), self._job.settings, self._job.run)
