"""A driver ends where it is ordered to, and what it leaves is what a kill there leaves."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fault_orders import FaultOrders
from kinds import POINTS

PROGRAM = """
import sys, tempfile
from pathlib import Path
from archive_fixture import ArchiveFixture
from tiny import TODAY
from fusion_core.archive.index.key_index import open_index
from fusion_core.archive.layout import part_path
from fusion_core.archive.lease import acquire
from fusion_core.archive.publisher import Publisher
archive, run = ArchiveFixture(sys.argv[1]), sys.argv[2]
lease = acquire(lambda: archive.output, run, seconds=1, wait=True)
publisher = Publisher(lambda: archive.output, lease)
publisher.take_over()
with tempfile.TemporaryDirectory() as folder:
    open_index(archive.output, "manifest", Path(folder), generation=lease.generation)
if run == "first":
    publisher.declare([part_path(TODAY, "0a"), part_path(TODAY, "0b")])
    chunk = archive.chunk()
    publisher.committed(archive.worker("run").run(type(chunk)("0a", chunk.pairs)).parts)
    publisher.publish()
lease.release()
"""
CLEAN = "from flows.cli import main; main()"
LEFT = {
    "before_record": (0, 0),
    "after_record": (1, 0),
    "after_file": (1, 1),
}


@pytest.fixture
def orders(tmp_path: Path) -> FaultOrders:
    return FaultOrders(tmp_path / "faults")


def drive(orders: FaultOrders, folder: Path, run: str) -> int:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), run],
        env=os.environ | orders.environment("driver"),
        timeout=60,
        check=False,
    ).returncode


def left(folder: Path) -> tuple[int, int]:
    """Count the records of publications, and the files of published rows."""
    records = list(folder.rglob("commits/published/*.json"))
    return len(records), len(list(folder.rglob("manifest/date=*/rows-*.parquet")))


@pytest.mark.parametrize("point", POINTS["publishing"])
def test_a_driver_ends_around_a_publication(
    orders: FaultOrders, tmp_path: Path, point: str
) -> None:
    of_a_worker, laid = orders.order("gpu"), orders.order("publishing", f"{point} 0")
    assert drive(orders, tmp_path / "archive", "first") == -signal.SIGKILL
    assert (orders.met_on(laid), orders.met_at(laid)) == ("driver", point)
    assert left(tmp_path / "archive") == LEFT[point]
    assert orders.withdraw(of_a_worker), "a driver meets no worker's order"


@pytest.mark.parametrize(
    ("order", "met"), [("after_removal 0", "after_removal"), ("before_removal 99", "end")]
)
@pytest.mark.long
def test_a_cleaning_ends_while_it_removes(
    orders: FaultOrders, tmp_path: Path, order: str, met: str
) -> None:
    archive = tmp_path / "archive"
    assert drive(orders, archive, "first") == 0
    (commit,) = archive.rglob("commits/*/date=*/part-*.parquet")
    laid = orders.order("cleaning", order)
    output = str(next(archive.rglob("commits")).parent)
    words = ["-c", CLEAN, "clean", "--output", output, "--days", "0", "--yes"]
    environment = os.environ | orders.environment("driver")
    done = subprocess.run([sys.executable, *words], env=environment, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert orders.met_at(laid) == met
    assert not commit.exists()


@pytest.mark.long
def test_a_driver_ends_while_it_takes_over_and_while_it_indexes(
    orders: FaultOrders, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    orders.order("publishing", "after_record 0")
    assert drive(orders, archive, "first") == -signal.SIGKILL
    for kind, wanted, met in (
        ("takeover", "before_promised 0", "before_promised"),
        ("takeover", "before_record 9", "end"),
        ("merging", "after_shard 0", "after_shard"),
        ("merging", "before_state 9", "end"),
    ):
        laid = orders.order(kind, wanted)
        assert drive(orders, archive, "next") == -signal.SIGKILL, (kind, wanted)
        assert orders.met_at(laid) == met
    assert drive(orders, archive, "next") == 0
    assert left(archive)[1] == 1
