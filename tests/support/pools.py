"""Pools of actors as the flows make them, for the tests."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.core.generated import autoscaler_pb2

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


@contextmanager
def in_background(running: Iterable[Any]) -> Iterator[list[Any]]:
    """Run a pool beside the block, and wait for its end after it; the list has its results."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.extend(running)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield results
    thread.join(120)
    assert not thread.is_alive(), "the pool doesn't end"
    if errors:
        raise errors[0]


def wait_for(condition: Callable[[], Any], seconds: float = 90.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "what was waited for didn't come"
        time.sleep(0.1)


def wait_until_gone(node_id: str) -> None:
    """Wait until the cluster knows of a node's end, so that it places nothing there any more."""
    wait_for(lambda: node_id not in {n["NodeID"] for n in ray.nodes() if n["Alive"]})


def drain(node_id: str) -> None:
    """Tell a node that it is to end, as a cloud does that takes it back."""
    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    soon = int((time.time() + 60) * 1000)
    accepted, why = _gcs().drain_node(node_id, reason, "taken back", soon)
    assert accepted, why


def asked_for(resource: str) -> int:
    """Return how many waiting actors ask for a resource, as an autoscaler is told."""
    reply = autoscaler_pb2.GetClusterResourceStateReply.FromString(
        _gcs().get_cluster_resource_state()
    )
    return sum(
        one.count
        for one in reply.cluster_resource_state.pending_resource_requests
        if resource in one.request.resources_bundle
    )


def _gcs() -> Any:
    return ray._private.worker.global_worker.gcs_client
