"""Who is blamed for what, on a real cluster: a test for each row of the table in actors/README."""

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pools import asked_for, drain, in_background, making, pool_making, wait_for, wait_until_gone
from ray.cluster_utils import Cluster
from scripted import ScriptedActor, chunks, committed, lines, pool_of

from actors.pool import ActorPool
from fusion_core.archive.layout import MANIFEST_FOLDER
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.plan import Chunk
from fusion_core.errors import UnreachableError

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_manifest(
        f"{folder}/commits/{MANIFEST_FOLDER}", latest=False
    ).to_pylist()
    return rows


def all_ok(folder: Path, names: list[str]) -> bool:
    return committed(folder) == sorted(f"{name} ok" for name in names)


def begun(folder: Path) -> Counter[str]:
    return Counter(line.split()[0] for line in lines(folder / "starts"))


def finish(pool: ActorPool, names: list[str], size: int) -> None:
    list(pool.run(chunks(names, size)))
    assert pool.finished


def slow_until(
    condition: Callable[[], Any], names: list[str], then: Iterable[Chunk] = ()
) -> Iterator[Chunk]:
    """Make slow pairs until something holds, and a few more, and add their names to the list.

    However long a worker takes to start, there is work left for it. ``then`` comes before the last
    few.
    """

    def slow() -> Chunk:
        names.append(f"slow{len(names)}")
        return dataclasses.replace(chunks(names[-1:], 1)[0], part_id=f"slow{len(names):06}")

    until = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < until
        yield slow()
    yield from then
    for _ in range(4):
        yield slow()


def go_on_until(
    pool: ActorPool, condition: Callable[[], Any], then: Iterable[Chunk] = ()
) -> list[str]:
    """Give a pool what ``slow_until`` makes; return the names of the slow pairs."""
    names: list[str] = []
    list(pool.run(slow_until(condition, names, then)))
    assert pool.finished
    return names


def one_of(cluster: Cluster) -> str:
    """Return the id of a node that isn't the head."""
    return str(cluster.list_all_nodes()[-1].node_id)


@pytest.mark.long
def test_a_gpu_that_fails_again_is_left_out_and_no_pair_is_blamed(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    broken = one_of(ray_nodes)
    (tmp_path / "broken-gpus").write_text(broken)
    pool = pool_of(3, tmp_path)
    names = go_on_until(pool, pool.places.told)
    assert all_ok(tmp_path, names)
    (told,) = pool.places.told()
    assert broken[:8] in told
    assert "illegal memory access" in told
    places = Counter(line.split()[2] for line in lines(tmp_path / "starts"))
    assert places[broken] <= 3, "left out after its second fault, one more may have been on its way"


@pytest.mark.long
def test_a_pair_that_breaks_every_gpu_is_found_and_no_gpu_is_left_out(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    names = [f"p{k}" for k in range(3)] + ["xid"] + [f"slow{k}" for k in range(12)]
    pool = pool_of(3, tmp_path)
    finish(pool, names, 4)
    assert pool.places.told() == ()
    (undone,) = [row for row in rows_of(tmp_path) if row["status"] != "ok"]
    assert (undone["pair_id"], undone["status"], undone["cause"]) == ("xid", "undone", "gpu")
    assert "more than one GPU" in undone["error_message"]
    assert len(rows_of(tmp_path)) == len(names)


@pytest.mark.long
def test_nodes_lost_three_times_in_a_row_blame_nobody(ray_nodes: Cluster, tmp_path: Path) -> None:
    def spot() -> Any:
        return ray_nodes.add_node(num_cpus=1, resources={"spot": 1}, object_store_memory=100 << 20)

    node = spot()
    make = making(ScriptedActor, str(tmp_path), resources={"spot": 1})
    pool = pool_making(make, 1, grows=True)
    with in_background(pool.run(chunks([f"slow{k}" for k in range(8)], 8))) as results:
        for _ in range(3):
            wait_for(lambda node=node: here_begun(tmp_path, node.node_id))
            ray_nodes.remove_node(node, allow_graceful=False)
            node = spot()
    assert sum(result.ok for result in results) == 8
    assert {row["attempt"] for row in rows_of(tmp_path)} == {1}
    assert (pool.lost, pool.deaths) == (3, 0)
    ray_nodes.remove_node(node)
    wait_until_gone(node.node_id)


@pytest.mark.long
def test_a_node_that_is_to_end_finishes_its_pair_and_gives_the_rest_back(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    nodes = [
        ray_nodes.add_node(num_cpus=1, resources={"spot": 1}, object_store_memory=100 << 20)
        for _ in range(2)
    ]
    names = [f"slow{k}" for k in range(48)]
    make = making(ScriptedActor, str(tmp_path), resources={"spot": 1})
    declared: list[str] = []
    pool = pool_making(
        make, 2, declare=lambda made: declared.extend(chunk.part_id for chunk in made)
    )
    with in_background(pool.run(chunks(names, 12))):
        wait_for(lambda: max(here_begun(tmp_path, one.node_id) for one in nodes) >= 2)
        nodes.sort(key=lambda one: here_begun(tmp_path, one.node_id))
        drain(nodes[1].node_id)
    assert all_ok(tmp_path, names)
    assert set(begun(tmp_path).values()) == {1}, "nothing was worked on twice"
    assert declared, "what was given back has an intent of its own"
    assert (pool.lost, pool.deaths) == (0, 0)
    last = lines(tmp_path / "starts")[-1].split()[2]
    assert last == nodes[0].node_id
    for one in nodes:
        ray_nodes.remove_node(one)
        wait_until_gone(one.node_id)


def test_a_node_that_cannot_start_a_worker_is_one_node(ray_nodes: Cluster, tmp_path: Path) -> None:
    sick = one_of(ray_nodes)
    (tmp_path / "sick-nodes").write_text(sick)
    pool = pool_of(3, tmp_path)
    names = go_on_until(pool, pool.places.told)
    assert all_ok(tmp_path, names)
    (told,) = pool.places.told()
    assert "found no weights" in told
    assert sick[:8] in told
    assert lines(tmp_path / "tried").count(sick) <= 2


def test_a_store_that_one_node_cannot_reach_is_that_nodes_fault(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    cut_off = one_of(ray_nodes)
    (tmp_path / "cut-off").write_text(cut_off)
    pool = pool_of(3, tmp_path)
    names = go_on_until(pool, pool.places.told)
    assert all_ok(tmp_path, names)
    (told,) = pool.places.told()
    assert "no whole answer" in told
    assert cut_off[:8] in told


def test_a_store_that_no_node_reaches_ends_the_run(ray_nodes: Cluster, tmp_path: Path) -> None:
    names = [*(f"slow{k}" for k in range(16)), "unanswered"]
    with pytest.raises(UnreachableError):
        list(pool_of(3, tmp_path).run(chunks(names, 1)))
    assert len({line.split()[2] for line in lines(tmp_path / "starts") if "unans" in line}) == 2


def test_a_process_that_gives_no_sign_of_life_is_ended_and_its_neighbours_go_on(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    names = ["p1", "freeze", "p2", *(f"slow{k}" for k in range(6))]
    pool = pool_of(2, tmp_path, pair_deadline=2.0)
    finish(pool, names, 3)
    assert all_ok(tmp_path, names)
    assert pool.deaths == 1


def test_what_a_store_refused_is_tried_once_more_elsewhere_and_then_left_for_later(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    pool = pool_of(2, tmp_path)
    go_on_until(
        pool,
        lambda: sum(slot.usable for slot in pool.staff.slots) == 2,
        then=chunks(["flaky", "unreadable"], 2),
    )
    rows = sorted(
        (row["pair_id"], row["attempt"], row["status"], row["cause"])
        for row in rows_of(tmp_path)
        if not row["pair_id"].startswith("slow")
    )
    assert rows == [
        ("flaky", 1, "undone", "store"),
        ("flaky", 2, "ok", None),
        ("unreadable", 1, "undone", "store"),
        ("unreadable", 2, "undone", "store"),
    ]
    (last,) = [row for row in rows_of(tmp_path) if row["status"] == "ok" and row["history"]]
    assert last["history"].startswith("store at read on ")
    assert last["history"].endswith("; ok")


@pytest.mark.long
def test_the_pool_grows_and_shrinks_with_the_cluster(ray_nodes: Cluster, tmp_path: Path) -> None:
    first = ray_nodes.add_node(num_cpus=1, resources={"spot": 1}, object_store_memory=100 << 20)
    make = making(ScriptedActor, str(tmp_path), resources={"spot": 1})
    pool = pool_making(make, 8, grows=True)
    names: list[str] = []
    enough = threading.Event()
    with in_background(pool.run(slow_until(enough.is_set, names))) as results:
        wait_for(lambda: here_begun(tmp_path, first.node_id) >= 1)
        second = ray_nodes.add_node(
            num_cpus=1, resources={"spot": 1}, object_store_memory=100 << 20
        )
        wait_for(lambda: here_begun(tmp_path, second.node_id) >= 2)
        ray_nodes.remove_node(first, allow_graceful=False)
        enough.set()
    assert all_ok(tmp_path, names)
    assert sum(result.ok for result in results) == len(names)
    ray_nodes.remove_node(second)
    for one in (first, second):
        wait_until_gone(one.node_id)


def test_a_cluster_that_shows_no_room_is_asked_for_it_and_used_once_it_is_there(
    ray_nodes: Cluster, tmp_path: Path
) -> None:
    make = making(ScriptedActor, str(tmp_path), resources={"spot": 1})
    pool = pool_making(make, 2, grows=True)
    with in_background(pool.run(chunks(["a", "b"], 1))):
        wait_for(lambda: asked_for("spot") >= 1)
        node = ray_nodes.add_node(num_cpus=1, resources={"spot": 1}, object_store_memory=100 << 20)
    assert all_ok(tmp_path, ["a", "b"])
    wait_for(lambda: asked_for("spot") == 0)  # nothing is asked for once the work is done
    ray_nodes.remove_node(node)
    wait_until_gone(node.node_id)


def here_begun(folder: Path, node_id: str) -> int:
    return sum(line.split()[2] == node_id for line in lines(folder / "starts"))
