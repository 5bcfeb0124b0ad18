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
    parts = ["--parts", "engines", "flow", "metrics", "scenes"]
    arguments = ["--smoke", "--into", str(tmp_path), "--against", str(ROOT), *parts]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=True
    )
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
    assert "| scenes | refinefuse, scene, at most " in done.stdout
    assert "| flow | refinefuse-mini, worker | " in done.stdout
    assert record["machine"]["cores"] > 0
