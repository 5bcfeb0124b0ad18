"""A Ray cluster that loses nodes: a head without CPUs that stays, and nodes that come and go."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from processes import alive, command, descendants
from ray.cluster_utils import Cluster

_PR_SET_CHILD_SUBREAPER = 36
_STORE_BYTES = 100 << 20
# Drivers attach to a node of their own address, and end with it as they would with their machine.
# So the nodes that are lost have another one than the head, whose machine the drivers are on.
_NODE_ADDRESS = "127.0.0.2"


class RayNodes:
    """The cluster; this process is no driver of it.

    Args:
        count: Nodes with one CPU each.
    """

    def __init__(self, count: int):
        head = {"num_cpus": 0, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: list[Any] = []
        for _ in range(count):
            self.add()

    @property
    def address(self) -> str:
        """Of the head."""
        return str(self._cluster.address)

    @property
    def count(self) -> int:
        """Number of nodes that can be lost."""
        return len(self._nodes)

    def add(self) -> None:
        """Add a node."""
        node = self._cluster.add_node(
            num_cpus=1, object_store_memory=_STORE_BYTES, node_ip_address=_NODE_ADDRESS
        )
        self._nodes.append(node)

    def actors(self, kind: str) -> list[int]:
        """Return the processes of actors of a class."""
        return sorted(
            pid
            for node in self._nodes
            for pid in descendants(_raylet(node))
            if command(pid).startswith(f"ray::{kind}")
        )

    def lose(self, index: int, whole: bool) -> None:
        """SIGKILL a node's raylet, or with ``whole`` also all below it, as a power cut would.

        A raylet's workers notice that it is gone and end by themselves, somewhat later.
        """
        node = self._nodes.pop(index)
        raylet = _raylet(node)
        victims = [raylet, *descendants(raylet)] if whole else [raylet]
        kill(victims)
        self._cluster.remove_node(node, allow_graceful=False)

    def stop(self) -> None:
        """End the cluster and whatever is left of nodes that were lost."""
        self._cluster.shutdown()


@contextmanager
def ray_nodes(count: int) -> Iterator[RayNodes]:
    """Run a cluster; no process of it outlives the block."""
    # What is orphaned by a kill becomes a child of this process, and so is found in the end.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = descendants(os.getpid())
    nodes = RayNodes(count)
    try:
        yield nodes
    finally:
        nodes.stop()
        # Ray's agents go on for a minute looking for a raylet that was killed.
        deadline = time.monotonic() + 2
        while left := [pid for pid in descendants(os.getpid()) - before if alive(pid)]:
            if time.monotonic() > deadline:
                kill(left)
            time.sleep(0.2)


def kill(pids: list[int]) -> None:
    """SIGKILL processes; those that are gone already don't matter."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)
