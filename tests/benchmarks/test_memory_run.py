"""A photograph that doesn't fit into its worker is fused all the same, on a Ray that would end it.

The same with 24 megapixels and with two workers is ``make benchmark-memory``.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from memory_group import memory_group


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_a_photograph_too_large_for_its_worker_is_fused_in_tiles_and_no_worker_is_ended(
    tmp_path: Path,
) -> None:
    # The large one takes 3.9 GB at once.
    case = {"gib": 3, "workers": 1, "pairs": {"320x240": 4, "1800x1200": 1}}
    program = Path(__file__).with_name("memory_run.py")
    with memory_group(8 << 30) as contained:
        command = [*contained, sys.executable, str(program), str(tmp_path), json.dumps(case)]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["ok"], found["failed"], found["worker_processes"]) == (5, 0, 1)
    (remark,) = found["remarks"].values()
    assert remark.endswith(" pixels, because memory was expected to run out")
    assert 0.5 < found["worker_peak_gib"][0] < 2.5
