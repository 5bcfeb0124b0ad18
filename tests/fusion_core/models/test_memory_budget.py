"""Against kernel files as they look on a machine, in a container and in a group of groups."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fusion_core.models.memory_budget import MemoryBudget, give_back_freed

GIB = 1 << 30


class Machine:
    """Fake files of the kernel: a machine of 16 GiB, of which 4 are in use; this process holds 1.

    Attributes:
        proc: Its /proc.
        cgroups: Its /sys/fs/cgroup.
    """

    def __init__(self, folder: Path):
        self.proc, self.cgroups = folder / "proc", folder / "cgroup"
        self.process(100, "ray::FusionActor.run", 1)
        (self.proc / "self").symlink_to("100")
        self.use(total=16, available=12)
        self.group("")

    def use(self, total: float, available: float) -> None:
        sizes = {"MemTotal": total, "MemFree": 0.5, "MemAvailable": available}
        lines = (f"{name}: {int(size * GIB) >> 10} kB" for name, size in sizes.items())
        (self.proc / "meminfo").write_text("\n".join(lines))

    def process(self, pid: int, name: str, held: float, parent: int = 7) -> None:
        folder = self.proc / str(pid)
        folder.mkdir(parents=True)
        (folder / "stat").write_text(f"{pid} (a) b) S {parent} 1 2 3")
        (folder / "cmdline").write_bytes(name.encode() + b"\0\0")
        (folder / "status").write_text(f"Name:\tx\nRssAnon:\t{int(held * GIB) >> 10} kB\n")

    def group(self, lines: str) -> None:
        (self.proc / "self" / "cgroup").write_text(lines)

    def limit(self, path: str, limit: float, used: float, cached: float = 0) -> None:
        folder = self.cgroups / path
        folder.mkdir(parents=True, exist_ok=True)
        one = path.split("/")[0] == "memory"  # version 1 of control groups
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if one else ("max", "current")
        for name, size in zip(names, (limit, used), strict=True):
            value = "max" if math.isinf(size) else str(int(size * GIB))
            (folder / (name if one else f"memory.{name}")).write_text(f"{value}\n")
        prefix = "total_" if one else ""
        half = int(cached * GIB / 2)
        (folder / "memory.stat").write_text(
            f"anon 5\n{prefix}inactive_file {half}\n{prefix}active_file {half}\n"
        )

    def free(self, sharers: int = 1, threshold: float = 1.0) -> float:
        budget = MemoryBudget(
            threshold=threshold, sharers=sharers, proc=self.proc, cgroups=self.cgroups
        )
        return budget.free() / GIB


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_a_container_it_is_the_machines(machine: Machine) -> None:
    assert machine.free() == 12
    assert machine.free(threshold=0.5) == 4


def test_beyond_the_threshold_nothing_is_free(machine: Machine) -> None:
    assert machine.free(threshold=0.2) == 0


@pytest.mark.parametrize(
    ("group", "path"),
    [
        ("0::/", ""),  # a container that sees its own group as the root
        ("0::/kubepods/pod1", "kubepods/pod1"),
        ("0::/kubepods/pod1", "kubepods"),  # the limit of a group above
        ("0::/outside/pod1", ""),  # the path that it has outside
        ("4:memory:/\n0::/", "memory"),
        ("9:name=systemd:/a\n4:memory:/a/b\n0::/", "memory/a/b"),
        ("3:cpu,memory:/a/b", "memory"),
    ],
)
def test_in_a_container_it_is_the_containers(machine: Machine, group: str, path: str) -> None:
    machine.group(group)
    machine.limit(path, limit=6, used=4, cached=1)
    assert machine.free() == 3


def test_the_tightest_of_nested_limits_holds(machine: Machine) -> None:
    machine.group("0::/a/b")
    machine.limit("a/b", limit=8, used=2)
    machine.limit("a", limit=9, used=7)
    machine.limit("", limit=math.inf, used=7)
    assert machine.free() == 2


def test_the_threshold_is_that_of_what_ray_looks_at(machine: Machine) -> None:
    machine.use(total=16, available=6)
    machine.group("0::/")
    machine.limit("", limit=12, used=2)
    assert machine.free(threshold=0.5) == 4  # of the container, whatever its neighbours use
    machine.use(total=16, available=3)
    assert machine.free(threshold=0.5) == pytest.approx(0.95 * 16 - 13)  # or what is left to it
    machine.use(total=16, available=12)
    machine.limit("", limit=20, used=2)
    assert machine.free(threshold=0.5) == 4  # the machine's half
    machine.group("0::/a")
    machine.limit("a", limit=6, used=2)
    assert machine.free(threshold=0.5) == pytest.approx(0.95 * 6 - 2)


@pytest.mark.parametrize("unlimited", [math.inf, 2.0**33])
def test_a_container_without_a_limit_has_the_machine(machine: Machine, unlimited: float) -> None:
    machine.group("0::/")
    machine.limit("", limit=unlimited, used=1)
    assert machine.free() == 12


def test_workers_of_a_node_have_equal_shares_whoever_holds_how_much(machine: Machine) -> None:
    # 16, less the 1 that others use, makes 15; three of 5, of which this one has 1 already.
    machine.process(101, "ray::FusionActor", 0.5)
    machine.process(102, "ray::FusionActor.run", 1.5)
    assert machine.free(sharers=3) == 4
    (machine.proc / "102" / "status").write_text(f"RssAnon: {int(4.5 * GIB) >> 10} kB")
    machine.use(total=16, available=9)
    assert machine.free(sharers=3) == 4


def test_all_that_look_at_once_may_take_what_they_find(machine: Machine) -> None:
    for pid, held in ((101, 1.0), (102, 1.0)):
        machine.process(pid, "ray::FusionActor", held)
    assert 3 * machine.free(sharers=3) <= 12


def test_a_worker_that_is_to_come_has_its_share_left(machine: Machine) -> None:
    assert machine.free(sharers=2) == pytest.approx((16 - 3) / 2 - 1)


def test_where_another_worker_is_over_its_share_what_is_free_is_all(machine: Machine) -> None:
    machine.process(101, "ray::FusionActor", 10)
    machine.use(total=16, available=3)
    assert machine.free(sharers=2) == 3


def test_other_processes_are_no_workers_of_this_run(machine: Machine) -> None:
    machine.process(101, "ray::FusionActor", 1, parent=8)  # another node's, in the same machine
    machine.process(102, "ray::ScoringActor", 1)
    assert machine.free(sharers=2) == pytest.approx((16 - 3) / 2 - 1)
    # Of more than can be this run's, the larger ones are taken to be another's.
    machine.process(103, "ray::FusionActor", 0.5)
    machine.process(104, "ray::FusionActor", 1.0)
    assert machine.free(sharers=2) == pytest.approx((16 - 2.5) / 2 - 1)


def test_a_system_that_tells_nothing_sets_no_bound(tmp_path: Path) -> None:
    budget = MemoryBudget(proc=tmp_path / "none", cgroups=tmp_path / "none")
    assert budget.free() == math.inf
    assert budget.holds(1 << 60, "cpu")


def test_what_is_held_has_a_margin_and_leaves_room_for_the_other_threads(machine: Machine) -> None:
    budget = MemoryBudget(threshold=1.0, proc=machine.proc, cgroups=machine.cgroups)
    assert budget.holds(10 * GIB, "cpu")
    assert not budget.holds(10.5 * GIB, "cpu")
    assert not budget.holds(10 * GIB, "cpu", beside=GIB)


def test_on_a_gpu_it_is_the_share_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10 * GIB, 16 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 3 * GIB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 1 * GIB)
    assert MemoryBudget().free("cuda:0") == 12 * GIB
    assert MemoryBudget(gpu_share=0.5).free("cuda:0") == 7 * GIB
    assert MemoryBudget(gpu_share=0.125).free("cuda:0") == 2 * GIB
    # What the host's threads take meanwhile isn't taken of the GPU.
    assert MemoryBudget().holds(10 * GIB, "cuda", beside=9 * GIB)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_this_machine_tells() -> None:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < MemoryBudget().free() < total
    assert 0 < MemoryBudget(sharers=2).free() < total / 2


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_what_was_freed_goes_back_to_the_system() -> None:
    program = """
import gc
from pathlib import Path
from fusion_core.models.memory_budget import MemoryBudget, _anonymous, give_back_freed
small = [bytes(1000) for _ in range(200_000)]
kept = bytes(1000)
del small
gc.collect()
before = _anonymous(Path("/proc/self"))
assert give_back_freed()
print(before - _anonymous(Path("/proc/self")))
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(told.stdout) > 0
    assert give_back_freed()
