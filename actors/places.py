"""Keeps count of nodes and GPUs that fail, and of those that are left out for this run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from actors.chunk_actor import Started

STRIKES = 2
"""A node or a GPU is left out when it fails again, with nothing done in between."""


class Places:
    """The nodes and GPUs of a run that failed.

    A place is a GPU, by node id and number, or a node, by its id.

    Attributes:
        left_out: Why each of those is left out that are, by its name for people.
        nodes: Ids of the nodes that are left out.
        gpus: The GPUs that are.
    """

    def __init__(self) -> None:
        self.left_out: dict[str, str] = {}
        self.nodes: set[str] = set()
        self.gpus: set[Hashable] = set()
        self._strikes: Counter[Hashable] = Counter()

    def node_failed(self, node_id: str, name: str, reason: str, *, for_good: bool) -> bool:
        """Count a worker that could not work on a node; return whether it is left out now.

        Args:
            node_id: The node.
            name: Its name for people.
            reason: What was said.
            for_good: Whether it would be said again.
        """
        self._strikes[node_id] += STRIKES if for_good else 1
        if self._strikes[node_id] >= STRIKES and node_id not in self.nodes:
            self.nodes.add(node_id)
            self.left_out[f"node {name} ({node_id[:8]})"] = reason
        return node_id in self.nodes

    def gpu_failed(self, at: Started, reason: str) -> bool:
        """Count a fault of the GPU of an actor; return whether it, or its node, is left out now.

        Args:
            at: What the actor had said of itself.
            reason: What was said.
        """
        if not at.gpus:  # of a GPU that Ray doesn't know of
            return self.node_failed(at.node_id, at.host, reason, for_good=False)
        gpu = gpu_of(at)
        self._strikes[gpu] += 1
        if self._strikes[gpu] >= STRIKES and gpu not in self.gpus:
            self.gpus.add(gpu)
            self.left_out[f"GPU {','.join(at.gpus)} of node {at.host} ({at.node_id[:8]})"] = reason
        return gpu in self.gpus

    def worked(self, place: Hashable) -> None:
        """Take back the strikes of a place that did a chunk."""
        self._strikes.pop(place, None)

    def clean(self, place: Hashable) -> bool:
        """Tell whether a place did a chunk since it failed last."""
        return not self._strikes[place]

    def told(self) -> tuple[str, ...]:
        """Return a phrase on each that is left out."""
        return tuple(f"{name}: {reason}" for name, reason in self.left_out.items())


def gpu_of(started: Started) -> Hashable:
    """Return the GPU of an actor as a place; None where it has none."""
    return (started.node_id, started.gpus) if started.gpus else None
