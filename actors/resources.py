"""Computes how many workers fit a cluster, and what each takes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ray

from fusion_core.errors import SettingsError

_CPUS_PER_WORKER = 2.0
_CPUS_BESIDE_GPU = 1.0


@dataclass(frozen=True)
class WorkerShare:
    """The CPUs and GPUs that one worker takes, and the number of workers.

    Attributes:
        cpus: CPUs, as Ray counts them.
        gpus: GPUs, or a share of one.
        count: Number of workers.
    """

    cpus: float
    gpus: float
    count: int

    @property
    def device(self) -> str:
        """Device for torch: Ray shows a worker only the GPU that it was given."""
        return "cuda" if self.gpus else "cpu"


def alive_nodes() -> list[Mapping[str, float]]:
    """Return the resources of each living node of the connected cluster."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]


def worker_share(
    worker: str, nodes: Sequence[Mapping[str, float]], max_workers: int | None = None
) -> WorkerShare:
    """Turn the setting ``worker`` into what each worker asks of Ray.

    Args:
        worker: ``auto``, ``gpu``, ``gpu:0.5``, ``cpu`` or ``cpu:4``.
        nodes: Resources by node, as Ray names them.
        max_workers: At most so many workers.

    Raises:
        SettingsError: No living node has that many CPUs. A GPU that no node shows is no error,
            since a cluster that scales from zero shows none; the workers then wait for it.
    """
    kind, _, amount = worker.partition(":")
    has_gpu = any(node.get("GPU", 0) > 0 for node in nodes)
    if kind == "gpu" or (kind == "auto" and has_gpu):
        gpus = float(amount or 1)
        count = sum(int(node.get("GPU", 0) / gpus + 1e-9) for node in nodes)
        return WorkerShare(_CPUS_BESIDE_GPU, gpus, _bounded(count, max_workers))
    largest = max((node.get("CPU", 0.0) for node in nodes), default=0.0)
    cpus = float(amount) if amount else min(_CPUS_PER_WORKER, largest)
    if cpus > largest or cpus <= 0:
        raise SettingsError(
            f"worker {worker!r} asks for {cpus:g} CPUs and the largest node has {largest:g}; "
            "ask for fewer, or for 'auto'"
        )
    count = sum(int(node.get("CPU", 0) / cpus + 1e-9) for node in nodes)
    return WorkerShare(cpus, 0.0, _bounded(count, max_workers))


def workers_on(
    node: Mapping[str, float], share: Mapping[str, float], max_workers: int | None = None
) -> int:
    """Return how many workers fit a node that take as much as one of them does; at least one.

    Args:
        node: The node's resources, as Ray names them.
        share: What the worker was given of them.
        max_workers: The run has at most so many.
    """
    fitting = [int(node.get(kind, 0.0) / amount + 1e-9) for kind, amount in share.items() if amount]
    return _bounded(min(fitting, default=1), max_workers)


def _bounded(count: int, max_workers: int | None) -> int:
    count = max(count, 1)
    return count if max_workers is None else min(count, max_workers)
