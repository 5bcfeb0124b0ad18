"""The one module that imports ``ray._private``: for what Ray offers no setting.

Its tests fail where a new Ray has moved what is used here, or does something else with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ray._common.utils import env_float, get_system_memory
from ray._private import parameter, ray_constants, services
from ray._private.state import state
from ray.actor import ActorHandle

_THRESHOLD = 0.95


@contextmanager
def lean_node() -> Iterator[None]:
    """Let a cluster that is started meanwhile listen on loopback only, without idle programs.

    Ray listens there by itself on macOS and Windows. It binds to that interface where the node's
    address is 127.0.0.1, and to all interfaces otherwise. An address that is given as 127.0.0.1 it
    replaces by another one, unless it holds that this machine can be in no cluster.

    Three of its programs have nothing to do here, and would take as long to start as all others
    together: the autoscaler of a cluster that can't grow, the reader of logs that nobody is shown,
    and the server of a dashboard that isn't wanted, for which the start would wait. Nor does it
    start a worker for each CPU beforehand, but one: a worker of ours takes two CPUs.

    Its programs get a process group of their own. What is sent to that of this process, as
    ``timeout`` and systemd do, is for this process, which then ends them: half ended by a signal
    already, they would keep it waiting for six seconds.
    """
    before = (
        ray_constants.ENABLE_RAY_CLUSTER,
        parameter.RayParams,
        services.start_api_server,
        services.start_ray_process,
        services.ConsolePopen,
    )
    ray_constants.ENABLE_RAY_CLUSTER = False
    without: dict[str, Any] = {"no_monitor": True, "include_log_monitor": False}
    parameter.RayParams = partial(  # type: ignore[assignment, misc]
        parameter.RayParams, **without
    )
    services.start_api_server = lambda *_, **__: ("", None)
    services.start_ray_process = partial(_with_one_worker, services.start_ray_process)
    services.ConsolePopen = partial(  # type: ignore[assignment, misc]
        services.ConsolePopen, process_group=0
    )
    try:
        yield
    finally:
        (
            ray_constants.ENABLE_RAY_CLUSTER,
            parameter.RayParams,  # type: ignore[misc]
            services.start_api_server,
            services.start_ray_process,
            services.ConsolePopen,  # type: ignore[misc]
        ) = before


def _with_one_worker(
    start: Callable[..., Any], command: list[str], *more: Any, **named: Any
) -> Any:
    told = "--num_prestart_python_workers="
    return start(
        [f"{told}1" if word.startswith(told) else word for word in command], *more, **named
    )


def draining_nodes() -> set[str]:
    """Return the ids of the nodes that were told to end: preempted, or scaled away."""
    return set(state.get_draining_nodes())


def node_of(actor: ActorHandle[Any]) -> str | None:
    """Return the id of the node that an actor is or was on; None where it never was on any."""
    facts: dict[str, Any] = state.actor_table(actor._actor_id.hex()) or {}
    node_id: str | None = facts.get("Address", {}).get("NodeID")
    return node_id or None


def node_types() -> list[dict[str, float]]:
    """Return the resources of each kind of node that an autoscaler may add, as far as it tells."""
    config = state.get_cluster_config()
    groups = config.node_group_configs if config is not None else ()
    return [dict(group.resources) for group in groups]


def memory_threshold() -> float:
    """Return the share of this node's memory beyond which Ray ends workers; 1 where it ends none.

    Called in a worker, which has inherited the environment of its node. What the cluster was
    started with comes before that. Where bytes to be left free are named too, Ray takes what leaves
    more to its workers.
    """
    cluster = state.get_system_config()  # type: ignore[no-untyped-call]

    def setting(name: str, default: float) -> float:
        of_node = env_float(f"RAY_{name}", default)  # type: ignore[no-untyped-call]
        return float(cluster.get(name, of_node))

    if setting("memory_monitor_refresh_ms", 250) == 0:
        return 1.0
    threshold = setting("memory_usage_threshold", _THRESHOLD)
    left = setting("min_memory_free_bytes", -1)
    return max(threshold, 1 - left / get_system_memory()) if left >= 0 else threshold
