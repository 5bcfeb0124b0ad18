import json
from pathlib import Path

from flows.past_runs import past_runs
from fusion_core.storage import Storage


def test_the_newest_run_comes_first_and_one_without_a_summary_is_left_out(tmp_path: Path) -> None:
    output = Storage(str(tmp_path))
    assert list(past_runs(output)) == []
    for run_id in ("20260102T000000Z-b", "20260101T000000Z-a", "20260103T000000Z-c"):
        output.write(f"runs/{run_id}/summary.json", json.dumps({"run_id": run_id}).encode())
    output.write("runs/20260104T000000Z-d/contact_sheet.png", b"")
    output.write("runs/20260105T000000Z-e/summary.json", b"{")
    output.write("runs/20260106T000000Z-f/summary.json", b"[]")
    output.write("runs/.lease/heartbeat", b"")
    found = [(run.run_id, run.summary["run_id"]) for run in past_runs(output)]
    ids = ["20260103T000000Z-c", "20260102T000000Z-b", "20260101T000000Z-a"]
    assert found == [(run_id, run_id) for run_id in ids]
    assert [run.path for run in past_runs(output, before=ids[0])] == [f"runs/{i}" for i in ids[1:]]
