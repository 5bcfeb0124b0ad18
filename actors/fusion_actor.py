"""The Ray actor that hosts one fuser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.chunk_actor import ChunkActor, Job
from fusion_core.jobs import FusionWorker
from fusion_core.models import Fuser, load_fuser
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import Storage

FusionJob = Job[FuseArchiveSettings]


class FusionActor(ChunkActor[FuseArchiveSettings]):
    """Hosts a fuser and fuses chunks of pairs; arguments as of ``ChunkActor``."""

    def __init__(self, job: FusionJob, device: str, cpus: float):
        super().__init__(job, device, cpus)
        self._fuser: Fuser | None = None

    def start(self) -> str:
        """Load the fuser and return the device that it runs on; errors as of ``fuser``."""
        return self.fuser().device

    def fuser(self) -> Fuser:
        """Return the fuser, loading it the first time.

        Raises:
            SettingsError: A GPU was asked for and torch sees none, or the model can't compute in
                the precision that was asked for.
            WeightsError: The model can't be used, or isn't the one that the plan was made for.
            StorageError: Its file can't be reached.
        """
        if self._fuser is None:
            device = super().start()
            settings = self._job.settings
            self._fuser = load_fuser(
                settings.model, device, settings.precision, self._job.run.model_hash
            )
        return self._fuser

    def _make_worker(
        self, source: Storage, output: Storage, options: Mapping[str, Any]
    ) -> FusionWorker:
        return FusionWorker(source, output, self.fuser(), self._job.settings, self._job.run)
