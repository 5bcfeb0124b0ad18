"""How a training divides a cluster, and what its workers tell; it is run in tests of its flow."""

import sys
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster
from tiny import train_settings_for, write_pairs

from actors.resources import WorkerShare
from actors.training import require_ray_train, training_share
from actors.training_mailbox import start_mailbox
from actors.training_worker import WorkerTask, train_on_worker
from fusion_core.errors import ReadError, SettingsError
from fusion_core.training.plan import plan_training

GPUS: list[dict[str, float]] = [{"CPU": 16, "GPU": 4}, {"CPU": 16, "GPU": 2}]
CPUS: list[dict[str, float]] = [{"CPU": 8}]


def test_training_asks_for_its_extra_where_pandas_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_ray_train()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SettingsError, match=r"pip install 'fuse-archive\[train\]'"):
        require_ray_train()


@pytest.mark.parametrize(
    ("changes", "nodes", "expected"),
    [
        ({"worker": "auto"}, CPUS, (8, 0, 1)),
        ({"worker": "auto"}, [{"CPU": 1}] * 3, (1, 0, 1)),
        ({"worker": "auto", "workers": 2}, CPUS, (4, 0, 2)),
        ({"worker": "auto", "workers": 2}, [{"CPU": 4}] * 2, (4, 0, 2)),
        ({"worker": "cpu", "workers": 4}, GPUS, (8, 0, 4)),
        ({"worker": "cpu:3"}, CPUS, (3, 0, 1)),
        # One worker per GPU, as many as share the batch equally.
        ({"worker": "auto", "batch": 12}, GPUS, (1, 1, 6)),
        ({"worker": "auto", "batch": 8}, GPUS, (1, 1, 4)),
        ({"worker": "auto", "batch": 7}, GPUS, (1, 1, 1)),
        ({"worker": "auto", "batch": 8, "workers": 2}, GPUS, (1, 1, 2)),
        # A cluster that scales from zero shows no GPU yet.
        ({"worker": "gpu", "workers": 8, "ray_address": "auto"}, CPUS, (1, 1, 8)),
    ],
)
def test_workers_share_the_cluster_and_the_batch(
    changes: dict[str, Any], nodes: list[dict[str, float]], expected: tuple[float, float, int]
) -> None:
    share = training_share(train_settings_for("in", "out", **{"batch": 8, **changes}), nodes)
    assert (share.cpus, share.gpus, share.count) == expected


def test_what_cannot_be_shared_is_refused() -> None:
    with pytest.raises(SettingsError, match="3 workers can't share a batch of 8 equally"):
        training_share(train_settings_for("in", "out", batch=8, workers=3), CPUS)
    many = train_settings_for("in", "out", batch=8, workers=4, worker="cpu:4")
    with pytest.raises(SettingsError, match="which holds 2; ask for fewer workers"):
        training_share(many, CPUS)


@pytest.mark.ray
def test_mailboxes_are_on_the_drivers_node_and_on_no_node_that_may_be_lost(
    ray_nodes: Cluster,
) -> None:
    mailboxes = [start_mailbox({}) for _ in range(4)]
    asked = [
        mailbox.__ray_call__.remote(lambda _: ray.get_runtime_context().get_node_id())
        for mailbox in mailboxes
    ]
    assert set(ray.get(asked)) == {ray_nodes.head_node.node_id}
    for mailbox in mailboxes:
        ray.kill(mailbox)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_nodes")
def test_a_worker_posts_its_progress_and_what_it_would_meet_again(tmp_path: Path) -> None:
    write_pairs(tmp_path / "in", ["p0", "p1"])
    settings = train_settings_for(tmp_path / "in", tmp_path / "out")
    job, _ = plan_training(settings, {})
    mailbox = start_mailbox({})
    task = WorkerTask(job, WorkerShare(cpus=1, gpus=0, count=1), mailbox)
    train_on_worker({"task": task})
    events, error = ray.get(mailbox.take.remote({"key": "new"}))
    assert [event.step for event in events if event.record] == [2, 4, 6, 8]
    assert error is None
    assert ray.get(mailbox.options.remote()) == {"key": "new"}
    assert ray.get(mailbox.take.remote({})) == ([], None)

    (tmp_path / "in/ir/p1.png").write_bytes(b"text")
    (tmp_path / "out/checkpoint.safetensors").unlink()
    with pytest.raises(ReadError):
        train_on_worker({"task": task})
    events, error = ray.get(mailbox.take.remote({}))
    assert isinstance(error, ReadError)
    assert "pair p1 can't be trained on" in str(error)
    ray.kill(mailbox)
