"""A Ray cluster that loses nodes: a head without CPUs that stays, and nodes that come and go."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from processes import alive, command, descendants
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

_PR_SET_CHILD_SUBREAPER = 36
_STORE_BYTES = 100 << 20
# Drivers attach to a node of their own address, and end with it as they would with their machine.
# So the nodes that are lost have another one than the head, whose machine the drivers are on.
_NODE_ADDRESS = "127.0.0.2"
_TRIES = 3
# A head finds out within four seconds that a node is gone of which nobody is left to tell.
SYSTEM = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_worker_niceness": "0",
}
Environment = Callable[[str], Mapping[str, str]]


class RayNodes:
    """The cluster; this process is no driver of it.

    Args:
        count: Nodes with one CPU each.
        environment: Returns what a node's processes have in their environment, given its name.
    """

    def __init__(self, count: int, environment: Environment = lambda _: {}):
        head = {"num_cpus": 0, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
        with _handler_kept():
            self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._environment = environment
        self._nodes: dict[str, Any] = {}
        self._orphans: set[int] = set()
        self._made = 0
        for _ in range(count):
            self.add()

    @property
    def address(self) -> str:
        """Of the head."""
        return str(self._cluster.address)

    @property
    def names(self) -> list[str]:
        """Names of the nodes that can be lost."""
        return list(self._nodes)

    def add(self) -> None:
        """Add a node; one that doesn't come up on a busy machine is replaced."""
        for attempt in range(1, _TRIES + 1):
            self._made += 1
            name = f"n{self._made}"
            try:
                with _handler_kept():
                    self._nodes[name] = self._cluster.add_node(
                        num_cpus=1,
                        object_store_memory=_STORE_BYTES,
                        node_ip_address=_NODE_ADDRESS,
                        env_vars=dict(self._environment(name)),
                    )
                return
            except Exception:
                if attempt == _TRIES:
                    raise

    def actors(self, kind: str) -> list[tuple[str, int]]:
        """Return the nodes and processes of actors of a class."""
        return sorted(
            (name, pid)
            for name, node in self._nodes.items()
            for pid in descendants(_raylet(node))
            if command(pid).startswith(f"ray::{kind}")
        )

    def preempt(self, name: str, grace: float) -> bool:
        """Tell the cluster that a node is to be taken away after so many seconds."""
        accepted, _ = GcsClient(address=self.address).drain_node(
            self._nodes[name].node_id,
            autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"),
            "preempted by the chaos suite",
            int((time.time() + grace) * 1000),
        )
        return bool(accepted)

    def lose(self, name: str, whole: bool) -> None:
        """SIGKILL a node's raylet, or with ``whole`` also all below it, as a power cut would.

        A raylet's workers notice that it is gone and end by themselves, somewhat later.
        """
        node = self._nodes.pop(name)
        raylet = _raylet(node)
        below = descendants(raylet)
        kill([raylet, *below] if whole else [raylet])
        self._cluster.remove_node(node, allow_graceful=False)
        self._orphans |= below
        self._reap()

    def _reap(self) -> None:
        """Take in what was below lost nodes and has ended since; it is this process's child now."""
        for pid in list(self._orphans):
            try:
                ended, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended = not alive(pid)
            if ended:
                self._orphans.discard(pid)

    def stop(self) -> None:
        """End the cluster and whatever is left of nodes that were lost."""
        self._cluster.shutdown()


@contextmanager
def ray_nodes(count: int, environment: Environment = lambda _: {}) -> Iterator[RayNodes]:
    """Run a cluster; no process of it outlives the block."""
    # What is orphaned by a kill becomes a child of this process, and so is found in the end.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = descendants(os.getpid())
    os.environ |= SYSTEM
    nodes = RayNodes(count, environment)
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


@contextmanager
def _handler_kept() -> Iterator[None]:
    """Keep the handler of SIGTERM, which each node replaces by one that waits for half a minute."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def kill(pids: list[int], number: int = signal.SIGKILL) -> None:
    """Send processes a signal; those that are gone already don't matter."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)
