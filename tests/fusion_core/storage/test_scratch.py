import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fusion_core.storage.scratch import scratch_folder, sweep

# Says where its folder is, and waits inside it until its input ends.
_WORKER = """
import sys
from fusion_core.storage.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "work.tif").write_bytes(bytes(1000))
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@contextmanager
def worker(temp: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    with subprocess.Popen(
        [sys.executable, "-c", _WORKER],
        env=os.environ | {"TMPDIR": str(temp)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert (folder / "work.tif").is_file()
        try:
            yield process, folder
        finally:
            process.kill()


def test_a_folder_goes_with_its_use(temp: Path) -> None:
    with scratch_folder() as folder:
        assert folder.parent == temp
        (folder / "work.tif").write_bytes(b"x")
    assert list(temp.iterdir()) == []


def test_a_folder_goes_with_an_error(temp: Path) -> None:
    with pytest.raises(KeyError), scratch_folder() as folder:
        raise KeyError(str(folder))
    assert list(temp.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(temp: Path) -> None:
    with worker(temp) as (process, left):
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        assert (left / "work.tif").is_file()
    with scratch_folder() as folder:
        assert [path.name for path in temp.iterdir()] == [folder.name]


def test_what_a_living_process_uses_is_kept(temp: Path) -> None:
    with worker(temp) as (process, used):
        with scratch_folder() as folder:
            assert folder != used
        sweep(temp)
        assert (used / "work.tif").stat().st_size == 1000
        process.communicate("", timeout=30)
        assert process.returncode == 0
    assert list(temp.iterdir()) == []


def test_folders_of_one_process_do_not_sweep_each_other(temp: Path) -> None:
    with scratch_folder() as first, scratch_folder() as second:
        assert first != second
        assert first.is_dir()
        assert second.is_dir()


def test_a_folder_that_is_being_made_is_kept(temp: Path) -> None:
    """Between its creation and its lock a folder holds no lock file, or one not locked yet."""
    (temp / "fuse-archive-scratch-young").mkdir()
    sweep(temp)
    assert (temp / "fuse-archive-scratch-young").is_dir()


def test_nothing_else_is_touched(temp: Path) -> None:
    other = temp / "somebody-elses"
    other.mkdir()
    (other / "lock").write_text("")
    sweep(temp)
    assert other.is_dir()


def test_a_folder_that_is_swept_twice_at_once_is_no_error(temp: Path) -> None:
    left = temp / "fuse-archive-scratch-left"
    left.mkdir()
    (left / "lock").write_text("")
    with (left / "lock").open() as sweeper:
        fcntl.flock(sweeper, fcntl.LOCK_EX)
        sweep(temp)
        assert left.is_dir()
    sweep(temp)
    assert not left.exists()
