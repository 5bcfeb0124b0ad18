"""Who belongs to a Ray session; that nobody outlives it is seen in the tests of the cluster."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors import session_reaper
from actors.session_reaper import members

HOLD = "import sys; file = open(sys.argv[1], sys.argv[2]); print(flush=True); sys.stdin.read()"


def holder(path: Path, mode: str) -> subprocess.Popen[bytes]:
    """Start a process that has a file open until its input ends."""
    command = [sys.executable, "-c", HOLD, str(path), mode]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_who_writes_into_the_sessions_folder_belongs_to_it_and_who_reads_does_not(
    tmp_path: Path,
) -> None:
    log, other = tmp_path / "session_1/logs/raylet.out", tmp_path / "session_12/raylet.out"
    for path in (log, other):
        path.parent.mkdir(parents=True)
        path.touch()
    with holder(log, "a") as writer, holder(log, "r") as reader, holder(other, "w") as stranger:
        assert members("session_1") == {writer.pid}
        assert members("session_12") == {stranger.pid}
        for process in (writer, reader, stranger):
            assert process.stdin is not None
            process.stdin.close()
    assert members("session_1") == set()
    with log.open("r+"):
        assert members("session_1") == {os.getpid()}


def test_it_runs_alone_and_waits_as_long_as_its_parent_lives(tmp_path: Path) -> None:
    """Without a path to this package, in a folder without it; whose child it isn't, it ends."""
    command = [sys.executable, "-I", session_reaper.__file__, "1", "no_such_session"]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")
    command[-2] = str(os.getpid())
    with subprocess.Popen(command, cwd=tmp_path, env={}) as child:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(5)
        child.kill()
