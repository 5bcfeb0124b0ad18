"""The settings by which some pairs are tried again."""

import datetime as dt
import json
import uuid
from typing import Any

import pyarrow as pa
import pytest
from manifest_rows import row
from published_rows import DAY, publish

from flows.desk.retry import retry
from flows.requests import request_of
from flows.run import Run
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.errors import SettingsError
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

NIGHT = {
    **{"source": "s3://archive", "output": "memory://moved", "ir_range": (7200, 9000)},
    **{"limit": 5, "min_pairs": 100, "expect": {"qabf": "0.4.."}, "credentials_block": "nightly"},
    "ray_address": "10.0.0.1:6379",
    **{"date": dt.date(2026, 11, 20), "max_failed": 0.2},
}


@pytest.fixture
def output() -> Storage:
    """An output with rows of two pairs."""
    store = Storage(f"memory://{uuid.uuid4().hex}")
    rows = [row("p1", status="failed"), row("p2", status="undone")]
    publish(store, 1, [pa.Table.from_pylist(rows, schema=PART_SCHEMA)])
    return store


def leave(output: Storage, run_id: str, flow: str = "fuse-archive", **changes: Any) -> None:
    settings = FuseArchiveSettings.model_validate(NIGHT | changes)
    asked = request_of(Run.begin(settings, settings_hash="5e", model_hash="5e"), flow)
    body = json.dumps({"fused": 1, "request": asked}).encode()
    output.write(f"runs/{run_id}/summary.json", body)


def test_pairs_are_tried_again_by_the_last_runs_settings(output: Storage) -> None:
    leave(output, "1", source="s3://before")
    leave(output, "2")
    leave(output, "3", pairs=("p1",), source="s3://retried")
    leave(output, "4", "evaluate", source="s3://evaluated")
    made = retry(output.url(""), ["p2", "p1", "p2"])
    assert (made.source, made.output) == ("s3://archive", output.url(""))
    assert (made.pairs, made.reprocess) == (("p2", "p1"), "failed")
    assert (made.ir_range, made.max_failed) == ((7200, 9000), 0.2)
    assert (made.credentials_block, made.ray_address) == (None, None), "anybody may name another"
    assert (made.limit, made.date, made.min_pairs, made.expect) == (None, None, None, {})
    same = FuseArchiveSettings.model_validate(NIGHT).image_settings().settings_hash()
    assert made.image_settings().settings_hash() == same
    changes = {"reprocess": "all", "source": "s3://b", "credentials_block": "other"}
    other = retry(output.url(""), ["p1"], **changes)
    assert (other.credentials_block, other.reprocess, other.source) == ("other", "all", "s3://b")


def test_a_retry_of_a_retry_takes_its_settings_where_there_are_no_others(output: Storage) -> None:
    leave(output, "1", pairs=("p1",))
    assert retry(output.url(""), ["p1"]).source == "s3://archive"


def test_all_days_since_the_first_attempt_are_looked_at(output: Storage) -> None:
    leave(output, "1", prefix="{date:%Y/%m/%d}/", days=2)
    today = dt.datetime.now(dt.UTC).date()
    made = retry(output.url(""), ["p1"])
    if (passed := (today - DAY).days) < 360:
        assert (made.date, made.days) == (None, passed + 2)
        first = min(made.expanded_prefixes(today))
        assert first == f"{DAY - dt.timedelta(days=1):%Y/%m/%d}/"
    assert retry(output.url(""), ["p1"], days=1).days == 1


def test_what_is_too_long_ago_is_looked_for_as_it_was_found(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(output, "1", prefix="{date:%Y/%m/%d}/")
    monkeypatch.setattr("flows.desk.retry._MOST_DAYS", 0)
    made = retry(output.url(""), ["p1"])
    assert (made.date, made.days) == (DAY, None)


def test_what_cannot_be_tried_again_is_named(output: Storage) -> None:
    url = output.url("")
    with pytest.raises(SettingsError, match="no run of fuse-archive has noted its settings"):
        retry(url, ["p1"])
    leave(output, "1", index="https://b/pairs.csv?X-Amz-Signature=1")
    with pytest.raises(SettingsError, match="no pair was named"):
        retry(url, [])
    with pytest.raises(SettingsError, match="has no row of 'p8', 'p9'; expected ids as the column"):
        retry(url, ["p8", "p1", "p9"])
    with pytest.raises(SettingsError, match="the last run's index had a query, which is noted now"):
        retry(url, ["p1"])
    assert retry(url, ["p1"], index="https://b/p.csv?X=2").index == "https://b/p.csv?X=2"
    leave(output, "2")
    summary = json.loads(output.read("runs/2/summary.json"))
    summary["request"]["settings"]["later"] = 1
    output.write("runs/2/summary.json", json.dumps(summary).encode())
    with pytest.raises(
        SettingsError, match=r"can't be used again: later: is no setting.*Give what"
    ):
        retry(url, ["p1"])
