"""The command line as a process of its own: without a server, and under signals."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from prefect_database import put_database
from processes import alive, command, descendants, wait_for
from tiny import settings_for, tiny_weights, write_pairs

from flows.fuse_archive import fuse_archive as flow
from flows.summaries.run import RunSummary

ENDS_SECONDS = 10.0


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    put_database(tmp_path / "prefect")
    return {
        **os.environ,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "RAY_USAGE_STATS_ENABLED": "0",
        "COLUMNS": "200",
    }


def fuse_archive(*arguments: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("fuse-archive")), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A suite that a shell runs in the background inherits an ignored interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def rows(output: Path) -> pd.DataFrame:
    return (
        pd.read_parquet(output / "manifest") if (output / "manifest").is_dir() else pd.DataFrame()
    )


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_a_run_without_a_server_and_templates_with_braces(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    write_pairs(tmp_path / "in", ["a", "b"])
    (tmp_path / "in/ir").rename(tmp_path / "in/thermal")
    arguments = ["run", "--source", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    arguments += ["--model", tiny_weights(tmp_path), "--ir", "thermal/{pair}.png"]
    arguments += ["--vi", "vi/{pair}.png"]
    with fuse_archive(*arguments, environment=environment) as process:
        told, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert "2 pairs found: 2 fused and 0 failed" in told
    assert "| mean |" in told
    assert len(rows(tmp_path / "out")) == 2


class InTerminal:
    """A command whose terminal is a real one, in which keys are pressed."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        program = str(Path(sys.executable).with_name("fuse-archive"))
        self.pid, self._terminal = pty.fork()
        if not self.pid:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(program, [program, *arguments], environment)
        self._told = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def stop(self) -> None:
        os.write(self._terminal, b"\x03")

    def wait(self, seconds: float) -> tuple[int, list[str]]:
        """Return the exit status, and what was shown, line by line."""
        wait_for(lambda: not alive(self.pid), seconds, "the command ends")
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._reader.join(5)
        return status, re.split(r"[\r\n]+", self._told.decode().strip())

    def _read(self) -> None:
        with suppress(OSError):  # which is how a terminal ends
            while some := os.read(self._terminal, 1 << 16):
                self._told += some


class InGroup:
    """A command in a process group of its own, as ``timeout`` and systemd start it."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        self._process = fuse_archive(*arguments, environment=environment)
        self.pid = self._process.pid

    def stop(self) -> None:
        os.killpg(self.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> tuple[int, list[str]]:
        """Return the exit status, and what was printed as errors, line by line."""
        _, told = self._process.communicate(timeout=seconds)
        return self._process.returncode, told.splitlines()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api", "ray_nodes")
@pytest.mark.parametrize(
    ("start", "last", "code"),
    [
        (InTerminal, "interrupted", 130),
        pytest.param(InGroup, "ended by SIGTERM", 143, marks=pytest.mark.long),
    ],
)
def test_a_signal_ends_all_soon_with_one_line_and_keeps_the_manifest_whole(
    start: type[InTerminal | InGroup],
    last: str,
    code: int,
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    names = write_pairs(tmp_path / "in", [f"p{k:02}" for k in range(24)], size=(480, 640))
    arguments = ["run", "--source", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    weights = tiny_weights(tmp_path)
    arguments += ["--model", weights, "--chunk-pairs", "2", "--publish-seconds", "0.2"]
    # The temporary server that a run starts by itself is part of what has to end.
    environment.pop("PREFECT_API_URL", None)
    process = start(*arguments, environment=environment)
    deadline = time.monotonic() + 120
    while not len(rows(tmp_path / "out")):
        assert time.monotonic() < deadline
        assert alive(process.pid)
        time.sleep(0.1)
    below = descendants(process.pid)
    assert any("ray::FusionActor" in command(pid) for pid in below)
    assert any("prefect_server.py" in command(pid) for pid in below)
    process.stop()
    status, told = process.wait(ENDS_SECONDS)
    assert status == code, told
    kept = "what was done is kept, and the next run goes on"
    assert told[-1].endswith(f"fuse-archive: {last}; {kept}"), told
    assert not any("Traceback" in line for line in told)
    deadline = time.monotonic() + 10
    while left := [pid for pid in below if alive(pid)]:
        assert time.monotonic() < deadline, [command(pid) for pid in left]
        time.sleep(0.2)
    committed = rows(tmp_path / "out")
    assert 0 < len(committed) < len(names)
    assert all(Path(url).is_file() for url in committed["fused_url"])
    again = flow(settings_for(tmp_path / "in", tmp_path / "out", weights, precision="auto"))
    assert isinstance(again, RunSummary)
    # What was committed in the last moment, and not heard of, the next run has published.
    assert len(committed) <= again.done_before < len(names)
    assert again.fused == len(names) - again.done_before
    assert sorted(rows(tmp_path / "out")["pair_id"]) == names


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 2.5])
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_all_starts_ends_it_with_one_line(
    seconds: float, sent: signal.Signals, code: int, tmp_path: Path, environment: dict[str, str]
) -> None:
    write_pairs(tmp_path / "in", ["a"])
    environment.pop("PREFECT_API_URL", None)
    process = fuse_archive(
        *("run", "--source", str(tmp_path / "in"), "--output", str(tmp_path / "out")),
        environment=environment,
    )
    wait_for(lambda: process.poll() is not None or _heeds(process.pid), 20, "it heeds signals")
    time.sleep(seconds)
    os.killpg(process.pid, sent)
    _, told = process.communicate(timeout=ENDS_SECONDS)
    assert process.returncode == code, told
    assert len(told.splitlines()) == 1, told


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_comes_where_nothing_can_be_raised_is_heeded_too(
    sent: signal.Signals, code: int
) -> None:
    script = f"""
import os, signal, time, warnings
from flows import cli

class Module:
    def __del__(self):
        os.kill(os.getpid(), {sent.value})
        time.sleep(1)

def run(words):
    module = Module()
    del module
    warnings.warn("the module is not whole", RuntimeWarning)
    time.sleep(60)

signal.signal(signal.SIGINT, signal.default_int_handler)
cli._run = run
cli.main([])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=ENDS_SECONDS
    )
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert line.startswith("fuse-archive: ")


def _heeds(pid: int) -> bool:
    """Tell whether a process has a handler of its own for SIGTERM."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_named_in_one_line(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    write_pairs(tmp_path / "in", ["a"], size=(16, 16))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/api"
        run = fuse_archive(
            *("run", "--source", str(tmp_path / "in"), "--output", str(tmp_path / "out")),
            *("--model", "mean", "--dry-run"),
            environment={**environment, "PREFECT_API_URL": address},
        )
        told, errors = run.communicate(timeout=100)
    assert run.returncode == 1
    assert told == ""
    (line,) = errors.splitlines()
    assert line.startswith("fuse-archive: PrefectServerError: Failed to reach API")
    assert "Start it, or unset PREFECT_API_URL" in line
