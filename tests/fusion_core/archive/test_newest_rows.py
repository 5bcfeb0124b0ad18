"""Which row of a pair is its newest: that of the last attempt, by its number."""

import datetime as dt

import pyarrow.dataset as ds
from manifest_rows import DAY, row, write

from fusion_core.archive.manifest import read_manifest


def test_a_pair_that_failed_once_and_is_fused_now_is_not_shown_as_failed() -> None:
    failed = row(second=1, status="failed", stage="read")
    url = write((DAY, [row(second=2), row("2", 1)]), (dt.date(2026, 11, 21), [failed]))
    condition = ds.field("status") == "failed"
    assert read_manifest(url, filters=condition).num_rows == 0
    assert read_manifest(url, filters=condition, latest=False)["stage"].to_pylist() == ["read"]
    shown = read_manifest(url, columns=["pair_id"], filters=[("ended", ">", row()["ended"])])
    assert shown.to_pydict() == {"pair_id": ["1", "2"]}


def test_which_attempt_is_the_newest_does_not_hang_on_the_clocks_of_workers() -> None:
    ahead = row(second=360, attempt=1, status="undone", run_id="r1")
    url = write((DAY, [ahead]), (DAY, [row(attempt=2, run_id="r2")]))
    assert read_manifest(url)["status"].to_pylist() == ["ok"]
    assert read_manifest(url, latest=False)["attempt"].to_pylist() == [1, 2]
    shown = read_manifest(url, columns=["pair_id"], filters=[("status", "=", "undone")])
    assert shown.num_rows == 0


def test_attempts_before_they_had_numbers_come_first_in_the_order_of_their_time() -> None:
    old = [row(second=second, status="failed", host=f"{second}") for second in (500, 400)]
    url = write((DAY, [*old, row(attempt=1, host="new")]))
    assert read_manifest(url)["host"].to_pylist() == ["new"]
    assert read_manifest(url, latest=False)["host"].to_pylist() == ["400", "500", "new"]
    assert read_manifest(write((DAY, old)))["host"].to_pylist() == ["500"]


def test_attempts_of_one_number_are_told_apart_by_their_time() -> None:
    """As two runs make them, where one doesn't know the other's rows."""
    rows = [row(second=second, attempt=2, host=f"{second}") for second in (1, 3, 2)]
    assert read_manifest(write((DAY, rows)))["host"].to_pylist() == ["3"]


def test_rows_of_the_same_moment_are_told_apart_by_their_run() -> None:
    url = write((DAY, [row(run_id="r2", host="new")]), (DAY, [row(run_id="r1", host="old")]))
    assert read_manifest(url)["host"].to_pylist() == ["new"]


def test_the_newest_row_is_that_of_its_pair_and_method() -> None:
    rows = [row("1", second, method=method) for method in "ab" for second in (1, 2)]
    found = read_manifest(write((DAY, rows)), columns=["pair_id", "method", "ended"]).to_pylist()
    assert [(one["method"], one["ended"].second) for one in found] == [("a", 2), ("b", 2)]


def test_scores_by_other_definitions_are_no_newer_version_of_the_same() -> None:
    versions = ("published-1", "textbook-1", "published-1")
    rows = [
        row("1", second, method="a", fused_version="v", metric_version=version)
        for second, version in enumerate(versions)
    ]
    url = write((DAY, rows))
    found = read_manifest(url).to_pylist()
    assert [(one["metric_version"], one["ended"].second) for one in found] == [
        ("published-1", 2),
        ("textbook-1", 1),
    ]
    published = read_manifest(url, filters=[("metric_version", "=", "published-1")])
    assert published["ended"].to_pylist() == [rows[2]["ended"]]
    # A fused pair has one newest row, whatever its scores are called.
    fused = [row("1", second, metric_version=f"v{second}") for second in (1, 2)]
    assert read_manifest(write((DAY, fused)))["metric_version"].to_pylist() == ["v2"]


def test_many_rows_in_many_parts_keep_their_newest() -> None:
    parts = [
        (DAY, [row(f"{k:04}", second, host=f"{second}") for k in range(500)]) for second in range(8)
    ]
    latest = read_manifest(write(*parts[3:], *parts[:3]))
    assert latest["pair_id"].to_pylist() == [f"{k:04}" for k in range(500)]
    assert set(latest["host"].to_pylist()) == {"7"}
