"""What a pool is doing at this moment, for those who watch it from another thread."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from actors.pool import ActorPool


@dataclass(frozen=True)
class PoolState:
    """What a pool is doing.

    Attributes:
        ready: Number of workers that can be given chunks.
        starting: Those that were asked for and are not ready.
        stopping: Those that are given no more: their node is to end, or their GPU is left out.
        running: Number of chunks that workers have; two for each, of which one is at work.
        waiting: Those that came back and are to be given out again.
        deaths: How often a worker died, or had to be ended, its node living on.
        lost: How often one was lost with its node.
    """

    ready: int
    starting: int
    stopping: int
    running: int
    waiting: int
    deaths: int
    lost: int


def state_of(pool: ActorPool) -> PoolState:
    """Return what a pool is doing; it may be at work meanwhile, for nothing is changed in place.

    Args:
        pool: The pool.
    """
    workers = Counter(
        "ready" if slot.usable else "starting" if slot.started is None else "stopping"
        for slot in list(pool.staff.slots)
    )
    examined = sum(len(tasks) for _, _, tasks in list(pool.examined))
    return PoolState(
        *(workers["ready"], workers["starting"], workers["stopping"]),
        running=len(pool.running),
        waiting=len(pool.waiting) + examined,
        deaths=pool.deaths,
        lost=pool.lost,
    )
