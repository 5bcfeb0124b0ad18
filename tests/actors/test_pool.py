"""The scheduler loop on a real cluster of three nodes, with actors that really die."""

import time
from pathlib import Path

import pytest
import ray
from pools import making, pool_making
from ray.cluster_utils import Cluster
from scripted import ScriptedActor, chunks, committed, lines, pool_of

from actors import staff
from actors.staff import NoWorkerError
from fusion_core.archive.layout import MANIFEST_FOLDER
from fusion_core.archive.manifest import read_manifest
from fusion_core.errors import LeaseLostError, StorageError, UnreachableError, WeightsError

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def test_every_pair_is_worked_on_once_where_nothing_breaks(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    names = [f"p{k}" for k in range(40)]
    results = list(pool_of(3, tmp_path).run(chunks(names, 4)))
    assert sum(result.ok for result in results) == 40
    assert committed(tmp_path) == sorted(f"{name} ok" for name in names)


def test_chunks_of_a_dead_actor_are_given_to_another_and_none_is_lost(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    names = [f"p{k}" for k in range(14)] + ["once-a", "once-b", "unheard"]
    names += [f"q{k}" for k in range(15)]
    pool = pool_of(2, tmp_path)
    results = list(pool.run(chunks(names, 4)))
    assert sum(result.ok for result in results) == len(names)
    assert sum(result.failed for result in results) == 0
    assert committed(tmp_path) == sorted(f"{name} ok" for name in names)
    assert pool.deaths >= 1


def test_a_pair_that_kills_its_process_is_found_and_its_neighbours_are_fused(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    names = [f"p{k}" for k in range(5)] + ["poison"] + [f"q{k}" for k in range(10)]
    results = list(pool_of(2, tmp_path).run(chunks(names, 4)))
    expected = [f"{name} {'undone' if name == 'poison' else 'ok'}" for name in names]
    assert committed(tmp_path) == sorted(expected)
    assert sum(result.ok for result in results) == len(names) - 1
    (row,) = read_manifest(
        f"{tmp_path}/commits/{MANIFEST_FOLDER}", filters=[("status", "=", "undone")]
    ).to_pylist()
    assert "alone died, 2 times" in row["error_message"]
    assert (row["cause"], row["stage"], row["attempt"]) == ("worker", "crash", 2)
    assert row["history"].count("worker") == 2
    tries = sum(line.startswith("poison") for line in lines(tmp_path / "starts"))
    assert tries <= 7  # 8 pairs are halved three times, not tried one by one


@pytest.mark.long
def test_the_loss_of_a_node_loses_no_pair(ray_nodes: Cluster, tmp_path: Path) -> None:
    doomed = ray_nodes.add_node(num_cpus=2, object_store_memory=100 << 20)
    names = [f"slow{k}" for k in range(16)]
    results = []
    pool = pool_of(5, tmp_path)  # one CPU each, so that two of them sit on the doomed node
    for result in pool.run(chunks(names, 1)):
        if not results:
            ray_nodes.remove_node(doomed, allow_graceful=False)
        results.append(result)
    assert sum(result.ok for result in results) == 16
    assert committed(tmp_path) == sorted(f"{name} ok" for name in names)
    # Until the cluster knows, it would place other tests' actors on the dead node.
    deadline = time.monotonic() + 60
    while any(node["Alive"] and node["NodeID"] == doomed.node_id for node in ray.nodes()):
        assert time.monotonic() < deadline, "the node's death goes unnoticed"
        time.sleep(0.2)


@pytest.mark.long
def test_a_chunk_killed_from_outside_once_is_not_blamed(ray_nodes: Cluster, tmp_path: Path) -> None:
    results = list(pool_of(1, tmp_path).run(chunks(["once-single"], 1)))
    assert [(result.ok, result.failed) for result in results] == [(1, 0)]


def test_an_actor_that_cannot_start_stops_the_run_with_its_own_error(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "no-start").touch()
    with pytest.raises(WeightsError, match="found no weights"):
        list(pool_of(2, tmp_path).run(chunks(["a"], 1)))


def test_an_output_that_cannot_be_written_stops_the_run_after_three_tries(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match="can't create the part"):
        list(pool_of(1, tmp_path).run(chunks(["unwritable"], 1)))
    assert len(lines(tmp_path / "starts")) == 3


@pytest.mark.parametrize(
    ("name", "error"), [("unanswered", UnreachableError), ("overtaken", LeaseLostError)]
)
def test_what_no_second_try_can_mend_stops_the_run_at_once(
    ray_nodes: Cluster, tmp_path: Path, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        list(pool_of(1, tmp_path).run(chunks([name], 1)))
    assert len(lines(tmp_path / "starts")) == 1


def test_a_cluster_without_room_ends_the_run_in_bounded_time(
    ray_nodes: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(staff, "_SECONDS_BETWEEN_LINES", 0.5)
    pool = pool_of(1, tmp_path, cpus=64, patience=2.0)
    began = time.monotonic()
    with pytest.raises(NoWorkerError, match="no worker could be started"):
        list(pool.run(chunks(["a"], 1)))
    assert time.monotonic() - began < 20
    told = [one.message for one in caplog.records if "each asks for its share" in one.message]
    assert len(told) >= 2
    assert "of 2 s (worker_patience)" in told[0]


@pytest.mark.long
def test_actors_that_die_at_birth_end_the_run_with_the_reason(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    class Stillborn(ScriptedActor):
        def __init__(self) -> None:
            raise ImportError("no module of that name on this node")

    pool = pool_making(making(Stillborn), 3)
    with pytest.raises(NoWorkerError, match=r"(?s)no module of that name.*installed on every node"):
        list(pool.run(chunks(["a"], 1)))


def test_credentials_are_asked_for_with_every_chunk(ray_nodes: Cluster, tmp_path: Path) -> None:
    tokens = iter(range(100))
    pool = pool_of(1, tmp_path, storage_options=lambda: {"token": next(tokens)})
    list(pool.run(chunks([f"p{k}" for k in range(3)], 1)))
    assert [line.split()[1] for line in lines(tmp_path / "starts")] == ["0", "1", "2"]


def test_no_actor_outlives_an_abandoned_run(ray_nodes: Cluster, tmp_path: Path) -> None:
    pool = pool_of(2, tmp_path)
    running = pool.run(chunks([f"slow{k}" for k in range(20)], 1))
    next(running)
    running.close()
    deadline = time.monotonic() + 20
    while ray.available_resources().get("CPU", 0) < ray.cluster_resources()["CPU"]:
        assert time.monotonic() < deadline, "actors still hold their CPUs"
        time.sleep(0.2)
