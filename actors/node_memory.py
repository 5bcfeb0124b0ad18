"""Says how much of its node's memory a worker of this run may take."""

from __future__ import annotations

import ray

from actors.ray_internals import memory_threshold
from actors.resources import workers_on
from fusion_core import models


def node_budget(max_workers: int | None = None) -> models.MemoryBudget:
    """Return the budget of the worker that calls this: an equal share, up to where Ray ends them.

    As many workers are reckoned with as fit the node, for all of them may run one day.

    Args:
        max_workers: The run has at most so many workers.
    """
    if not ray.is_initialized():
        return models.MemoryBudget()
    context = ray.get_runtime_context()
    if context.worker.mode != ray.WORKER_MODE:  # the driver has no share
        return models.MemoryBudget()
    mine = context.get_assigned_resources()  # type: ignore[no-untyped-call]
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    node = next(node["Resources"] for node in nodes if node["NodeID"] == context.get_node_id())
    return models.MemoryBudget(
        threshold=memory_threshold(),
        sharers=workers_on(node, mine, max_workers),
        gpu_share=min(1.0, mine.get("GPU", 1.0)),
    )
