"""Connecting to Ray and letting go of it, in processes of their own."""

import os
import signal
import subprocess
import sys
import time

import pytest
from processes import alive, command, descendants

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SCRIPT = """
import signal, sys, time
import ray
from actors.cluster import connected

def on_term(*_):
    raise SystemExit(7)

signal.signal(signal.SIGTERM, on_term)
with connected(None):
    assert signal.getsignal(signal.SIGTERM) is on_term
    with connected(None):
        pass
    assert ray.is_initialized()  # the inner block found a connection and must not end it
    print(ray.get_runtime_context().gcs_address, flush=True)
    if sys.argv[1] == "wait":
        time.sleep(60)
assert not ray.is_initialized()
"""


def start(mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, mode], stdout=subprocess.PIPE, text=True)


def test_a_local_cluster_ends_with_its_block_and_handlers_stay() -> None:
    with start("through") as process:
        assert process.wait(90) == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_of_ray_outlives_a_process_that_is_ended(sent: signal.Signals) -> None:
    with start("wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip()
        children = descendants(process.pid)
        commands = [command(pid) for pid in children]
        for kind in ("raylet", "gcs_server", "DashboardAgent", "RuntimeEnvAgent", "session_reaper"):
            assert any(kind in what for what in commands), f"{kind} is not in {commands}"
        os.kill(process.pid, sent)
        assert process.wait(30) == (7 if sent == signal.SIGTERM else -signal.SIGKILL)
        deadline = time.monotonic() + 10
        while left := [pid for pid in children if alive(pid)]:
            assert time.monotonic() < deadline, f"still there after 10 s: {left}"
            time.sleep(0.2)
