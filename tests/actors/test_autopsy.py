"""Why an actor is gone, as Ray's errors and the system's counters tell it."""

import os
import signal
import time
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.exceptions import ActorDiedError, NodeDiedError, OutOfMemoryError, RayActorError

from actors.autopsy import Autopsy, memory_kills


class Mortal:
    def start(self) -> tuple[str, int]:
        return ray.get_runtime_context().get_node_id(), os.getpid()

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def findings(autopsy: Autopsy, alive: set[str], seconds: float = 30.0) -> str | None:
    until = time.monotonic() + seconds
    while (found := autopsy.finding(alive)) is None and time.monotonic() < until:
        time.sleep(0.1)
    return found


@pytest.mark.ray
@pytest.mark.slow
def test_a_process_that_dies_on_a_living_node_is_to_blame(ray_nodes: Cluster) -> None:
    actor = ray.remote(num_cpus=0)(Mortal).remote()  # type: ignore[call-overload]
    node_id, _ = ray.get(actor.start.remote())
    with pytest.raises(ActorDiedError) as died:
        ray.get(actor.die.remote())
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    assert findings(Autopsy(died.value, node_id, memory_kills()), alive) == "worker"
    # As though the system had ended one more since the actor started.
    assert findings(Autopsy(died.value, node_id, memory_kills() - 1), alive) == "memory"
    # The cluster may know of the node's end before it could answer.
    assert Autopsy(died.value, node_id, 0).finding(alive - {node_id}) == "lost"


@pytest.mark.parametrize(
    ("error", "finding"),
    [
        (OutOfMemoryError("the node runs low"), "memory"),
        (NodeDiedError("gone"), "lost"),
        (RayActorError(preempted=True), "lost"),
    ],
)
def test_what_ray_tells_by_itself_needs_no_question(error: Exception, finding: str) -> None:
    assert Autopsy(error, "node", 0).finding({"node"}) == finding  # type: ignore[arg-type]


def test_an_actor_that_never_was_anywhere_blames_nobody() -> None:
    assert Autopsy(RayActorError(), None, 0).finding({"node"}) == "lost"


def test_the_containers_count_of_kills_comes_before_the_systems(tmp_path: Path) -> None:
    vmstat, cgroup = tmp_path / "vmstat", tmp_path / "memory.events"
    assert memory_kills(vmstat, cgroup) == 0
    vmstat.write_text("pgfault 7\noom_kill 3\n")
    assert memory_kills(vmstat, cgroup) == 3
    cgroup.write_text("low 0\noom 2\noom_kill 1\noom_group_kill 0\n")
    assert memory_kills(vmstat, cgroup) == 1
