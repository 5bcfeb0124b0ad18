"""Computes how many workers fit a cluster, and what each takes of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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

    def __str__(self) -> str:
        """Return what it asks for, in words."""
        return f"{self.cpus:g} CPUs" + (f" and {self.gpus:g} GPUs" if self.gpus else "")

    @property
    def device(self) -> str:
        """Device for torch: Ray shows a worker only the GPU that it was given."""
        return "cuda" if self.gpus else "cpu"

    def fits(self, node: Mapping[str, float]) -> int:
        """Return how many workers fit a node, given its resources as Ray names them."""
        by_cpu = int(node.get("CPU", 0.0) / self.cpus + 1e-9) if self.cpus else sys.maxsize
        if not self.gpus:
            return by_cpu
        # A share of a GPU lies on one GPU: of four, 0.4 fits eight times and not ten.
        gpus = node.get("GPU", 0.0)
        by_gpu = gpus * int(1 / self.gpus + 1e-9) if self.gpus < 1 else gpus / self.gpus
        return min(by_cpu, int(by_gpu + 1e-9))


def alive_nodes() -> list[Mapping[str, float]]:
    """Return the resources of each living node of the connected cluster."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]


def worker_share(
    worker: str,
    nodes: Sequence[Mapping[str, float]],
    max_workers: int | None = None,
    *,
    node_types: Sequence[Mapping[str, float]] = (),
    grows: bool = True,
) -> WorkerShare:
    """Turn the setting ``worker`` into what each worker asks of Ray.

    Args:
        worker: ``auto``, ``gpu``, ``gpu:0.5``, ``cpu`` or ``cpu:4``.
        nodes: Resources by node, as Ray names them.
        max_workers: At most so many workers.
        node_types: Resources by the kinds of node that the cluster may grow by.
        grows: Whether it may grow at all.

    Raises:
        SettingsError: No node has that many CPUs, or none has a GPU and none can come. A cluster
            that may grow and shows no CPU or GPU is no error, since one that scales from zero
            shows none; the workers then wait for it.
    """
    kind, _, amount = worker.partition(":")
    known = [*nodes, *node_types]
    if kind == "gpu" and not grows and not any(node.get("GPU", 0) > 0 for node in known):
        raise SettingsError(
            f"worker is {worker!r} and Ray finds no GPU on this machine, where a local cluster "
            "can't grow. Leave worker out to compute on CPUs, or name a cluster by ray_address"
        )
    if kind == "gpu" or (kind == "auto" and any(node.get("GPU", 0) > 0 for node in known)):
        share = WorkerShare(_CPUS_BESIDE_GPU, float(amount or 1), 1)
    else:
        largest = max((node.get("CPU", 0.0) for node in known), default=0.0)
        cpus = float(amount) if amount else min(_CPUS_PER_WORKER, largest or _CPUS_PER_WORKER)
        if cpus > largest > 0 or cpus <= 0:
            raise SettingsError(
                f"worker {worker!r} asks for {cpus:g} CPUs and the largest node has {largest:g}; "
                "ask for fewer, or for 'auto'"
            )
        share = WorkerShare(cpus, 0.0, 1)
    count = max(sum(map(share.fits, nodes)), 1)
    return replace(share, count=count if max_workers is None else min(count, max_workers))


def workers_on(
    node: Mapping[str, float], share: Mapping[str, float], max_workers: int | None = None
) -> int:
    """Return how many workers fit a node that take as much as one of them does; at least one.

    Args:
        node: The node's resources, as Ray names them.
        share: What the worker was given of them.
        max_workers: The run has at most so many.
    """
    count = max(WorkerShare(share.get("CPU", 0.0), share.get("GPU", 0.0), 1).fits(node), 1)
    return count if max_workers is None else min(count, max_workers)
