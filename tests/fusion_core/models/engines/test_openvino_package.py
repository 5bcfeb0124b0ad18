"""OpenVINO tells its makers nothing, and is missed in words that help."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import tiny_model

from fusion_core.errors import SettingsError
from fusion_core.models.engines import openvino_package
from fusion_core.models.network_fuser import NetworkFuser

PROGRAM = """
import json, socket, sys

tried = []

def refuse(name):
    def call(*arguments, **named):
        tried.append([name, repr(arguments)])
        raise OSError(f"{name} is not to be called")
    return call

socket.socket.connect = refuse("connect")
socket.socket.connect_ex = refuse("connect_ex")
socket.getaddrinfo = refuse("getaddrinfo")
socket.create_connection = refuse("create_connection")
%s
print(json.dumps({"tried": tried, "telemetry": sys.modules.get("openvino_telemetry") is not None}))
"""
OURS = """
import torch
from tiny import tiny_model
from fusion_core.models.network_fuser import NetworkFuser
fuser = NetworkFuser(tiny_model(), "cpu", "fp32", engine="openvino")  # converts it
assert fuser(torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32)).shape == (1, 1, 32, 32)
"""
THEIRS = """
import openvino, time
time.sleep(2)  # it reports by a thread of its own
"""


def told(code: str, home: Path) -> dict[str, object]:
    """Run a program in an empty home, outside of what looks like a CI system."""
    cleared = {"CI", "TF_BUILD", "JENKINS_URL", "XDG_CACHE_HOME"}
    own = {name: value for name, value in os.environ.items() if name not in cleared}
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM % code],
        env={**own, "HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_nobody_is_told_that_it_is_used(tmp_path: Path) -> None:
    found = told(OURS, tmp_path / "home")
    assert found == {"tried": [], "telemetry": False}
    assert [path.name for path in (tmp_path / "home").iterdir()] == [".cache"]


@pytest.mark.slow
def test_it_would_tell_by_itself(tmp_path: Path) -> None:
    """Else the test above would show nothing; if this fails, look whether it is needed still."""
    found = told(THEIRS, tmp_path / "home")
    assert found["telemetry"]
    assert found["tried"] or (tmp_path / "home/intel").exists()


def test_without_openvino_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino_package.openvino.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(SettingsError, match=r"engine is openvino.*'fuse-archive\[cpu\]'"):
        NetworkFuser(tiny_model(), "cpu", "fp32", engine="openvino")
    monkeypatch.undo()
    openvino_package.openvino.cache_clear()
