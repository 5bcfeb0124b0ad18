"""One actor of the pool, and the chunks that it was given."""

from __future__ import annotations

import time
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from actors.chunk_actor import CONTROL, Started
from actors.chunk_task import ChunkTask
from actors.places import gpu_of

_LONGEST_PULSE = 5.0  # seconds between two signs of life, which also tell of progress

IN_FLIGHT = 2
"""Chunks per actor: one that runs and one that waits, so that no actor idles for the driver."""


@dataclass(eq=False)
class WorkerSlot:
    """An actor, from the moment that Ray is asked for it.

    Attributes:
        actor: The actor.
        started: What it said when it was ready; None before.
        tasks: What it was given; the first is at work.
        ending: Whether it is being ended, so that what is on it is nobody's fault.
        draining: Whether it was told to begin no further pair, since its node is to end.
        left_out: Whether it only keeps its GPU from being used.
        head_since: When the first of its tasks came first, by the monotonic clock.
        pulse: Its answer that is waited for.
        pulse_at: When that was asked for.
        progress: What its last sign of life told: a part, and how many of its pairs were done.
    """

    actor: ActorHandle[Any]
    started: Started | None = None
    tasks: list[ChunkTask] = field(default_factory=list)
    ending: bool = False
    draining: bool = False
    left_out: bool = False
    head_since: float = 0.0
    pulse: Any = None
    pulse_at: float = 0.0
    progress: tuple[str, int] = ("", 0)

    @property
    def usable(self) -> bool:
        """Whether it may be given chunks."""
        return self.started is not None and not (self.ending or self.draining or self.left_out)

    @property
    def node_id(self) -> str | None:
        """The node that it is on, once that is known."""
        return self.started.node_id if self.started else None

    @property
    def gpu(self) -> Hashable:
        """The GPU that it has, as a place; None where it has none."""
        return gpu_of(self.started) if self.started else None

    @property
    def place(self) -> Hashable:
        """What fails together: its GPU, or its node where it has none."""
        return self.gpu or self.node_id

    @property
    def pairs_done(self) -> int:
        """How many pairs of the chunk at work are done, as far as is known."""
        part_id, count = self.progress
        return count if self.tasks and self.tasks[0].chunk.part_id == part_id else 0

    def accepts(self, *, alone: bool) -> bool:
        """Tell whether there is room for a chunk, that is to be alone or not."""
        if not self.usable:
            return False
        if alone or any(task.alone for task in self.tasks):
            return not self.tasks
        return len(self.tasks) < IN_FLIGHT

    def avoided_by(self, task: ChunkTask) -> bool:
        """Tell whether a task should be given to another slot if there is one."""
        return not task.avoid.isdisjoint((self, self.place, self.node_id))

    def give(self, task: ChunkTask) -> None:
        """Note that it was given a task."""
        if not self.tasks:
            self.head_since = time.monotonic()
        self.tasks.append(task)

    def done(self, task: ChunkTask) -> None:
        """Note that a task is off it."""
        self.tasks.remove(task)
        self.head_since = time.monotonic()

    def over_time(self, pair_deadline: float) -> str | None:
        """Return how it hangs, None where it doesn't; ask it for a sign of life now and then.

        Args:
            pair_deadline: Seconds that a pair may take; so long it may give no sign.
        """
        now = time.monotonic()
        if not self.tasks or self.ending:
            self.pulse = None
            return None
        if now - self.head_since > self.tasks[0].chunk.budget(pair_deadline):
            return f"is over its chunk's budget after {now - self.head_since:.0f} s"
        if self.pulse is not None and ray.wait([self.pulse], timeout=0)[0]:
            self._take_in()
        if self.pulse is None:
            if now - self.pulse_at > min(_LONGEST_PULSE, pair_deadline / 4):
                self.pulse_at = now
                self.pulse = self.actor.pulse.options(concurrency_group=CONTROL).remote()
        elif now - self.pulse_at > pair_deadline:
            return f"gave no sign of life for {now - self.pulse_at:.0f} s"
        return None

    def _take_in(self) -> None:
        """Take in its sign of life; that it died is told elsewhere."""
        with suppress(RayError):
            self.progress = ray.get(self.pulse)
        self.pulse = None

    def stop_soon(self) -> None:
        """Have it begin no further pair."""
        self.draining = True
        self.actor.stop_soon.options(concurrency_group=CONTROL).remote()
