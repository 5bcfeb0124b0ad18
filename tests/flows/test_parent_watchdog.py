"""A run ends with its worker, in processes of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import alive

# A worker that starts a run and takes what it prints, as Prefect's does.
WORKER = """
import subprocess, sys
with subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE) as run:
    for line in run.stdout:
        print(run.pid, flush=True)
"""
# A run that says in a file how it is ended, and then ends or doesn't.
RUN = """
import os, signal, sys, time
from pathlib import Path
from flows.parent_watchdog import end_with_worker

def on_term(*_):
    Path(sys.argv[1]).write_text("terminated")
    if sys.argv[2] == "obeys":
        raise SystemExit

signal.signal(signal.SIGTERM, on_term)
end_with_worker()
end_with_worker()
print("begun", flush=True)
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    time.sleep(0.1)
"""


def start(note: Path, how: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, "-c", RUN, str(note), how],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", ["obeys", "ignores it"])
def test_a_run_is_ended_when_its_worker_is_killed(tmp_path: Path, how: str) -> None:
    with start(tmp_path / "note", how, PREFECT__FLOW_RUN_ID="1") as worker:
        assert worker.stdout is not None
        run = int(worker.stdout.readline())
        time.sleep(1.5)
        assert alive(run)
        worker.kill()
    deadline = time.monotonic() + 10
    while alive(run):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (tmp_path / "note").read_text() == "terminated"


def test_a_run_by_hand_goes_on_without_who_started_it(tmp_path: Path) -> None:
    with start(tmp_path / "note", "obeys") as shell:
        assert shell.stdout is not None
        run = int(shell.stdout.readline())
        shell.kill()
    time.sleep(2.5)
    assert alive(run)
    os.kill(run, signal.SIGKILL)
    assert not (tmp_path / "note").exists()
