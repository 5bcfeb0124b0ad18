import pytest

from actors.resources import WorkerShare, worker_share, workers_on
from fusion_core.errors import SettingsError

TWO_CPU_NODES = [{"CPU": 4.0}, {"CPU": 3.0}]
GPU_NODES = [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 16.0}]


@pytest.mark.parametrize(
    ("worker", "nodes", "expected"),
    [
        ("auto", TWO_CPU_NODES, WorkerShare(2.0, 0.0, 3)),  # 2 on the first node, 1 on the second
        ("auto", [{"CPU": 1.0}, {"CPU": 1.0}], WorkerShare(1.0, 0.0, 2)),
        ("cpu", GPU_NODES, WorkerShare(2.0, 0.0, 16)),
        ("cpu:4", TWO_CPU_NODES, WorkerShare(4.0, 0.0, 1)),
        ("auto", GPU_NODES, WorkerShare(1.0, 1.0, 3)),
        ("gpu", GPU_NODES, WorkerShare(1.0, 1.0, 3)),
        ("gpu:0.5", GPU_NODES, WorkerShare(1.0, 0.5, 6)),
        ("gpu:0.34", GPU_NODES, WorkerShare(1.0, 0.34, 6)),  # 2 on each GPU: a share is on one
        ("gpu:0.4", [{"CPU": 64.0, "GPU": 4.0}], WorkerShare(1.0, 0.4, 8)),
        ("gpu:0.25", [{"CPU": 3.0, "GPU": 4.0}], WorkerShare(1.0, 0.25, 3)),  # a CPU for each
        ("gpu", TWO_CPU_NODES, WorkerShare(1.0, 1.0, 1)),  # a cluster that scales from zero
        ("auto", [{"memory": 9e9}], WorkerShare(2.0, 0.0, 1)),  # its head has no CPU for workers
        ("cpu:8", [], WorkerShare(8.0, 0.0, 1)),
    ],
)
def test_workers_fit_whole_on_nodes(
    worker: str, nodes: list[dict[str, float]], expected: WorkerShare
) -> None:
    assert worker_share(worker, nodes) == expected


def test_the_setting_bounds_the_number_of_workers() -> None:
    assert worker_share("auto", GPU_NODES, max_workers=2).count == 2


def test_more_cpus_than_any_node_has_is_an_error_not_an_endless_wait() -> None:
    with pytest.raises(SettingsError, match="asks for 5 CPUs and the largest node has 4"):
        worker_share("cpu:5", TWO_CPU_NODES)


def test_the_device_follows_the_share() -> None:
    assert worker_share("gpu:0.5", GPU_NODES).device == "cuda"
    assert worker_share("auto", TWO_CPU_NODES).device == "cpu"


@pytest.mark.parametrize(
    ("share", "max_workers", "expected"),
    [
        ({"CPU": 2.0}, None, 4),
        ({"CPU": 3.0}, None, 2),
        ({"CPU": 1.0, "GPU": 0.5}, None, 4),
        ({"CPU": 4.0, "GPU": 0.5}, None, 2),
        ({"CPU": 1.0}, 3, 3),
        ({"CPU": 16.0}, None, 1),
        ({"GPU": 0.25}, None, 8),
    ],
)
def test_as_many_workers_share_a_node_as_fit_it(
    share: dict[str, float], max_workers: int | None, expected: int
) -> None:
    assert workers_on({"CPU": 8.0, "GPU": 2.0, "memory": 9e9}, share, max_workers) == expected


def test_a_cluster_that_may_grow_by_gpus_is_asked_for_them() -> None:
    types = [{"CPU": 16.0}, {"CPU": 8.0, "GPU": 1.0}]
    assert worker_share("auto", [{"CPU": 4.0}], node_types=types) == WorkerShare(1.0, 1.0, 1)
    assert worker_share("cpu:16", [{"CPU": 4.0}], node_types=types) == WorkerShare(16.0, 0.0, 1)


def test_a_gpu_that_cannot_come_is_refused_at_once_and_one_that_may_is_waited_for() -> None:
    for worker in ("gpu", "gpu:0.5"):
        with pytest.raises(SettingsError, match="Ray finds no GPU on this machine"):
            worker_share(worker, TWO_CPU_NODES, grows=False)
        assert worker_share(worker, TWO_CPU_NODES, grows=True).count == 1
    assert worker_share("gpu", GPU_NODES, grows=False).count == 3
    assert worker_share("auto", TWO_CPU_NODES, grows=False).gpus == 0


def test_a_share_says_what_it_asks_for() -> None:
    assert str(WorkerShare(1.0, 0.5, 4)) == "1 CPUs and 0.5 GPUs"
    assert str(WorkerShare(2.0, 0.0, 4)) == "2 CPUs"
