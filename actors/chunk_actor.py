"""The base class of the Ray actors that process chunks."""

from __future__ import annotations

import datetime as dt
import os
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

import ray
from ray.actor import ActorHandle

from actors.autopsy import memory_kills
from actors.resources import WorkerShare
from fusion_core import jobs
from fusion_core.archive import Chunk
from fusion_core.errors import GpuFaultError, SettingsError
from fusion_core.models import Arithmetic
from fusion_core.settings import RunSettings
from fusion_core.storage import Storage, open_source

Settings = TypeVar("Settings", bound=RunSettings)
CONTROL = "control"
"""Calls of this group are answered while a chunk is at work."""


@dataclass(frozen=True)
class Job(Generic[Settings]):
    """A run, as its actors need to know it.

    Attributes:
        settings: The run's settings.
        run: What all of its rows say of it.
        watched: Whether results are to tell of each attempt.
        samples: Pairs of each camera, where one transform is for all of a camera's pairs.
    """

    settings: Settings
    run: jobs.RunIdentity
    watched: bool = False
    samples: jobs.Samples | None = None


@dataclass(frozen=True)
class Started:
    """What an actor says of itself when it is ready for chunks.

    Attributes:
        node_id: The node that it is on, as Ray names it.
        host: The node's name.
        pid: Its process.
        gpus: The GPUs that Ray gave it, by their number on the node.
        arithmetic: How it computes; None where nothing of its work depends on that.
        memory_kills: How often the system had ended a process of the node for memory by then.
    """

    node_id: str
    host: str
    pid: int
    gpus: tuple[str, ...]
    arithmetic: Arithmetic | None
    memory_kills: int


class ChunkActor(ABC, Generic[Settings]):
    """Processes chunks, in a process that may die at any time.

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
        self._worker: jobs.ChunkWorker[Any] | None = None
        self._options: Mapping[str, Any] | None = None
        self._stopping = False
        self._warnings = jobs.WarningCollector()

    def start(self, arithmetic: Arithmetic | None = None) -> Started:
        """Make ready for chunks.

        Args:
            arithmetic: That of the run, once it is settled; the first actor settles it.

        Raises:
            FuseArchiveError: The device, or what the actor is to host, can't be used.
        """
        self._warnings.install()
        use_device(self._device, self._cpus)
        settled = self._prepare(arithmetic)
        context = ray.get_runtime_context()
        return Started(
            node_id=context.get_node_id(),
            host=platform.node(),
            pid=os.getpid(),
            gpus=tuple(context.get_accelerator_ids().get("GPU", [])),
            arithmetic=settled,
            memory_kills=memory_kills(),
        )

    def run(self, chunk: Chunk, storage_options: Mapping[str, Any]) -> jobs.ChunkResult:
        """Process a chunk and commit its rows; see ``ChunkWorker.run``."""
        if self._stopping:
            return jobs.ChunkResult((), left=chunk.pairs)
        worker = self._worker_for(storage_options)
        try:
            return self._telling(chunk, worker, partial(worker.run, chunk))
        except GpuFaultError:
            self._stopping = True  # what waits here would only meet the same
            raise

    def give_up(
        self,
        chunk: Chunk,
        storage_options: Mapping[str, Any],
        *,
        reason: str,
        cause: jobs.Cause,
        where: str,
    ) -> jobs.ChunkResult:
        """Record the pairs of a chunk as tried in vain, without touching their files."""
        worker = self._worker_for(storage_options)
        give_up = partial(worker.give_up, chunk, reason, cause=cause, where=where)
        return self._telling(chunk, worker, give_up)

    def _telling(
        self,
        chunk: Chunk,
        worker: jobs.ChunkWorker[Any],
        work: Callable[[], jobs.ChunkResult],
    ) -> jobs.ChunkResult:
        """Do the work on a chunk, and add to its result when that was, and what was warned of.

        What is warned of where there is no result is told with the next one's.
        """
        worker.watched = self._job.watched
        self._warnings.chunk, began = chunk.part_id, dt.datetime.now(dt.UTC)
        try:
            result = work()
        finally:
            self._warnings.chunk = None
        told = jobs.Told(
            *(chunk.part_id, platform.node(), worker.device_name),
            *(began, dt.datetime.now(dt.UTC)),
            *self._warnings.take(),
        )
        return replace(result, told=told)

    @ray.method(concurrency_group=CONTROL)
    def stop_soon(self) -> None:
        """Begin no further pair; what is not begun is given back."""
        self._stopping = True
        if self._worker is not None:
            self._worker.stopping.set()

    @ray.method(concurrency_group=CONTROL)
    def pulse(self) -> tuple[str, int]:
        """Answer, which a process that is stuck as a whole does not; see ``progress``."""
        return self._worker.progress() if self._worker else ("", 0)

    def _prepare(self, arithmetic: Arithmetic | None) -> Arithmetic | None:
        """Load what the actor hosts, if it hosts anything, and return how it computes."""
        return arithmetic

    @abstractmethod
    def _make_worker(
        self, source: Storage, output: Storage, options: Mapping[str, Any]
    ) -> jobs.ChunkWorker[Any]:
        """Return a worker that uses these storage options."""

    def _worker_for(self, options: Mapping[str, Any]) -> jobs.ChunkWorker[Any]:
        """Return the worker; a new one where the credentials were refreshed."""
        if self._worker is None or options != self._options:
            settings = self._job.settings
            source = open_source(settings, options, settings.storage_timeout)
            output = Storage(settings.output, options, settings.storage_timeout)
            self._worker = self._make_worker(source, output, options)
            self._options = options
            if self._stopping:
                self._worker.stopping.set()
        return self._worker


def use_device(device: str, cpus: float) -> None:
    """Have torch compute in this process with what Ray has given to it.

    Args:
        device: ``cuda`` or ``cpu``.
        cpus: Threads for computing on a CPU.

    Raises:
        SettingsError: A GPU was given and torch sees none.
    """
    import torch  # the driver, which makes actors and is none, does without

    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "the worker was given a GPU and torch sees none; expected a CUDA build of "
            "torch on the cluster's nodes. Install one, or set worker to 'cpu'"
        )
    torch.set_num_threads(max(1, int(cpus)))


def start_actor(
    kind: type[ChunkActor[Settings]],
    job: Job[Settings],
    share: WorkerShare,
    left_out: Collection[str] = (),
) -> ActorHandle[Any]:
    """Ask Ray for one actor, which it never restarts, and whose calls it never repeats.

    An actor or a call that Ray repeated would not be known to the scheduler, which must know which
    node each is on, and count how often a chunk has ended its process.

    Args:
        kind: What actor.
        job: The run.
        share: What it takes of the cluster.
        left_out: Ids of nodes that it must not be on.
    """
    options: dict[str, Any] = {
        "num_cpus": share.cpus,
        "num_gpus": share.gpus,
        "max_restarts": 0,
        "max_task_retries": 0,
        "concurrency_groups": {CONTROL: 1},
        **elsewhere(left_out),
    }
    remote: Any = ray.remote(**options)(kind)
    actor: ActorHandle[Any] = remote.remote(job, share.device, share.cpus)
    return actor


def elsewhere(left_out: Collection[str]) -> dict[str, Any]:
    """Return the options of an actor that must not be on some nodes."""
    if not left_out:
        return {}
    return {"label_selector": {"ray.io/node-id": f"!in({','.join(sorted(left_out))})"}}
