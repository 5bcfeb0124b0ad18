"""The network namespace that tests and demo run in has loopback only."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def loopback(*command: str, times: int = 1) -> subprocess.CompletedProcess[str]:
    script = ["sh", str(ROOT / "infra/loopback.sh")] * times
    return subprocess.run(
        [*script, *command], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def namespaces() -> None:
    done = loopback("true")
    if "no network namespace" in done.stderr:
        pytest.skip("this system forbids new network namespaces")
    assert done.returncode == 0


CONNECT = """
import pathlib, socket
print([line.split(":")[0].strip() for line in
       pathlib.Path("/proc/net/dev").read_text().splitlines()[2:]])
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname(), timeout=5).close()
print("connected")
"""


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("times", [1, 2], ids=["once", "nested"])
def test_loopback_is_all_there_is_and_works(times: int) -> None:
    done = loopback(sys.executable, "-c", CONNECT, times=times)
    assert done.stdout.splitlines() == ["['lo']", "connected"], done.stderr


@pytest.mark.parametrize("times", [1, 2], ids=["once", "nested"])
@pytest.mark.parametrize("code", [0, 3])
def test_loopback_passes_exit_codes(code: int, times: int) -> None:
    assert loopback("sh", "-c", f"exit {code}", times=times).returncode == code


@pytest.mark.parametrize("times", [1, 2], ids=["once", "nested"])
def test_loopback_passes_arguments_as_they_are(times: int) -> None:
    arguments = ["two words", "", "*", "$HOME", "quote'd", 'a"b', "-x"]
    script = "import sys; print(sys.argv[1:])"
    done = loopback(sys.executable, "-c", script, *arguments, times=times)
    assert done.stdout.strip() == repr(arguments)


def test_make_runs_tests_and_demo_through_loopback() -> None:
    text = (ROOT / "Makefile").read_text()
    (line,) = re.findall(r"^LOOPBACK := (.+)$", text, re.MULTILINE)
    assert (ROOT / shlex.split(line)[-1]).is_file()
    for target in ("demo", "test", "test-slow"):
        (recipe,) = re.findall(rf"^{target}: .*\n\t(.+)$", text, re.MULTILINE)
        assert recipe.startswith("$(LOOPBACK) ")
