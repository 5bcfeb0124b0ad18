"""The lease of an output: one holder at a time, found dead by its silence alone."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fusion_core.archive import heart
from fusion_core.archive.lease import Lease, acquire
from fusion_core.archive.lease_record import (
    LEASE_FOLDER,
    PARTS_PER_LIST,
    declared_intents,
    generations,
    newest_generation,
    read_record,
    record_path,
)
from fusion_core.errors import LeaseLostError, OutputBusyError, StorageError, UnreachableError
from fusion_core.storage.store import Storage

SECONDS = 1.0


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


@pytest.fixture
def held(output: Storage) -> Iterator[Lease]:
    lease = take(output, "first")
    yield lease
    lease.abandon()


@pytest.fixture
def thread_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process can be started, so that the heartbeat is where a test can reach it."""

    def refuse(*_: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(heart, "HeartbeatProcess", refuse)


def take(output: Storage, run_id: str, wait: bool = True, exclusive: bool = True) -> Lease:
    return acquire(lambda: output, run_id, seconds=SECONDS, wait=wait, exclusive=exclusive)


@pytest.mark.usefixtures("thread_alone")
def test_a_lease_that_was_given_back_is_free_at_once(output: Storage, held: Lease) -> None:
    held.release()
    began = time.monotonic()
    second = take(output, "second", wait=False)
    second.all_published()
    second.release()
    assert time.monotonic() - began < SECONDS
    assert (held.generation, second.generation) == (1, 2)
    record = read_record(output, 2)
    assert record is not None
    assert (record.run_id, record.released, record.complete) == ("second", True, True)


def test_who_may_not_wait_leaves_at_the_holders_heartbeat(output: Storage, held: Lease) -> None:
    with pytest.raises(OutputBusyError, match=r"first on .* is at work on .*overlap to 'wait'"):
        take(output, "second", wait=False)
    held.check()


def test_waiting_ends_at_its_time(output: Storage, held: Lease) -> None:
    began = time.monotonic()
    with pytest.raises(OutputBusyError, match="no earlier deadline"):
        acquire(lambda: output, "second", seconds=SECONDS, wait=True, until=began + SECONDS)
    assert SECONDS <= time.monotonic() - began < 4 * SECONDS
    held.check()


@pytest.mark.usefixtures("thread_alone")
def test_who_may_wait_has_it_as_soon_as_it_is_free(output: Storage, held: Lease) -> None:
    with ThreadPoolExecutor(1) as thread:
        second = thread.submit(take, output, "second")
        time.sleep(2 * SECONDS)  # longer than a dead one is waited for
        assert not second.done()
        held.release()
        second.result(timeout=SECONDS).release()


@pytest.mark.usefixtures("thread_alone")
@pytest.mark.parametrize("wait", [True, False])
def test_a_dead_holders_lease_is_taken_over_after_its_time_and_not_before(
    output: Storage, held: Lease, wait: bool
) -> None:
    held.abandon()
    began = time.monotonic()
    second = take(output, "second", wait)
    assert SECONDS <= time.monotonic() - began < 3 * SECONDS
    with pytest.raises(LeaseLostError, match="second took the output over from first"):
        held.declare_intents(["part"])
    second.check()
    second.release()


@pytest.mark.usefixtures("thread_alone")
def test_a_holder_that_wakes_up_finds_out_by_its_next_heartbeat(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = threading.Event()
    write = Storage.write

    def slow(self: Storage, path: str, body: bytes) -> None:
        if b"sleeper" in body:
            asleep.wait(10)
        write(self, path, body)

    monkeypatch.setattr(Storage, "write", slow)
    first = take(output, "sleeper")
    second = take(output, "second")
    asleep.set()
    first._heart._thread.join(timeout=5)
    with pytest.raises(LeaseLostError, match="second took the output over"):
        first.check()
    second.check()
    first.release()
    record = read_record(output, 2)
    assert record is not None
    assert not record.released
    second.release()


def test_many_that_want_it_have_it_one_after_the_other(output: Storage) -> None:
    holding, most = [], []

    def one(number: int) -> None:
        lease = take(output, f"run {number}")
        holding.append(number)
        most.append(len(holding))
        time.sleep(0.05)
        holding.remove(number)
        lease.release()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(one, range(6)))
    assert most == [1] * 6
    assert newest_generation(output) >= 6


@pytest.mark.usefixtures("thread_alone")
def test_a_heartbeat_that_fails_once_is_made_up_for(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = take(output, "first")
    failures = [UnreachableError("away")]
    write = Storage.write

    def flaky(self: Storage, path: str, body: bytes) -> None:
        if failures:
            raise failures.pop()
        write(self, path, body)

    monkeypatch.setattr(Storage, "write", flaky)
    deadline = time.monotonic() + 5
    while (record := read_record(output, 1)) is None or record.beat < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not failures
    held.check()
    held.release()


def test_declared_intents_can_be_looked_up(output: Storage, held: Lease) -> None:
    held.declare_intents(["a.parquet", "b.parquet"])
    held.declare_intents(["c.parquet"])
    lists = list(declared_intents(output, held.generation))
    assert lists == [["a.parquet", "b.parquet"], ["c.parquet"]]
    assert list(declared_intents(output, 2)) == []
    held.release()
    record = read_record(output, held.generation)
    assert record is not None
    assert not record.complete


@pytest.mark.usefixtures("thread_alone")
def test_any_thread_may_declare_intents_at_any_time(output: Storage) -> None:
    held = take(output, "first")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: held.declare_intents([f"{number}"]), range(40)))
    lists = list(declared_intents(output, held.generation))
    assert sorted(lists) == sorted([f"{number}"] for number in range(40))
    held.release()


@pytest.mark.usefixtures("thread_alone")
def test_intents_whose_answer_got_lost_leave_no_gap_and_are_not_replaced(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = take(output, "first")
    create = Storage.create
    arrives = iter([True, False])

    def lost(self: Storage, path: str, body: bytes) -> bool:
        if next(arrives):
            create(self, path, body)
        raise UnreachableError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "create", lost)
        for part in ("a", "b"):
            with pytest.raises(UnreachableError):
                held.declare_intents([part])
    held.declare_intents(["c"])
    held.declare_intents([f"{number}" for number in range(PARTS_PER_LIST + 1)])
    lists = list(declared_intents(output, held.generation))
    assert lists[:2] == [["a"], ["c"]]
    assert [len(one) for one in lists] == [1, 1, PARTS_PER_LIST, 1]
    held.release()


def plans(output: Storage) -> list[str]:
    paths = output.list(f"{LEASE_FOLDER}/")["path"].to_pylist()
    return [path.removeprefix(f"{LEASE_FOLDER}/") for path in paths if path.endswith(".plan")]


@pytest.mark.usefixtures("thread_alone")
def test_old_intents_are_removed_once_they_are_settled_and_records_stay(output: Storage) -> None:
    for number in range(1, 13):
        lease = take(output, f"run {number}")
        lease.declare_intents(["part"])
        lease.settle(lease.generation - 1)
        lease.release()
    assert plans(output) == [f"{number:08}-000001.plan" for number in range(4, 13)]
    assert generations(output) == list(range(1, 13))


@pytest.mark.usefixtures("thread_alone")
def test_one_that_slept_while_many_came_and_went_finds_out(output: Storage, held: Lease) -> None:
    held.abandon()
    for number in range(2, 14):
        lease = take(output, f"run {number}")
        lease.settle(lease.generation - 1)
        lease.release()
    with pytest.raises(LeaseLostError, match="run 2 took the output over from first"):
        held.declare_intents(["part"])


@pytest.mark.usefixtures("thread_alone")
def test_without_the_right_to_remove_the_old_ones_stay(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(output.fs, "rm_file", refuse)
    for number in range(1, 12):
        lease = take(output, f"run {number}")
        lease.declare_intents(["part"])
        lease.settle(lease.generation - 1)
        lease.release()
    assert len(plans(output)) == 11


def test_a_foreign_file_in_place_of_a_record_is_named(output: Storage) -> None:
    output.write(record_path(1), b"no JSON")
    with pytest.raises(StorageError, match=r"00000001.json is no lease of this software"):
        take(output, "first")


def test_where_creating_overwrites_the_claim_is_read_back(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overwriting(self: Storage, path: str, body: bytes) -> bool:
        meeting.wait(5)  # both have seen that nobody holds it
        self.write(path, body)
        return True

    meeting = threading.Barrier(2, timeout=5)
    monkeypatch.setattr(Storage, "create", overwriting)
    calls: list[Callable[[], Lease]] = [
        lambda: take(output, "one", False, exclusive=False),
        lambda: take(output, "two", False, exclusive=False),
    ]
    outcomes: list[object] = []
    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(call) for call in calls]:
            try:
                outcomes.append(future.result(timeout=20))
            except OutputBusyError as error:
                outcomes.append(error)
    (winner,) = [one for one in outcomes if isinstance(one, Lease)]
    winner.check()
    winner.release()
    assert output.list(f"{LEASE_FOLDER}/").num_rows == 1
