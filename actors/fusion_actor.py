"""The Ray actor that hosts one network and works chunks off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.actor import ActorHandle

from actors.resources import WorkerShare
from fusion_core.chunk_work import ChunkResult, ChunkWorker, RunIdentity
from fusion_core.errors import SettingsError
from fusion_core.fuser import Fuser
from fusion_core.plan import Chunk
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import Storage
from fusion_core.weights_file import load_weights


@dataclass(frozen=True)
class Job:
    """What an actor needs to know of the run."""

    settings: FuseArchiveSettings
    run: RunIdentity


class FusionActor:
    """Hosts a network; every method but the constructor may be called again after a restart.

    Args:
        job: The run.
        device: ``cuda`` or ``cpu``.
        cpus: Threads for the network on a CPU.
    """

    def __init__(self, job: Job, device: str, cpus: float):
        # Nothing that can fail happens here: an error in an actor's constructor reaches the driver
        # as a death without its type.
        self._job = job
        self._device = device
        self._cpus = max(1, int(cpus))
        self._fuser: Fuser | None = None
        self._worker: ChunkWorker | None = None
        self._options: Mapping[str, Any] | None = None

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
            if self._device == "cuda" and not torch.cuda.is_available():
                raise SettingsError(
                    "the worker was given a GPU and torch sees none; expected a CUDA build of "
                    "torch on the cluster's nodes. Install one, or set worker to 'cpu'"
                )
            torch.set_num_threads(self._cpus)
            settings = self._job.settings
            model, weights = load_weights(settings.weights, self._job.run.model_hash)
            self._fuser = Fuser(model, self._device, settings.precision, weights.sha256)
        return self._fuser

    def run(self, chunk: Chunk, storage_options: Mapping[str, Any]) -> ChunkResult:
        """Fuse a chunk; see :meth:`fusion_core.chunk_work.ChunkWorker.run`."""
        return self._worker_for(storage_options).run(chunk)

    def give_up(self, chunk: Chunk, storage_options: Mapping[str, Any], reason: str) -> ChunkResult:
        """Record a chunk's pairs as failed without touching them."""
        return self._worker_for(storage_options).give_up(chunk, reason)

    def _worker_for(self, options: Mapping[str, Any]) -> ChunkWorker:
        """Return the worker, made anew where the credentials were refreshed."""
        if self._worker is None or options != self._options:
            settings = self._job.settings
            source, output = Storage(settings.source, options), Storage(settings.output, options)
            self._worker = ChunkWorker(source, output, self.network(), settings, self._job.run)
            self._options = options
        return self._worker


def start_actor(job: Job, share: WorkerShare) -> ActorHandle[Any]:
    """Ask Ray for one actor; it restarts by itself for ever and never repeats a call by itself.

    A call repeated by Ray would not be known to the scheduler, which must count how often a chunk
    has ended its process.
    """
    remote: Any = ray.remote(
        num_cpus=share.cpus, num_gpus=share.gpus, max_restarts=-1, max_task_retries=0
    )(FusionActor)
    actor: ActorHandle[Any] = remote.remote(job, share.device, share.cpus)
    return actor
