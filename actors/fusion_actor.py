"""The Ray actor that fuses pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.chunk_actor import ChunkActor, Job, use_device
from actors.node_memory import node_budget
from fusion_core import jobs, models
from fusion_core.models import Arithmetic
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import Storage

FusionJob = Job[FuseArchiveSettings]


class FusionActor(ChunkActor[FuseArchiveSettings]):
    """Fuses chunks of pairs with the model that it hosts."""

    _fuser: models.Fuser

    def _prepare(self, arithmetic: Arithmetic | None) -> Arithmetic | None:
        self._fuser = load_job_fuser(self._job, self._device, self._cpus, arithmetic=arithmetic)
        return models.arithmetic_of(self._fuser)

    def _make_worker(
        self, source: Storage, output: Storage, options: Mapping[str, Any]
    ) -> jobs.FusionWorker:
        return jobs.FusionWorker(
            source=source,
            output=output,
            fuser=self._fuser,
            settings=self._job.settings,
            run=self._job.run,
            budget=node_budget(self._job.settings.max_workers),
            samples=self._job.samples,
        )


def load_job_fuser(
    job: FusionJob, device: str, cpus: float, *, arithmetic: Arithmetic | None = None
) -> models.Fuser:
    """Load a run's model, ready to compute in this process.

    Args:
        job: The run.
        device: ``cuda`` or ``cpu``.
        cpus: Threads for computing on a CPU.
        arithmetic: That of the run, where it is settled.

    Raises:
        SettingsError: A GPU was asked for and torch sees none, or the model can't compute in the
            precision or by the engine that was asked for.
        WeightsError: The model can't be used, or isn't the one that the plan was made for.
        StorageError: Its file can't be reached.
    """
    use_device(device, cpus)
    settings = job.settings
    precision = arithmetic.precision if arithmetic else settings.precision
    engine = arithmetic.engine if arithmetic else settings.engine
    return models.load_fuser(settings.model, device, precision, job.run.model_hash, engine=engine)
