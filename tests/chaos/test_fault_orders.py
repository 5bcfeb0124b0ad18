"""What is ordered happens in one process, which need not know of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_orders import FaultOrders
from processes import kill_tree

PROGRAM = """
import sys, torch
from tiny import tiny_fuser
fuse, image = tiny_fuser(), torch.rand(1, 1, 16, 16)
for _ in sys.stdin:
    try:
        fuse(image, image)
        print("fused", flush=True)
    except RuntimeError as error:
        print(error, flush=True)
"""


class Worker:
    """A process that fuses once for each line that it is sent."""

    def __init__(self, environment: dict[str, str]):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def fuse(self) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("once\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture
def orders(tmp_path: Path) -> FaultOrders:
    return FaultOrders(tmp_path / "faults")


@pytest.fixture
def worker(orders: FaultOrders) -> Iterator[Worker]:
    worker = Worker(orders.environment("n7"))
    yield worker
    kill_tree(worker.process.pid)
    worker.process.communicate()


def test_a_gpu_fault_is_met_once_and_stays(orders: FaultOrders, worker: Worker) -> None:
    assert worker.fuse() == "fused"
    first, second = orders.order("gpu"), orders.order("hang")
    told = [worker.fuse() for _ in range(3)]
    assert told == ["CUDA error: an illegal memory access was encountered"] * 3
    assert orders.met_on(first) == "n7"
    assert not orders.withdraw(first)
    assert orders.met_on(second) is None, "a broken process meets nothing more"
    assert orders.withdraw(second)
