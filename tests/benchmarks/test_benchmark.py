"""The table of what the project costs, in small."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("benchmark.py")
ROOT = PROGRAM.parents[2]


@pytest.mark.slow
@pytest.mark.long
def test_the_table_tells_ratios_of_what_was_run_in_turn(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        command = [sys.executable, str(PROGRAM), "--smoke", "--into", str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    # Each part of each checkout is a process of its own, which loads everything.
    run("--parts", "engines", "metrics")
    printed = run("--go-on", "--against", str(ROOT), "--parts", "flow", "scenes")
    record = json.loads((tmp_path / "benchmark.json").read_text())
    found = record["results"]
    assert {*found} == {"engines", "flow", "metrics", "scenes"}
    worker = found["flow"]["cases"]["refinefuse-mini, worker"]
    assert worker["over"] == "refinefuse-mini, bare loop"
    assert worker["ratio"]["median"] > 0
    assert worker["new_over_old"] > 0
    assert found["metrics"]["peaks_mb"]["this"]["all cases"] > 50
    # The peak begins anew with each scene; each model's is told.
    held = found["scenes"]["peaks_mb"]["before"]
    assert {*held} == {"refinefuse, scene", "refinefuse-mini, scene"}
    assert min(held.values()) > 50
    assert "new_over_old" not in found["metrics"]["cases"]["seven metrics"]
    assert "| scenes | refinefuse, scene, at most " in printed
    assert "| flow | refinefuse-mini, worker | " in printed
    assert "| metrics | seven metrics | " in printed
    assert record["machine"]["cores"] > 0
