"""A run ends with its worker, in processes of its own."""

import os
import signal
import subprocess
import sys
import time

from processes import alive

# A worker that starts a run, which tells its process id and how it is ended.
WORKER = """
import subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1]])
"""
RUN = """
import os, signal, time
from flows.worker_watch import end_with_worker

def on_term(*_):
    print("terminated", flush=True)
    raise SystemExit

signal.signal(signal.SIGTERM, on_term)
end_with_worker()
end_with_worker()
print(os.getpid(), flush=True)
time.sleep(30)
"""


def start(**variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, RUN],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_run_is_terminated_when_its_worker_is_killed() -> None:
    with start(PREFECT__FLOW_RUN_ID="1") as worker:
        assert worker.stdout is not None
        run = int(worker.stdout.readline())
        time.sleep(1.5)
        assert alive(run)
        worker.kill()
        assert worker.stdout.readline() == "terminated\n"


def test_a_run_by_hand_goes_on_without_who_started_it() -> None:
    with start() as shell:
        assert shell.stdout is not None
        run = int(shell.stdout.readline())
        shell.kill()
        shell.wait()
        time.sleep(2.5)
        assert alive(run)
        os.kill(run, signal.SIGKILL)
