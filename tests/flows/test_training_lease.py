"""Two trainings don't share an output, whose lease real processes hold here."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import lease_driver
import pytest
from tiny import train_settings_for

from flows.credentials import StorageCredentials
from flows.training_lease import training_lease
from fusion_core.archive.lease_record import read_record
from fusion_core.errors import OutputBusyError, UnreachableError
from fusion_core.storage.store import Storage
from fusion_core.training.settings import TrainSettings

SECONDS = 1.0


@pytest.fixture
def settings(tmp_path: Path) -> TrainSettings:
    (tmp_path / "out").mkdir()
    return train_settings_for(tmp_path / "in", tmp_path / "out", lease_seconds=SECONDS)


@pytest.fixture
def other(settings: TrainSettings) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lease of the output."""
    command = [sys.executable, lease_driver.__file__, settings.output, "wait", f"{SECONDS}"]
    with subprocess.Popen([*command, "process"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()  # it has the lease
        yield process
        process.kill()


def files(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def released(settings: TrainSettings, generation: int) -> bool:
    record = read_record(Storage(settings.output), generation)
    return record is not None and record.released


def test_the_second_training_says_who_is_at_work_and_changes_nothing(
    settings: TrainSettings, other: subprocess.Popen[str]
) -> None:
    checkpoint = Path(settings.output) / "checkpoint.safetensors"
    checkpoint.write_bytes(b"of the first")
    told = rf"^driver on \S+ is at work on {settings.output}.*into another output folder"
    for _ in range(2):
        with (
            pytest.raises(OutputBusyError, match=told),
            training_lease(settings, StorageCredentials(None)),
        ):
            pytest.fail("the other one holds it")
    assert other.poll() is None
    assert checkpoint.read_bytes() == b"of the first"
    assert read_record(Storage(settings.output), 2) is None


def test_the_lease_of_a_killed_training_is_taken_over_after_its_time(
    settings: TrainSettings, other: subprocess.Popen[str]
) -> None:
    other.kill()
    began = time.monotonic()
    with training_lease(settings, StorageCredentials(None)) as lease:
        assert lease.generation == 2
        assert time.monotonic() - began > SECONDS
        assert not released(settings, 2)
    assert released(settings, 2)


def test_a_training_that_ends_gives_its_lease_back_however_it_ends(
    settings: TrainSettings,
) -> None:
    for generation, error in enumerate((KeyboardInterrupt, ZeroDivisionError, None), 1):
        began = time.monotonic()
        try:
            with training_lease(settings, StorageCredentials(None)) as lease:
                assert lease.generation == generation
                if error:
                    raise error
        except (KeyboardInterrupt, ZeroDivisionError):
            pass
        assert released(settings, generation)
        assert time.monotonic() - began < 30
    with (
        pytest.raises(UnreachableError),
        training_lease(settings, StorageCredentials(None)),
    ):
        raise UnreachableError
    assert not released(settings, 4), "whoever can't be reached can't be told"
