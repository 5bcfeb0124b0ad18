"""One fault of each kind, and an audit: the chaos suite in short, in processes of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kinds import BETWEEN_RUNS, IN_A_ROW, KINDS, SHARES, counts
from processes import kill_tree

pytestmark = [
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(1200),
]
PROGRAM = Path(__file__).resolve().parent / "chaos.py"
LIMIT = 1100
"""Seconds: two rounds of up to nine runs, each of which begins in 20 to 40 s where others work."""
PAIRS = 60
ONE_OF_EACH = dict.fromkeys(KINDS, 1) | {"preempted": IN_A_ROW}


def test_nothing_is_lost_or_doubled_by_one_fault_of_each_kind(tmp_path: Path) -> None:
    result, total = tmp_path / "result.json", str(sum(ONE_OF_EACH.values()))
    options = ["--kills", total, "--per-round", total, total, "--pairs", str(PAIRS)]
    options += ["--chunk-pairs", "2", "--stale", "1", "--result", str(result)]
    # This process may be a Ray driver by now, and its cluster is for other tests.
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            told, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            pytest.fail(f"not done after {LIMIT} s; it printed: {process.communicate()[0]}")
    assert process.returncode == 0, told
    found = json.loads(result.read_text())
    assert found["complete"], told
    # A chunk that is done before its third node is taken away leaves a card to another kind.
    assert found["kills_and_faults"] == int(total), told
    assert min(found["by_kind"][kind] for kind in KINDS) >= 1, told
    assert found["violations"] == []
    assert found["suite_errors"] == []
    assert (found["ok_rows"], found["failed_rows"]) == (PAIRS * found["rounds"], 0)
    assert found["looks_at_the_manifest"] > 0
    assert found["objects_removed"] > PAIRS / 2, "the commits of two pairs each, and more"
    assert found["runs_ended"]["killed"] >= len(("driver", "publishing", *BETWEEN_RUNS))


def test_a_thousand_hold_forty_of_each_kind() -> None:
    assert sum(SHARES.values()) == 1000
    assert counts(1000).total() == 1000
    assert min(counts(1000).values()) >= 40
    assert counts(sum(ONE_OF_EACH.values())) == ONE_OF_EACH
