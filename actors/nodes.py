"""What the cluster says of its nodes, asked at most once a second."""

from __future__ import annotations

import time
from collections.abc import Mapping

import ray

from actors.ray_internals import draining_nodes

_SECONDS = 1.0


class NodeView:
    """The nodes of the connected cluster.

    Attributes:
        alive: Resources of each node that the cluster takes to be alive, by its id.
        draining: Ids of those that were told to end.
        names: Host names by id of all that were alive at any time.
    """

    def __init__(self) -> None:
        self.alive: dict[str, Mapping[str, float]] = {}
        self.draining: set[str] = set()
        self.names: dict[str, str] = {}
        self._asked_at = -_SECONDS
        self.refresh()

    @property
    def settled(self) -> bool:
        """Whether no node was lost or is to end, so that none is likely to come back."""
        return not self.draining and self.names.keys() == self.alive.keys()

    def refresh(self) -> None:
        """Ask again, unless that was a moment ago."""
        if time.monotonic() - self._asked_at < _SECONDS:
            return
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        self.alive = {node["NodeID"]: node["Resources"] for node in nodes if node["Alive"]}
        # Not those that were dead before: they are no loss of this run.
        self.names |= {
            node["NodeID"]: node["NodeManagerHostname"] for node in nodes if node["Alive"]
        }
        self.draining = draining_nodes()
        self._asked_at = time.monotonic()
