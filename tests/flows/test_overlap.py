"""Two runs over one archive at the same moment."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect.settings import PREFECT_API_URL
from processes import descendants
from tiny import as_options, settings_for, tiny_weights, write_pairs

from flows.fuse_archive import fuse_archive
from flows.summaries.run import RunSummary
from flows.summaries.skipped import SkippedRun
from fusion_core.archive import lease as lease_module
from fusion_core.archive.heart import Heart
from fusion_core.archive.lease import Lease
from fusion_core.archive.lease_record import LeaseRecord, newest_generation, read_record
from fusion_core.errors import LeaseLostError
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("prefect_api", "ray_nodes"),
]
NAMES = [f"p{k:02}" for k in range(40)]


@pytest.fixture
def archive(tmp_path: Path) -> FuseArchiveSettings:
    write_pairs(tmp_path / "in", NAMES, size=(240, 320))
    return settings_for(
        tmp_path / "in",
        tmp_path / "out",
        tiny_weights(tmp_path),
        chunk_pairs=1,
        max_workers=1,
        contact_sheet=0,
        lease_seconds=1.0,
    )


@pytest.fixture
def by_hand(
    archive: FuseArchiveSettings, tmp_path: Path
) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the run as a process of its own, with a Ray of its own, and slows it down."""
    started: list[subprocess.Popen[str]] = []
    api = str(PREFECT_API_URL.value())

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("fuse-archive")), "run", *as_options(archive)],
            env={**os.environ, "COLUMNS": "200", "PREFECT_API_URL": api},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        for pid in [*descendants(process.pid), process.pid]:
            if process.poll() is None:
                os.kill(pid, signal.SIGKILL)
        process.wait()


class StillHeart:
    """A heart that doesn't beat, and whose run doesn't know."""

    lost_to = None
    is_silent = False

    def __init__(self, record: LeaseRecord):
        self.record = record

    def settle(self, generation: int) -> None:
        pass

    def stop(self) -> bool:
        return True


def manifest(archive: FuseArchiveSettings) -> pd.DataFrame:
    folder = Path(archive.output) / "manifest"
    return pd.read_parquet(folder) if folder.is_dir() else pd.DataFrame({"pair_id": []})


def wait_for(what: Callable[[], Any], reason: str) -> None:
    deadline = time.monotonic() + 90
    while not what():
        assert time.monotonic() < deadline, reason
        time.sleep(0.05)


@pytest.mark.long
def test_a_run_leaves_the_work_to_another_and_takes_it_over_from_one_that_sleeps(
    archive: FuseArchiveSettings, by_hand: Callable[[], subprocess.Popen[str]]
) -> None:
    sleeper = by_hand()
    wait_for(lambda: len(manifest(archive)), "the other run did not begin")
    left = fuse_archive(archive.model_copy(update={"overlap": "skip"}))
    assert isinstance(left, SkippedRun)
    assert "is at work on" in left.markdown()
    # The driver alone sleeps; its actors go on with what they were given.
    os.kill(sleeper.pid, signal.SIGSTOP)
    began = time.monotonic()
    summary = fuse_archive(archive)
    assert time.monotonic() - began < 60
    os.kill(sleeper.pid, signal.SIGCONT)
    told, _ = sleeper.communicate(timeout=60)
    assert sleeper.returncode == 1, told
    # What it began in that moment it could not commit.
    assert "took the output over" in told or "has taken the output over" in told
    assert isinstance(summary, RunSummary)
    assert 0 < summary.fused < len(NAMES)
    assert sorted(manifest(archive)["pair_id"]) == NAMES


@pytest.mark.long
def test_no_pair_is_doubled_though_both_believe_that_they_hold_the_output(
    archive: FuseArchiveSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run is blind to others and silent; the second finds it dead while it works."""
    names = [*NAMES, *write_pairs(archive.source, [f"q{k:02}" for k in range(16)], (480, 640))]
    output = Storage(archive.output)
    monkeypatch.setattr(Lease, "check", lambda lease: None)
    monkeypatch.setattr(Lease, "_look", lambda lease, storage: None)
    monkeypatch.setattr(
        lease_module,
        "Heart",
        lambda output, generation, record: (
            StillHeart(record) if generation == 1 else Heart(output, generation, record)
        ),
    )
    outcomes: list[object] = []

    def second() -> None:
        wait_for(lambda: len(manifest(archive)), "the first run did not begin")
        outcomes.append(fuse_archive(archive))

    thread = threading.Thread(target=second)
    thread.start()
    try:
        with pytest.raises(LeaseLostError, match="has taken the output over from"):
            fuse_archive(archive.model_copy(update={"limit": 55}))  # another plan
    finally:
        thread.join()
    (summary,) = outcomes
    assert isinstance(summary, RunSummary)
    assert sorted(manifest(archive)["pair_id"]) == names
    assert newest_generation(output) == 2
    record = read_record(output, 2)
    assert record is not None
    assert record.complete
