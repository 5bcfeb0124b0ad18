"""The heartbeat's process: nothing that its run does makes it late, and it ends with its run."""

import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import lease_driver
import pytest
from processes import alive, descendants, wait_for

from fusion_core.archive import heartbeat
from fusion_core.archive.heartbeat import SILENCE
from fusion_core.archive.lease import Lease, acquire
from fusion_core.archive.lease_record import LeaseRecord, read_record, write_record
from fusion_core.errors import LeaseLostError, OutputBusyError
from fusion_core.storage.store import Storage

SECONDS = 1.0
Start = Callable[..., tuple[subprocess.Popen[str], int]]


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "out"))


@pytest.fixture
def start(output: Storage) -> Iterator[Start]:
    """Starts a driver with the lease, as the leader of a process group."""
    started: list[subprocess.Popen[str]] = []

    def begin(what: str = "wait", beats_by: str = "process") -> tuple[subprocess.Popen[str], int]:
        driver = subprocess.Popen(
            [sys.executable, lease_driver.__file__, output.url(""), what, str(SECONDS), beats_by],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(driver)
        assert driver.stdout is not None
        return driver, int(driver.stdout.readline())

    yield begin
    for driver in started:
        for pid in [*descendants(driver.pid), driver.pid]:
            if driver.poll() is None:
                os.kill(pid, signal.SIGKILL)
        driver.communicate()


def take(output: Storage, seconds: float = SECONDS, until: float | None = None) -> Lease:
    return acquire(lambda: output, "second", seconds=seconds, wait=True, until=until)


def take_from_the_dead(output: Storage) -> tuple[Lease, float]:
    """Take the second generation; also return after how many seconds it was written.

    The start of its own heartbeat's process comes after that.
    """
    began = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        taking = threads.submit(take, output)
        while read_record(output, 2) is None and not taking.done():
            time.sleep(0.02)
        waited = time.monotonic() - began
        return taking.result(), waited


def process_of(lease: Lease) -> int:
    process = lease._heart._process
    assert process is not None
    assert alive(process.pid)
    return process.pid


def record_of(output: Storage, generation: int = 1) -> LeaseRecord:
    record = read_record(output, generation)
    assert record is not None
    return record


def ends(pid: int, seconds: float) -> None:
    wait_for(lambda: not alive(pid), seconds, "the heartbeat's process did not end")


def test_a_driver_that_holds_the_interpreters_lock_keeps_its_lease(
    output: Storage, start: Start
) -> None:
    driver, _ = start("hold-lock")
    before = record_of(output).beat
    with pytest.raises(OutputBusyError, match="driver on"):
        take(output, until=time.monotonic() + (lease_driver.HELD_LEASES - 1) * SECONDS)
    assert driver.poll() is None  # it held the lock all the while
    assert record_of(output).beat - before > lease_driver.HELD_LEASES
    told, errors = driver.communicate(timeout=30)
    assert (told, errors, driver.returncode) == ("ended\n", "", 0)
    assert record_of(output).released


def test_a_thread_alone_would_not_have_kept_it(output: Storage, start: Start) -> None:
    driver, _ = start("hold-lock", "thread")
    second = take(output)
    assert driver.poll() is None
    second.release()


def test_a_killed_drivers_heartbeat_ends_with_it(output: Storage, start: Start) -> None:
    driver, process = start()
    driver.kill()
    ends(process, 5)
    second, waited = take_from_the_dead(output)
    assert waited < 3 * SECONDS
    second.release()


def test_it_ends_though_a_child_of_the_driver_holds_its_pipe(start: Start) -> None:
    driver, process = start("fork")
    (forked,) = descendants(driver.pid) - {process}
    driver.kill()
    ends(process, 5)
    os.kill(forked, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_the_group_are_for_the_driver(
    output: Storage, start: Start, number: signal.Signals
) -> None:
    driver, process = start()
    os.kill(process, number)  # as a service manager does that means each process
    os.killpg(driver.pid, signal.SIGINT)
    told, errors = driver.communicate(timeout=30)
    assert (told, errors) == ("interrupted\nended\n", "")
    assert not alive(process)
    assert record_of(output).released


def test_a_driver_that_is_stopped_for_good_is_let_go(output: Storage, start: Start) -> None:
    driver, process = start()
    os.kill(driver.pid, signal.SIGSTOP)
    second, waited = take_from_the_dead(output)
    assert SECONDS * (SILENCE - 1) < waited < SECONDS * SILENCE + 4
    os.kill(driver.pid, signal.SIGCONT)
    told, errors = driver.communicate(timeout=30)
    assert told.startswith("lost: second took the output over from driver")
    assert errors == ""
    assert not alive(process)
    second.check()
    second.release()
    assert not record_of(output).released


def test_nothing_is_written_after_the_release(output: Storage) -> None:
    rng = random.Random(5)
    for generation in range(1, 6):
        lease = take(output, seconds=0.04)  # a beat every 10 ms
        process = process_of(lease)
        lease.settle(generation - 1)
        time.sleep(rng.random() / 10)
        lease.release()
        assert not alive(process)
        record = record_of(output, generation)
        time.sleep(0.1)
        assert record_of(output, generation) == record
        assert (record.released, record.settled) == (True, generation - 1)


def test_an_abandoned_lease_stands_still(output: Storage) -> None:
    lease = take(output, seconds=0.2)
    process = process_of(lease)
    lease.abandon()
    assert not alive(process)
    record = record_of(output)
    time.sleep(0.3)
    assert record_of(output) == record


def test_a_thread_goes_on_where_the_process_is_killed(
    output: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    lease = take(output)
    with caplog.at_level(logging.WARNING):
        os.kill(process_of(lease), signal.SIGKILL)
        before = record_of(output).beat
        wait_for(lambda: record_of(output).beat > before + 2, 5, "nobody beats")
    assert "a thread goes on" in caplog.text
    lease.release()
    assert record_of(output).released


def test_a_successor_is_told_of(output: Storage) -> None:
    lease = take(output)
    process = process_of(lease)
    other = LeaseRecord(run_id="third", host="h", token="t", seconds=60.0)
    write_record(output, 2, other)
    ends(process, 5)
    with pytest.raises(LeaseLostError, match="third took the output over from second"):
        lease.check()
    lease.release()
    assert not record_of(output).released


def test_what_is_settled_is_written_at_once(output: Storage) -> None:
    lease = take(output, seconds=3600.0)
    process_of(lease)
    lease.settle(7)
    wait_for(lambda: record_of(output).settled == 7, 5, "it was not written")
    lease.release()
    assert record_of(output).settled == 7


def test_secrets_are_neither_arguments_nor_environment(tmp_path: Path) -> None:
    output = Storage(str(tmp_path), {"secret": "s3cr3t-of-the-store"})
    lease = take(output)
    proc = Path(f"/proc/{process_of(lease)}")
    assert b"heartbeat" in (proc / "cmdline").read_bytes()
    assert b"s3cr3t" not in (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
    lease.release()


def test_options_that_no_pipe_carries_leave_it_to_a_thread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = Storage(str(tmp_path), {"session": object()})
    lease = take(output)
    assert lease._heart._process is None
    assert "only a thread" in caplog.text
    wait_for(lambda: record_of(output).beat, 5, "nobody beats")
    lease.release()


def test_fresh_credentials_are_used(output: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Any] = []

    def storage(heard: dict[str, Any]) -> Storage:
        used.append(heard["options"])
        return output

    monkeypatch.setattr(heartbeat, "_storage", storage)
    record = LeaseRecord(run_id="r", host="h", token="t", seconds=60.0)
    told: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    messages = [
        {"generation": 1, "record": record.model_dump(), "options": {"key": key}}
        for key in ("old", "old", "new")
    ]
    for message in [*messages[1:], None]:
        told.put(message)
    heartbeat._beat_until_told(messages[0], told)
    assert used == [{"key": "old"}, {"key": "new"}]
