"""What a worker is told of its node, on a real cluster."""

import sys

import pytest
import ray

from actors.node_memory import node_budget
from fusion_core.models import MemoryBudget

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("ray_nodes")]
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


@ray.remote
class Worker:
    def budget(self, max_workers: int | None) -> MemoryBudget:
        return node_budget(max_workers)

    def free(self) -> float:
        return node_budget().free()


def test_a_worker_has_the_share_that_it_has_of_its_nodes_cpus() -> None:
    budgets = {}
    for cpus in (0.25, 1):
        worker = Worker.options(num_cpus=cpus).remote()
        budgets[cpus] = ray.get(worker.budget.remote(None))
        assert ray.get(worker.budget.remote(1)).sharers == 1
        assert ray.get(worker.free.remote()) > 0
        ray.kill(worker)
    assert budgets[1] == MemoryBudget(threshold=0.95, sharers=1)
    assert budgets[0.25].sharers == 4
