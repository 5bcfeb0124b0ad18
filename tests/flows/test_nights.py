"""Nights that aren't as they are expected to be, through the whole flow."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows.desk.retry import retry
from flows.desk.show import show
from flows.fuse_archive import fuse_archive
from flows.summaries.run import RunSummary
from fusion_core.errors import ExpectationError
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]


def run(settings: FuseArchiveSettings, **changes: Any) -> RunSummary:
    summary = fuse_archive(settings.model_copy(update=changes))
    assert isinstance(summary, RunSummary)
    return summary


def summaries(settings: FuseArchiveSettings) -> list[dict[str, Any]]:
    found = Path(settings.output).glob("runs/*/summary.json")
    return [json.loads(path.read_text()) for path in sorted(found)]


def test_a_night_after_a_folder_was_renamed_fails_and_did_not_before(
    archive: FuseArchiveSettings,
) -> None:
    # It was "0 pairs found: 0 fused and 0 failed in 2 s; files in no pair: 16 unmatched", exit 0.
    source = Path(archive.source)
    for side in ("ir", "vi"):
        (source / side).rename(source / f"{side}_2026")
    with pytest.raises(ExpectationError, match=r"found 16 files .* whether a folder was renamed"):
        run(archive)
    assert summaries(archive) == []
    assert not (Path(archive.output) / "fused").exists()
    warned = run(archive, unmet="warn")
    assert (warned.found, warned.fused) == (0, 0)
    assert "not as expected: found 16 files" in warned.sentence()
    assert summaries(archive)[0]["unmet"] == list(warned.unmet)


def test_a_night_without_files_is_in_order_unless_pairs_are_expected(
    archive: FuseArchiveSettings,
) -> None:
    prefix = {"prefix": "{date:%Y}/"}
    assert run(archive, **prefix).unmet == ()
    with pytest.raises(ExpectationError, match=r"0 pairs were found in .*; expected at least 1"):
        run(archive, **prefix, min_pairs=1)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_nodes")
def test_metrics_are_looked_at_behind_all_else_and_what_was_asked_is_noted(
    archive: FuseArchiveSettings,
) -> None:
    (Path(archive.source) / "ir/p0.png").write_bytes(b"broken")
    told = r"^8 pairs found: 7 fused and 1 failed .* The mean vif over 7 pairs is .* stands, see"
    with pytest.raises(ExpectationError, match=told):
        run(archive, expect={"vif": (1e6, None)}, max_failed=0.5, ir_range=(0.0, 200.0))
    (summary,) = summaries(archive)
    assert (summary["fused"], len(summary["unmet"])) == (7, 1)
    request = summary["request"]
    assert request["model"]["name"] == archive.model
    assert [one["engine"] for one in request["used"]] == ["eager"]
    output = Storage(archive.output)
    noted = json.loads(output.read(f"fused/{request['settings_hash']}/settings.json"))
    assert noted == request | {"used": []}
    assert show(archive.output, "p1").settings == {
        request["settings_hash"]: ("ir_range: 0..200", "precision: fp32")
    }
    # Exactly the pair that is asked for is tried again, by the same settings, and nothing expected.
    again = fuse_archive(retry(archive.output, ["p0"], max_failed=1.0))
    assert isinstance(again, RunSummary)
    assert (again.fused, again.failed, again.unasked, again.unmet) == (0, 1, 7, ())
    assert again.request is not None
    assert again.request["settings_hash"] == request["settings_hash"]
    assert "7 left alone, because only others were asked for" in again.sentence()
    # All is done now: nothing was fused, so nothing is said of its metrics.
    assert run(archive, expect={"vif": (1e6, None)}, ir_range=(0.0, 200.0)).unmet == ()
