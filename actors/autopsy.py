"""Finds out why an actor is gone: its node was lost, its memory ran out, or its process died.

A lost or preempted node blames nobody. Only a process that died on a node that lives on suspects
what it worked on. Ray can't always tell the two apart at once: a node that is switched off kills
processes in any order, and its death is known seconds later. So the node itself is asked, by a task
that only it may run.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

Finding = Literal["lost", "memory", "worker"]

_LONGEST = 60.0
"""Seconds after which a node that neither answers nor is known to be dead counts as lost."""

_VMSTAT = Path("/proc/vmstat")
_CGROUP = Path("/sys/fs/cgroup/memory.events")


class Autopsy:
    """Looks for the reason of an actor's death; poll it until it has found it.

    Args:
        error: What Ray said of the actor.
        node_id: The node that it was on; None where that isn't known.
        memory_kills: How often the system had ended a process there when it started.
    """

    def __init__(self, error: RayError, node_id: str | None, memory_kills: int):
        self._node_id = node_id
        self._memory_kills = memory_kills
        self._until = time.monotonic() + _LONGEST
        self._found = _told_by(error, node_id)
        self._answer: Any = None
        if self._found is None:
            strategy = NodeAffinitySchedulingStrategy(str(node_id), soft=False)
            options: dict[str, Any] = {"num_cpus": 0, "scheduling_strategy": strategy}
            ask: Any = ray.remote(max_retries=0, **options)(memory_kills_there)
            self._answer = ask.remote()

    def finding(self, alive: Collection[str]) -> Finding | None:
        """Return the reason; None as long as it isn't known.

        Args:
            alive: Ids of the nodes that the cluster takes to be alive.
        """
        if self._found is None:
            self._found = self._look(alive)
        return self._found

    def _look(self, alive: Collection[str]) -> Finding | None:
        if self._node_id not in alive or time.monotonic() > self._until:
            return "lost"
        if self._answer is None or not ray.wait([self._answer], timeout=0)[0]:
            return None
        try:
            kills = ray.get(self._answer)
        except RayError:
            self._answer = None  # until the cluster knows that the node is dead
            return None
        return "memory" if kills > self._memory_kills else "worker"


def _told_by(error: RayError, node_id: str | None) -> Finding | None:
    if isinstance(error, OutOfMemoryError):
        return "memory"
    if isinstance(error, NodeDiedError) or node_id is None:
        return "lost"
    if isinstance(error, RayActorError) and error.preempted:
        return "lost"
    return None


def memory_kills_there() -> int:
    """Return ``memory_kills`` of the node that this task runs on."""
    return memory_kills()


def memory_kills(vmstat: Path = _VMSTAT, cgroup: Path = _CGROUP) -> int:
    """Return how often the system has ended a process for memory here: of this container, or all.

    Args:
        vmstat: The kernel's counters.
        cgroup: The container's.
    """
    for path in (cgroup, vmstat):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        counts = [line.split()[1] for line in lines if line.startswith("oom_kill ")]
        if counts:
            return int(counts[0])
    return 0
