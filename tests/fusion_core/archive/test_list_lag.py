"""A store that lists what was written only a while later can't fool lease or fence."""

import collections
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tiny import TODAY

from fusion_core.archive import heart
from fusion_core.archive.layout import part_path
from fusion_core.archive.lease import Lease, acquire
from fusion_core.archive.lease_record import generations, newest_generation
from fusion_core.archive.parts import commit_part, read_part_or_tombstone
from fusion_core.archive.publisher import Publisher
from fusion_core.errors import LeaseLostError
from fusion_core.storage.store import Storage

SECONDS = 1.0
LAG = 4.0


class LaggingStorage(Storage):
    """A local folder whose listing shows a file only some seconds after it was written."""

    def list(self, prefix: str = "") -> pa.Table:
        table = super().list(prefix)
        ages = [self._age(path) for path in table["path"].to_pylist()]
        return table.filter(pa.array([age > LAG for age in ages], pa.bool_()))

    def _age(self, path: str) -> float:
        try:
            return time.time() - Path(self.fs_path(path)).stat().st_ctime
        except FileNotFoundError:  # half a file of the heartbeat's, which is renamed by now
            return 0.0


class CountingStorage(Storage):
    """Counts its calls."""

    def __init__(self, url: str):
        super().__init__(url)
        self.calls: collections.Counter[str] = collections.Counter()

    def call(self, what: str, action: Any, size: int = 0) -> Any:
        self.calls[what.split()[0]] += 1
        return super().call(what, action, size)


@pytest.fixture
def lagging(tmp_path: Path) -> Storage:
    return LaggingStorage(str(tmp_path))


@pytest.fixture
def thread_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(heart, "HeartbeatProcess", refuse)


def take(output: Storage, run_id: str) -> Lease:
    return acquire(lambda: output, run_id, seconds=SECONDS, wait=True)


@pytest.fixture
def taken_over(lagging: Storage) -> Iterator[tuple[Lease, Lease]]:
    """A run that paused, and the one that took its output over."""
    paused = take(lagging, "paused")
    paused.declare_intents([part_path(TODAY, "a1"), part_path(TODAY, "a2")])
    paused.declare_intents([part_path(TODAY, "a3")])
    paused.abandon()
    second = take(lagging, "second")
    yield paused, second
    second.release()


def test_a_paused_run_that_wakes_up_after_a_take_over_commits_nothing(
    lagging: Storage, taken_over: tuple[Lease, Lease]
) -> None:
    paused, second = taken_over
    assert generations(lagging) != [1, 2]  # the listing lags, else this shows nothing
    with pytest.raises(LeaseLostError, match="second took the output over from paused"):
        paused.declare_intents([part_path(TODAY, "b1")])
    assert Publisher(lambda: lagging, second).take_over().tombstones == 4
    for part in ("a1", "a2", "a3", "b1"):
        assert not commit_part(lagging, part_path(TODAY, part), [])


def test_who_takes_over_closes_intents_that_are_not_listed_yet(
    lagging: Storage, taken_over: tuple[Lease, Lease]
) -> None:
    _, second = taken_over
    assert len(lagging.list("runs/.lease/0000000")) < 4
    assert Publisher(lambda: lagging, second).take_over().tombstones == 3
    _, closed_by = read_part_or_tombstone(lagging, part_path(TODAY, "a3"))
    assert closed_by == "second"


@pytest.mark.usefixtures("thread_alone")
def test_generations_that_are_not_listed_yet_are_not_taken_again(lagging: Storage) -> None:
    for number in range(1, 6):
        lease = take(lagging, f"run {number}")
        assert lease.generation == number
        lease.release()
    assert generations(lagging) == []
    assert newest_generation(lagging) == 5


@pytest.mark.usefixtures("thread_alone")
def test_declaring_costs_the_same_at_the_first_list_as_at_the_ten_thousandth(
    tmp_path: Path,
) -> None:
    output = CountingStorage(str(tmp_path))
    lease = acquire(lambda: output, "long", seconds=3600.0, wait=True)

    def cost() -> dict[str, int]:
        output.calls.clear()
        lease.declare_intents([part_path(TODAY, f"{k:x}") for k in range(64)])
        return dict(output.calls)

    first = cost()
    folder = Path(output.fs_path("runs/.lease"))
    for number in range(2, 10_000):
        (folder / f"{1:08}-{number:06}.plan").touch()
    lease.lists = 9_999
    assert cost() == first == {"create": 1, "read": 1}
    output.calls.clear()
    assert lease._heart._pulse.beat(output) is None
    assert output.calls == {"read": 1, "write": 1}
    lease.release()
