"""The server that a run by hand starts for itself, in processes of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import alive, command, descendants, wait_for

from flows import prefect_server

SCRIPT = """
import os, sys, time
from flows.prefect_server import start_server
ready = start_server()
assert "prefect" not in sys.modules
ready()
from prefect import flow, get_run_logger

@flow
def work():
    get_run_logger().info("at work")
    print(os.environ["PREFECT_API_URL"], "prefect.server.api.server" in sys.modules, flush=True)
    if sys.argv[1] == "wait":
        time.sleep(60)

work()
"""


def start(mode: str, home: Path) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if "PREFECT" not in name}
    environment |= {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, mode],
        env=environment,
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def servers(pid: int) -> set[int]:
    return {child for child in descendants(pid) if "prefect_server.py" in command(child)}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["through", "killed", "profiled"])
@pytest.mark.long
def test_it_serves_a_flow_on_loopback_and_ends_with_the_process(mode: str, tmp_path: Path) -> None:
    if mode == "profiled":  # another server is known, and isn't the one that is asked for
        own = 'active = "own"\n[profiles.own]\nPREFECT_SERVER_ALLOW_EPHEMERAL_MODE = "true"\n'
        other = '[profiles.other]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
        (tmp_path / "profiles.toml").write_text(own + other)
    with start("wait" if mode == "killed" else mode, tmp_path) as process:
        found: set[int] = wait_for(lambda: servers(process.pid), 60, "no server was started")
        assert process.stdout is not None
        url, loaded = process.stdout.readline().split()
        assert url.startswith("http://127.0.0.1:")
        assert loaded == "False"
        if mode == "killed":
            os.kill(process.pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=90)
    assert (process.returncode == 0) == (mode != "killed"), errors
    # What is logged last still gets there.
    assert "Traceback" not in errors
    wait_for(lambda: not any(map(alive, found)), 10, "the server outlives its run")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("home/profiles.toml", '[profiles.ours]\nPREFECT_API_URL = "http://127.0.0.1:4200/api"'),
        (".env", "PREFECT_API_URL=http://127.0.0.1:4200/api"),
        ("prefect.toml", '[api]\nurl = "http://127.0.0.1:4200/api"'),
        ("pyproject.toml", '[tool.prefect.api]\nurl = "http://127.0.0.1:4200/api"'),
        (None, ""),
    ],
)
def test_a_server_that_a_file_may_name_is_left_to_prefect(
    file: str | None, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_PROFILES_PATH", raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]")
    if file is not None:
        (tmp_path / file).write_text(text)
    assert prefect_server._may_be_configured() == (file is not None)


def test_a_server_that_does_not_start_is_told_of_and_not_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as process:
        process.wait()
        with pytest.raises(prefect_server.PrefectServerError, match="exit code 3"):
            prefect_server._wait(process, "http://127.0.0.1:9/api")
