"""One kill of each kind, and an audit: the chaos suite in short, in processes of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from processes import kill_tree

pytestmark = [
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(300),
]
PROGRAM = Path(__file__).resolve().parent / "chaos.py"
PAIRS = 60


def test_nothing_is_lost_or_doubled_by_one_kill_of_each_kind(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    options = ["--kills", "4", "--per-round", "4", "4", "--chunk-pairs", "1", "--stale", "1"]
    # This process may be a Ray driver by now, and its cluster is for other tests.
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), *options, "--pairs", str(PAIRS), "--result", str(result)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            told, _ = process.communicate(timeout=280)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            raise
    assert process.returncode == 0, told
    found = json.loads(result.read_text())
    assert found["kills"] == {"actor": 1, "raylet": 1, "driver": 1, "s3": 1}
    assert found["violations"] == []
    assert found["driver_failures"] == []
    assert found["ok_rows"] == PAIRS * found["rounds"]
    assert found["driver_runs"] == found["rounds"] + found["kills"]["driver"]
