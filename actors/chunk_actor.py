"""The base class of the Ray actors that process chunks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import ray
import torch
from ray.actor import ActorHandle

from actors.resources import WorkerShare
from fusion_core.archive import Chunk
from fusion_core.errors import SettingsError
from fusion_core.jobs import ChunkResult, ChunkWorker, RunIdentity
from fusion_core.settings import RunSettings
from fusion_core.storage import Storage, open_source

Settings = TypeVar("Settings", bound=RunSettings)


@dataclass(frozen=True)
class Job(Generic[Settings]):
    """A run, as its actors need to know it.

    Attributes:
        settings: The run's settings.
        run: What all of its rows say of it.
    """

    settings: Settings
    run: RunIdentity


class ChunkActor(ABC, Generic[Settings]):
    """Processes chunks, in a process that Ray may restart at any time.

    A restart calls the constructor again and nothing else.

    Args:
        job: The run.
        device: ``cuda`` or ``cpu``.
        cpus: Threads for computing on a CPU.
    """

    def __init__(self, job: Job[Settings], device: str, cpus: float):
        # Nothing that can fail happens here: an error in an actor's constructor reaches the driver
        # as a death without its type.
        self._job = job
        self._device = device
        self._cpus = cpus
        self._worker: ChunkWorker[Any] | None = None
        self._options: Mapping[str, Any] | None = None

    def start(self) -> str:
        """Make ready for chunks and return the device that is used.

        Raises:
            FuseArchiveError: The device, or what the actor is to host, can't be used.
        """
        use_device(self._device, self._cpus)
        return self._prepare()

    def run(self, chunk: Chunk, storage_options: Mapping[str, Any]) -> ChunkResult:
        """Process a chunk and commit its rows; see ``ChunkWorker.run``."""
        return self._worker_for(storage_options).run(chunk)

    def give_up(self, chunk: Chunk, storage_options: Mapping[str, Any], reason: str) -> ChunkResult:
        """Record the pairs of a chunk as failed, without touching their files."""
        return self._worker_for(storage_options).give_up(chunk, reason)

    def _prepare(self) -> str:
        """Load what the actor hosts, if it hosts anything, and return the device that it is on."""
        return self._device

    @abstractmethod
    def _make_worker(
        self, source: Storage, output: Storage, options: Mapping[str, Any]
    ) -> ChunkWorker[Any]:
        """Return a worker that uses these storage options."""

    def _worker_for(self, options: Mapping[str, Any]) -> ChunkWorker[Any]:
        """Return the worker; a new one where the credentials were refreshed."""
        if self._worker is None or options != self._options:
            settings = self._job.settings
            source = open_source(settings, options, settings.storage_timeout)
            output = Storage(settings.output, options, settings.storage_timeout)
            self._worker = self._make_worker(source, output, options)
            self._options = options
        return self._worker


def use_device(device: str, cpus: float) -> None:
    """Have torch compute in this process with what Ray has given to it.

    Args:
        device: ``cuda`` or ``cpu``.
        cpus: Threads for computing on a CPU.

    Raises:
        SettingsError: A GPU was given and torch sees none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "the worker was given a GPU and torch sees none; expected a CUDA build of "
            "torch on the cluster's nodes. Install one, or set worker to 'cpu'"
        )
    torch.set_num_threads(max(1, int(cpus)))


def start_actor(
    kind: type[ChunkActor[Settings]], job: Job[Settings], share: WorkerShare
) -> ActorHandle[Any]:
    """Ask Ray for one actor, which Ray restarts whenever it dies, and whose calls it never repeats.

    A call repeated by Ray would not be known to the scheduler, which must count how often a chunk
    has ended its process.
    """
    remote: Any = ray.remote(
        num_cpus=share.cpus, num_gpus=share.gpus, max_restarts=-1, max_task_retries=0
    )(kind)
    actor: ActorHandle[Any] = remote.remote(job, share.device, share.cpus)
    return actor
