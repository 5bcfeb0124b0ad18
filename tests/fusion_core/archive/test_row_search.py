"""Rows are found in files of published rows and in parts of before, and nothing else is read."""

import datetime as dt
import uuid
from typing import Any

import pyarrow as pa
import pytest
from manifest_rows import row
from published_rows import DAY, lay_part_of_before, publish

from fusion_core.archive import row_search
from fusion_core.archive.in_vain import ROWS_ASKED, InVain
from fusion_core.archive.row_search import Wanted, find_rows
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.errors import ManifestError
from fusion_core.storage.scratch import scratch_folder
from fusion_core.storage.store import Storage

NOON = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=PART_SCHEMA)


@pytest.fixture
def output() -> Storage:
    """Three row groups, of which one is of another run, and a part of before."""
    storage = Storage(f"memory://{uuid.uuid4().hex}")
    nights = [table(row("a", run_id="r1"), row("b", run_id="r1")), table(row("c", run_id="r1"))]
    publish(storage, 1, nights)
    publish(storage, 2, [table(row("y", 100, run_id="r2"), row("z", 100, run_id="r2"))])
    lay_part_of_before(storage, "old", [row("b", run_id="r0")])
    return storage


def found(output: Storage, **wanted: Any) -> list[tuple[str, str]]:
    rows = [
        (one["pair_id"], one["run_id"])
        for rows in find_rows(output, "manifest", ["pair_id", "run_id"], Wanted(**wanted))
        for one in rows.to_pylist()
    ]
    return sorted(rows)


def test_rows_are_found_by_pair_run_and_time(output: Storage) -> None:
    assert len(found(output)) == 6
    assert found(output, pairs=("b", "z")) == [("b", "r0"), ("b", "r1"), ("z", "r2")]
    assert found(output, run_id="r2") == [("y", "r2"), ("z", "r2")]
    assert found(output, since=NOON + dt.timedelta(seconds=100)) == [("y", "r2"), ("z", "r2")]
    assert found(output, pairs=("a",), run_id="r1") == [("a", "r1")]
    assert found(output, pairs=("nobody",)) == []
    dated = next(find_rows(output, "manifest", ["date", "pair_id"], Wanted(pairs=("z",))))
    assert dated.to_pylist() == [{"date": DAY, "pair_id": "z"}]


def test_only_row_groups_that_may_hold_them_are_read(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    before = row_search.read_part

    def noted(*places: Any, row_groups: list[int], **options: Any) -> pa.Table:
        read.append(row_groups)
        return before(*places, row_groups=row_groups, **options)

    monkeypatch.setattr(row_search, "read_part", noted)
    found(output, pairs=("c",))
    assert read == [[1]]
    read.clear()
    found(output, since=NOON + dt.timedelta(seconds=50))
    assert read == [[0]]
    read.clear()
    found(output, run_id="r9")
    assert read == []


def test_what_is_no_file_of_rows_is_passed_over_and_a_damaged_one_is_named(output: Storage) -> None:
    output.write("manifest/notes.txt", b"x")
    assert len(found(output)) == 6
    path = f"manifest/date={DAY}/rows-00000009-0001.parquet"
    output.write(path, b"torn")
    with pytest.raises(ManifestError, match=r"rows-00000009-0001\.parquet can't be read"):
        found(output, pairs=("a",))


def in_vain(*rows: dict[str, Any], since: dt.datetime | None = None) -> list[Any]:
    with scratch_folder() as folder:
        asked = InVain([table(*rows).select(list(ROWS_ASKED))], folder, since)
        assert len(asked) == sum(one["count"] for one in asked.reasons())
        return [(one["pair_id"], one["status"], one["run_id"]) for one in asked.first(9)]


def test_a_pair_was_tried_in_vain_where_its_newest_attempt_was() -> None:
    rows = [
        row("healed", 1, status="failed", attempt=1),
        row("healed", 0, status="ok", attempt=2),  # by the clock of another worker
        row("lost", 1, status="ok", attempt=1),
        row("lost", 0, status="failed", attempt=2, run_id="r2"),
        row("open", 1, status="undone"),
        row("open", 0, status="failed"),
        row("cold", status="skipped"),
        row("fine"),
        row("lost", 1, status="failed", method="other"),
    ]
    assert in_vain(*rows) == [
        ("lost", "failed", "x"),
        ("lost", "failed", "r2"),
        ("open", "undone", "x"),
    ]
    assert [one[0] for one in in_vain(*rows, since=NOON + dt.timedelta(seconds=1))] == [
        "lost",
        "open",
    ]
    assert in_vain() == []


def test_reasons_are_counted_the_most_frequent_first() -> None:
    decode = {"status": "failed", "stage": "decode", "cause": "pair", "error_type": "DecodeError"}
    store = {"status": "undone", "stage": "read", "cause": "store", "error_type": None}
    rows = [row("b", **decode), row("a", **decode), row("c", **store), row("d")]
    with scratch_folder() as folder:
        asked = InVain([table(*rows).select(list(ROWS_ASKED))], folder)
        assert asked.reasons() == [
            {**decode, "count": 2, "example": "a"},
            {**store, "count": 1, "example": "c"},
        ]
        assert [one["pair_id"] for one in asked.first(2)] == ["a", "b"]
