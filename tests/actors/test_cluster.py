"""Connecting to Ray and letting go of it, in processes of their own."""

import os
import signal
import subprocess
import sys
import time

import pytest
from processes import alive, command, descendants, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

KINDS = {"raylet", "gcs_server", "DashboardAgent", "RuntimeEnvAgent", "session_reaper"}

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


EARLY = """
import os, signal, sys
import ray
from actors import cluster
from actors.cluster import connected, starting

class Actor:
    def told(self):
        return "colorsys" in sys.modules

def on_term(*_):
    pass

signal.signal(signal.SIGTERM, on_term)
if sys.argv[1] == "fails":
    start, cluster._local = cluster._local, lambda modules: 1 / 0
with starting(None, ["colorsys"]):
    if sys.argv[1] == "fails":
        assert isinstance(cluster._starting.exception(), ZeroDivisionError)
        cluster._local = start
    with connected(None):
        assert signal.getsignal(signal.SIGTERM) is on_term
        loaded = ray.get(ray.remote(num_cpus=1)(Actor).remote().told.remote())
        assert loaded == (sys.argv[1] == "through")
assert not ray.is_initialized()
with starting("127.0.0.1:1", []):
    assert cluster._starting is None  # nothing is asked of a cluster before there is work
"""


@pytest.mark.parametrize("mode", ["through", "fails"])
def test_a_cluster_that_starts_early_is_used_and_one_that_fails_to_is_started_again(
    mode: str,
) -> None:
    done = subprocess.run([sys.executable, "-c", EARLY, mode], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def start(mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, mode], stdout=subprocess.PIPE, text=True)


def missing(pid: int) -> set[str]:
    """Return what a process with a local cluster should have below it, and hasn't."""
    commands = [command(child) for child in descendants(pid)]
    return {kind for kind in KINDS if not any(kind in what for what in commands)}


def test_a_local_cluster_ends_with_its_block_and_handlers_stay() -> None:
    with start("through") as process:
        assert process.wait(90) == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_of_ray_outlives_a_process_that_is_ended(sent: signal.Signals) -> None:
    with start("wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip()
        # The reaper is started last: on a busy machine it has no command line yet.
        wait_for(lambda: not missing(process.pid), 30, "not all of Ray and the reaper are there")
        children = descendants(process.pid)
        os.kill(process.pid, sent)
        assert process.wait(30) == (7 if sent == signal.SIGTERM else -signal.SIGKILL)
        deadline = time.monotonic() + 10
        while left := [pid for pid in children if alive(pid)]:
            assert time.monotonic() < deadline, f"still there after 10 s: {left}"
            time.sleep(0.2)
