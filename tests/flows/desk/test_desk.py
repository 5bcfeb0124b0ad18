"""What an operator asks of an output: no Ray, no Prefect server, files alone."""

import datetime as dt
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from blind_publisher import StillHeart, begin, commit, end
from manifest_rows import row
from published_rows import publish
from pydantic import BaseModel

from flows.desk.failures import failures
from flows.desk.opening import ago, began
from flows.desk.runs import runs
from flows.desk.show import show
from flows.desk.status import status
from flows.requests import request_of
from flows.run import Run
from fusion_core.archive import lease as lease_module
from fusion_core.archive.keeping.forget import JOURNAL
from fusion_core.archive.lease_record import record_path
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.errors import SettingsError
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

FIRST, SECOND, THIRD = (f"2026112{k}T023000Z-0000000{k}" for k in (0, 1, 2))


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "Heart", StillHeart)


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "out"))


def request(**changes: Any) -> dict[str, Any]:
    settings = FuseArchiveSettings.model_validate({"source": "s", "output": "o", **changes})
    images = settings.image_settings()
    run = Run.begin(settings, settings_hash=images.settings_hash(), model_hash="5e" * 32)
    return request_of(run, "fuse-archive")


def leave(output: Storage, run_id: str, **changes: Any) -> None:
    """Leave the summary of a fusing run."""
    lists = ("unpaired", "ambiguous", "unmatched", "failures")
    counts = ("found", "done_before", "known_failed", "over_limit", "fused", "failed")
    values = {**dict.fromkeys(lists, ()), **dict.fromkeys(counts, 0)}
    values |= {"run_id": run_id, "output": "o", "manifest": "m", "contact_sheet": None}
    values |= {"metrics": {}, "seconds": 61.2, **changes}
    output.write(f"runs/{run_id}/summary.json", json.dumps(values).encode())


def as_json(found: BaseModel) -> Any:
    """What ``--json`` would print."""
    return json.loads(found.model_dump_json())


def table(*rows: Mapping[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([dict(one) for one in rows], schema=PART_SCHEMA)


@pytest.mark.parametrize("ask", [status, runs, failures, lambda url: show(url, "a")])
def test_a_mistyped_output_is_named_and_nothing_written(ask: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"there is nothing below .*typo; .* Check the URL"):
        ask(str(tmp_path / "typo"))
    assert [*tmp_path.iterdir()] == []


def test_status_tells_who_is_at_work_and_how_far(output: Storage) -> None:
    leave(output, FIRST, found=9, fused=4, failed=1, undone=2, over_limit=2)
    publisher = begin(output, SECOND)
    publisher.lease._heart.record = publisher.lease._heart.record.model_copy()
    record = output.read(record_path(1)).replace(b'"seconds":0.01', b'"seconds":60.0')
    output.write(record_path(1), record)
    commit(output, publisher, "0a", "p1", "p2")
    publisher.publish()
    commit(output, publisher, "0b", "p3")
    told = status(output.url(""))
    holder = told.holder
    assert holder is not None
    assert (holder.run_id, holder.alive, holder.commits, holder.declared) == (SECOND, True, 1, 2)
    assert holder.since == dt.datetime(2026, 11, 21, 2, 30, tzinfo=dt.UTC)
    assert told.last is not None
    assert told.last.left == {"undone": 2, "over_limit": 2}
    assert told.last.sentence.startswith("9 pairs found: 4 fused and 1 failed in 61 s; 2 undone")
    text = told.markdown()
    assert f"- {SECOND} on " in text
    assert "is at work, began" in text
    assert "left for later: 2 undone, 2 over_limit" in text
    assert (told.left_open, told.without_summary) == ((), None)
    assert as_json(told)["holder"]["run_id"] == SECOND


def test_status_counts_the_rows_of_the_run_alone(output: Storage) -> None:
    publish(output, 1, [table(row("a", run_id="run1"), row("b", run_id="r0"))])
    holder = status(output.url("")).holder
    assert holder is not None
    assert holder.published == {"ok": 1}


def test_status_tells_a_dead_run_from_a_living_one_and_names_what_is_open(output: Storage) -> None:
    begin(output, SECOND)  # may stand still for a hundredth of a second
    output.write(JOURNAL, b'{"pairs": ["p1"]}')
    os.utime(Path(output.fs_path(record_path(1))), (time.time() - 7300, time.time() - 7300))
    told = status(output.url(""))
    assert told.holder is not None
    assert not told.holder.alive
    assert told.sentence().startswith(f"{SECOND} died; no run has ended yet")
    assert "gives no sign of life" in told.markdown()
    assert "heartbeat 2 h ago" in told.markdown()
    assert [one.partition(";")[0] for one in told.left_open] == [
        f"what {SECOND} had begun",
        "1 pairs half forgotten",
    ]


def test_status_names_a_run_that_ended_without_a_summary(output: Storage) -> None:
    leave(output, FIRST)
    end(begin(output, SECOND))
    told = status(output.url(""))
    assert (told.holder, told.without_summary) == (None, SECOND)
    assert f"{SECOND} ended since and left no summary" in told.markdown()
    leave(output, SECOND)
    assert status(output.url("")).without_summary is None
    end(begin(output, "20261122T000000Z-clean-01234567"))
    assert status(output.url("")).without_summary is None


def test_status_reads_a_summary_of_before_and_says_where_it_cannot(output: Storage) -> None:
    leave(output, FIRST, half=["x"], doubled=[], stray=[])
    told = status(output.url("")).last
    assert told is not None
    assert "files in no pair: 1 unpaired" in told.sentence
    output.write(f"runs/{SECOND}/summary.json", b'{"fused": "many"}')
    told = status(output.url("")).last
    assert told is not None
    assert told.sentence == "its summary can't be read by this version"


def test_runs_are_listed_with_what_changed_between_them(output: Storage) -> None:
    leave(output, FIRST, found=3, fused=3)  # of a version that noted no request
    leave(output, SECOND, found=4, fused=1, failed=2, undone=1, request=request())
    later = request(ir_range=(7200, 9000), limit=5)
    leave(output, THIRD, found=5, request=later, unmet=["few"])
    told = runs(output.url(""))
    assert [(one.run_id, one.found, one.done, one.failed, one.undone) for one in told.runs] == [
        (THIRD, 5, 0, 0, 0),
        (SECOND, 4, 1, 2, 1),
        (FIRST, 3, 3, 0, 0),
    ]
    assert [one.changed for one in told.runs] == [
        ("ir_range: none → 7200..9000",),
        ("what was asked for before: unknown",),
        (),
    ]
    assert told.runs[2].settings_hash == told.runs[2].model == "unknown"
    text = told.markdown()
    assert f"| {THIRD} | 2026-11-22 02:30 | fuse-archive | 5 |" in text
    assert f"- {THIRD} differs from the run before: ir_range: none → 7200..9000" in text
    assert f"- {THIRD}: 1 not as expected" in text
    assert f"| {later['settings_hash'][:8]} | refinefuse |" in text
    one = runs(output.url(""), last=1)
    assert len(one.runs) == 1
    assert one.runs[0].changed == ("ir_range: none → 7200..9000",)
    assert as_json(one)["runs"][0]["run_id"] == THIRD


def test_runs_of_other_flows_are_compared_with_their_like(output: Storage) -> None:
    leave(output, FIRST, request=request(nodata=1.0))
    models = {"a": {"fused": 2}, "b": {"fused": 3}}
    body = {"models": models, "found": 3, "request": request() | {"flow": "evaluate"}}
    output.write(f"runs/{SECOND}/summary.json", json.dumps(body).encode())
    leave(output, THIRD, request=request(nodata=1.0))
    newest, evaluated, _ = runs(output.url("")).runs
    assert (newest.changed, evaluated.changed) == ((), ())
    assert (evaluated.flow, evaluated.done) == ("evaluate", 5)


def test_a_summary_that_somebody_wrote_by_hand_ends_nothing(output: Storage) -> None:
    values = [{"request": "x", "unmet": 1, "found": "many"}, {"request": {"settings": [1]}}]
    values += [{"request": request() | {"hashed": 1, "settings": {"ir_range": 5}, "model": "m"}}]
    values += [{"models": {"a": 1}}, {"request": request() | {"used": ["x"]}}]
    for place, value in enumerate(values):
        output.write(f"runs/2026112{place}/summary.json", json.dumps(value).encode())
        assert status(output.url("")).markdown()
    told = runs(output.url(""))
    assert len(told.runs) == len(values)
    assert told.markdown()


def test_no_runs_are_said_so(output: Storage) -> None:
    output.write("x", b"")
    assert "No run has left a summary yet." in runs(output.url("")).markdown()
    assert "no run has left a summary yet" in status(output.url("")).markdown()


DECODE = {"stage": "decode", "cause": "pair", "error_type": "DecodeError"}


@pytest.fixture
def tried(output: Storage) -> Storage:
    """Two runs: p2 failed in both, p1 is healed, p3 waits."""
    first = [
        row("p1", 1, run_id=FIRST, status="undone", attempt=1, stage="read", cause="store"),
        row("p2", 2, run_id=FIRST, status="failed", attempt=1, error_message="cut|off", **DECODE),
    ]
    second = [
        row("p1", 90, run_id=SECOND, attempt=2, qabf=0.5, fused_url="s3://o/fused/p1.png"),
        row("p2", 90, run_id=SECOND, status="failed", attempt=2, error_message="cut", **DECODE),
        row("p3", 90, run_id=SECOND, status="undone", attempt=1, stage="fuse", cause="memory"),
    ]
    publish(output, 1, [table(*first)])
    publish(output, 2, [table(*second)])
    return output


def test_failures_are_those_of_the_newest_rows_grouped_by_reason(tried: Storage) -> None:
    told = failures(tried.url(""))
    assert [(one["pair_id"], one["attempt"]) for one in told.pairs] == [("p2", 2), ("p3", 1)]
    assert (told.count, len(told.reasons)) == (2, 2)
    assert told.sentence() == (
        "2 failed or are undone in the newest rows of all pairs: 1 failed at decode (DecodeError), "
        "1 undone at fuse (memory)."
    )
    assert f"| p2 | x | 2 | {SECOND} | failed | cut |" in told.markdown()
    few = failures(tried.url(""), most=1)
    assert (len(few.pairs), few.count) == (1, 2)
    assert "and 1 more" in few.markdown()
    assert as_json(few)["count"] == 2


def test_failures_of_one_run_are_those_that_it_met(tried: Storage) -> None:
    told = failures(tried.url(""), run=FIRST)
    assert [one["pair_id"] for one in told.pairs] == ["p1", "p2"]
    assert "cut\\|off" in told.markdown()
    with pytest.raises(SettingsError, match="no run has left a summary"):
        failures(tried.url(""), run="last")
    leave(tried, FIRST)
    assert failures(tried.url(""), run="last").looked_at == f"the run {FIRST}"
    nothing = failures(tried.url(""), last_days=1)
    assert nothing.count == 0
    assert (
        "Nothing failed or is undone in the newest rows of all pairs of the" in nothing.markdown()
    )


def test_everything_about_a_pair_is_shown(tried: Storage) -> None:
    asked = request(ir_range=(7200, 9000))
    tried.write("fused/x/settings.json", json.dumps(asked).encode())
    publish(tried, 3, [table(row("p1", 99, method="other", qabf=0.25))], table="scores")
    told = show(tried.url(""), "p1")
    assert [(one["attempt"], one["status"]) for one in told.attempts] == [(2, "ok"), (1, "undone")]
    assert told.image == "s3://o/fused/p1.png"
    assert told.settings == {"x": ("ir_range: 7200..9000",)}
    text = told.markdown()
    assert "- newest image: `s3://o/fused/p1.png`" in text
    assert "- settings x: ir_range: 7200..9000" in text
    assert "- infrared: `x`, 1 bytes, version `x`" in text
    assert "0.5000" in text
    assert "0.2500" in text
    assert as_json(told)["pair_id"] == "p1"
    failed = show(tried.url(""), "p2")
    assert (failed.image, len(failed.attempts)) == (None, 2)
    with pytest.raises(SettingsError, match="has no row of the pair 'p9'; expected an id"):
        show(tried.url(""), "p9")


def test_settings_that_were_never_noted_are_unknown(tried: Storage) -> None:
    assert show(tried.url(""), "p1").settings["x"][0].startswith("unknown")


def test_times_are_told_as_people_say_them() -> None:
    now = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    for seconds, told in ((5, "5 s"), (125, "2 min"), (7300, "2 h"), (1e6, "12 days"), (-9, "0 s")):
        assert ago(now - dt.timedelta(seconds=seconds), now) == f"{told} ago"
    assert began("20261331T000000Z-01234567") is None
    assert began("20261120T000000Z-clean-01234567") is None
