"""Pools of actors as the flows make them, for the tests."""

from collections.abc import Callable, Collection
from typing import Any

import ray
from ray.actor import ActorHandle

from actors.chunk_actor import CONTROL, elsewhere
from actors.pool import ActorPool
from actors.staff import PoolLimits

_LIMITS = ("grows", "patience", "pair_deadline", "until")
Make = Callable[[Collection[str]], ActorHandle[Any]]


def fits(node: Any) -> int:
    """Return how many actors of one CPU fit a node."""
    return int(node.get("CPU", 0))


def making(kind: type[Any], *arguments: Any, cpus: float = 1, **options: Any) -> Make:
    """Return what makes actors of a kind, as ``start_actor`` makes those of the product."""

    def make(left_out: Collection[str]) -> ActorHandle[Any]:
        remote: Any = ray.remote(
            num_cpus=cpus,
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={CONTROL: 1},
            **elsewhere(left_out),
            **options,
        )(kind)
        actor: ActorHandle[Any] = remote.remote(*arguments)
        return actor

    return make


def pool_making(make: Make, most: int, **options: Any) -> ActorPool:
    """Return a pool of at most so many actors; options are those of pool and limits."""
    limits = {name: options.pop(name) for name in _LIMITS if name in options}
    limits = {"patience": 120.0, **limits}
    return ActorPool(make, fits, PoolLimits(most=most, **limits), **options)
