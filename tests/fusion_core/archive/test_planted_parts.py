"""Parts that no run wrote: what they can't do, and what is said of them."""

import datetime as dt
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusion_core.archive import part_checks
from fusion_core.archive.attempts import last_attempts
from fusion_core.archive.layout import part_path
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.parts import commit_part, read_part
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

DAY = dt.date(2026, 11, 20)
MOMENT = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
PATH = part_path(DAY, "f" * 24)
NOT_UTF8 = pa.Array.from_buffers(
    pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
)


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def row(**changed: Any) -> dict[str, Any]:
    values = {pa.string(): "x", pa.int64(): 1}
    filled = {f.name: values.get(f.type, MOMENT) for f in PART_SCHEMA if not f.nullable}
    return {**filled, "status": "ok", **changed}


def plant(output: Storage, column: str, values: pa.Array) -> None:
    """Write a part of one row with another column in place of the one of that name."""
    table = pa.Table.from_pylist([row()], schema=PART_SCHEMA)
    place = table.schema.get_field_index(column)
    body = io.BytesIO()
    pq.write_table(table.set_column(place, column, values), body)
    output.write(PATH, body.getvalue())


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("pair_id", pa.nulls(1, pa.string()), "1 of its rows have no pair_id"),
        ("pair_id", NOT_UTF8, "UTF8"),
        ("pair_id", pa.array([{"a": 1}]), "cast"),
        ("status", pa.array(["finished\x1b"]), r"status 'finished\\x1b'"),
        ("ended", pa.array([2**62], pa.timestamp("us", "UTC")), "a time in ended"),
        ("acquired", pa.array([-(2**62)], pa.timestamp("us", "UTC")), "a time in acquired"),
        ("attempt", pa.array([2**40]), "attempt|out of bounds|not in range"),
    ],
)
def test_what_no_run_writes_is_refused_with_its_place_and_what_to_do(
    output: Storage, column: str, values: pa.Array, told: str
) -> None:
    plant(output, column, values)
    for read in (
        lambda: read_part(output, PATH),
        lambda: read_manifest(output.url("commits/manifest")),
        lambda: read_manifest(output.url("commits/manifest"), latest=False),
    ):
        with pytest.raises(ManifestError, match=told) as caught:
            read()
        assert "part-ffff" in str(caught.value)
        assert "move the file out" in str(caught.value)


def test_a_date_that_no_calendar_has_is_refused(output: Storage) -> None:
    commit_part(output, "commits/manifest/date=2026-99-99/part-1.parquet", [row()])
    with pytest.raises(ManifestError, match="month must be in"):
        read_manifest(output.url("commits/manifest"))


def test_a_few_bytes_that_stand_for_many_rows_are_not_unfolded(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = io.BytesIO()
    pq.write_table(pa.table({"stage": pa.nulls(1_000_001, pa.string())}), body)
    assert body.tell() < 10_000
    output.write(PATH, body.getvalue())
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    with pytest.raises(ManifestError, match="claims 1000001 rows"):
        read_part(output, PATH)


def test_an_object_larger_than_parts_are_is_not_read(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_part(output, PATH, [row()])
    monkeypatch.setattr(part_checks, "LARGEST_PART", 100)
    monkeypatch.setattr(Storage, "read", None)
    with pytest.raises(ManifestError, match="parts have at most 100"):
        read_manifest(output.url("commits/manifest"))


def test_the_highest_number_of_an_attempt_leaves_room_for_the_next(output: Storage) -> None:
    commit_part(output, PATH, [row(attempt=2**31 - 1)])
    rows = read_manifest(output.url("commits/manifest"), latest=False)
    (last,) = last_attempts(rows)["last_attempt"].to_pylist()
    assert 0 < last < 2**31 - 1000


def test_hostile_text_is_kept_as_text(output: Storage) -> None:
    hostile = "../../etc\0\x1b[31m|<img>\n" + "x" * 100_000
    commit_part(output, PATH, [row(pair_id=hostile, error_message=hostile)])
    (found,) = read_manifest(output.url("commits/manifest")).to_pylist()
    assert found["pair_id"] == found["error_message"] == hostile
