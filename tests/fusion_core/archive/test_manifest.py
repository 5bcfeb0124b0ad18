import datetime as dt
import io
import string
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_rows import DAY, row, write

from fusion_core.archive.layout import SCORES_FOLDER, part_path
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.parts import commit_part, read_part
from fusion_core.archive.schema import MANIFEST_SCHEMA, MATRIX, PART_SCHEMA
from fusion_core.errors import ManifestError
from fusion_core.metrics import METRIC_NAMES
from fusion_core.storage.store import Storage

DAYS = st.dates(dt.date(2026, 11, 18), dt.date(2026, 11, 20))
TEXT = st.text(max_size=5)
VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): TEXT,
    pa.binary(): st.binary(max_size=5),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.float64(): st.floats(allow_nan=False),
    MATRIX: st.lists(st.floats(allow_nan=False), max_size=9),
    pa.timestamp("us", tz="UTC"): st.datetimes(
        dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2), timezones=st.just(dt.UTC)
    ),
}
OWN: dict[str, st.SearchStrategy[Any]] = {
    "pair_id": st.sampled_from(["a", "b", "c/é"]),
    "method": st.sampled_from(["a", "refinefuse"]),
    "run_id": st.sampled_from(["r1", "r2"]),
    "status": st.sampled_from(["ok", "failed", "undone", "skipped"]),
    "attempt": st.integers(1, 3),
}


def anything(field: pa.Field) -> st.SearchStrategy[Any]:
    values = OWN.get(field.name, VALUES[field.type])
    return st.none() | values if field.nullable else values


ROWS = st.fixed_dictionaries({field.name: anything(field) for field in PART_SCHEMA})
PARTS = st.lists(st.tuples(DAYS, st.lists(ROWS, min_size=1, max_size=3)), max_size=4)


def test_every_column_has_a_description_and_the_schema_a_version() -> None:
    assert len(set(MANIFEST_SCHEMA.names)) == len(MANIFEST_SCHEMA.names)
    for field in MANIFEST_SCHEMA:
        text = field.metadata[b"description"].decode()
        assert len(text) > 5
        assert text.isprintable()
    assert MANIFEST_SCHEMA.metadata == {b"schema_version": b"7"}
    assert {*METRIC_NAMES} == {"vif", "ag", "scd", "qabf", "sf", "en", "ssim"}
    assert {*METRIC_NAMES} <= {*MANIFEST_SCHEMA.names}


@settings(max_examples=30)
@given(rows=st.lists(ROWS, min_size=1, max_size=5))
def test_a_part_gives_back_the_rows_and_descriptions_that_it_was_given(
    rows: list[dict[str, Any]],
) -> None:
    storage = Storage(f"memory://{uuid.uuid4().hex}")
    path = part_path(DAY, "1")
    assert commit_part(storage, path, rows)
    table = read_part(storage, path)
    assert table.schema.equals(PART_SCHEMA, check_metadata=True)
    assert table.to_pylist() == rows


@settings(max_examples=30)
@given(parts=PARTS, columns=st.lists(st.sampled_from(MANIFEST_SCHEMA.names), unique=True))
def test_reading_agrees_with_plain_python(
    parts: list[tuple[dt.date, list[dict[str, Any]]]], columns: list[str]
) -> None:
    url = write(*parts)
    rows = [{**one, "date": date} for date, group in parts for one in group]

    def order(one: dict[str, Any]) -> tuple[Any, ...]:
        return (one["attempt"] or 0, one["ended"], one["run_id"])

    def what(one: dict[str, Any]) -> tuple[str, str]:
        return (one["pair_id"], one["method"])

    def which(one: dict[str, Any]) -> tuple[str, ...]:
        scored = one["fused_version"] is not None
        return (*what(one), one["metric_version"] if scored else "")

    newest: dict[tuple[str, ...], tuple[Any, ...]] = {}
    for one in rows:
        newest[which(one)] = max(order(one), newest.get(which(one), order(one)))
    latest = read_manifest(url)
    assert latest.schema.names == MANIFEST_SCHEMA.names
    found = latest.to_pylist()
    assert [which(one) for one in found] == sorted(newest)
    assert all(one in rows and order(one) == newest[which(one)] for one in found)
    every = read_manifest(url, latest=False).to_pylist()
    assert all(one in rows for one in every)
    keys = [(*what(one), *order(one)) for one in every]
    assert keys == sorted((*what(one), *order(one)) for one in rows)
    for keep in (True, False):
        chosen = read_manifest(url, latest=keep, columns=columns)
        assert chosen.column_names == columns
        assert chosen.num_rows == len(found if keep else every)
        filtered = read_manifest(url, latest=keep, filters=[("status", "=", "failed")]).to_pylist()
        base = found if keep else every
        assert filtered == [one for one in base if one["status"] == "failed"]


NEW_IN_2 = ["method", "fused_version", "metrics_undefined"]


def write_version_1(storage: Storage, name: str, pair_id: str) -> str:
    """Write a part as the first version of the schema had it, and return its path."""
    schema = PART_SCHEMA.with_metadata({"schema_version": "1"})
    for column in NEW_IN_2:
        schema = schema.remove(schema.get_field_index(column))
    place = schema.get_field_index("model_hash")
    schema = schema.set(place, schema.field(place).with_nullable(False))
    old = {column: value for column, value in row(pair_id).items() if column not in NEW_IN_2}
    body = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{**old, "model_hash": "m"}], schema=schema), body)
    path = part_path(DAY, name)
    storage.write(path, body.getvalue())
    return path


@pytest.mark.parametrize("latest", [True, False])
def test_parts_of_the_first_schema_version_are_read_beside_newer_ones(
    tmp_path: Path, latest: bool
) -> None:
    storage = Storage(str(tmp_path))
    write_version_1(storage, "0", "old")
    commit_part(storage, part_path(DAY, "1"), [row("new", method="other", model_hash=None)])
    url = storage.url("commits/manifest")
    found = {one["pair_id"]: one for one in read_manifest(url, latest=latest).to_pylist()}
    assert [found["old"][column] for column in NEW_IN_2] == ["refinefuse", None, None]
    assert (found["old"]["model_hash"], found["new"]["method"]) == ("m", "other")
    for method, pair_id in (("refinefuse", "old"), ("other", "new")):
        chosen = read_manifest(
            url, latest=latest, columns=["pair_id"], filters=[("method", "=", method)]
        )
        assert chosen.to_pylist() == [{"pair_id": pair_id}]
    assert len(pd.read_parquet(url)) == 2


def test_a_part_of_the_first_schema_version_is_read_as_one_of_this(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    table = read_part(storage, write_version_1(storage, "0", "old"))
    assert table.schema.equals(PART_SCHEMA)
    assert table["method"].to_pylist() == ["refinefuse"]
    pa.concat_tables([table, PART_SCHEMA.empty_table()])


def test_scores_lie_in_a_folder_of_their_own() -> None:
    storage = Storage(f"memory://{uuid.uuid4().hex}")
    path = part_path(DAY, "1", SCORES_FOLDER)
    assert path == "commits/scores/date=2026-11-20/part-1.parquet"
    commit_part(storage, path, [row()])
    assert read_manifest(storage.url("commits/manifest")).num_rows == 0
    assert read_manifest(storage.url(f"commits/{SCORES_FOLDER}")).num_rows == 1


def test_the_date_stands_in_the_folder_only(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    path = part_path(dt.date(2026, 1, 2), "abc")
    assert path == "commits/manifest/date=2026-01-02/part-abc.parquet"
    assert commit_part(storage, path, [row()])
    assert "date" not in pq.ParquetFile(tmp_path / path).schema_arrow.names
    assert read_manifest(storage.url("commits/manifest"))["date"].to_pylist() == [
        dt.date(2026, 1, 2)
    ]


def test_the_first_part_of_a_name_stays() -> None:
    storage = Storage(f"memory://{uuid.uuid4().hex}")
    path = part_path(DAY, "1")
    assert commit_part(storage, path, [row(host="first")])
    assert not commit_part(storage, path, [row(host="second")])
    assert read_part(storage, path)["host"].to_pylist() == ["first"]


@pytest.mark.parametrize("folder", ["", "/none", "/none/yet"])
def test_a_manifest_without_parts_is_empty(tmp_path: Path, folder: str) -> None:
    for root in (str(tmp_path), f"memory://{uuid.uuid4().hex}"):
        assert read_manifest(root + folder).equals(MANIFEST_SCHEMA.empty_table())
        assert read_manifest(root + folder, columns=["en"]).column_names == ["en"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"pair_id": None},
        {"ir_bytes": "many"},
        {"ir_bytes": 2**70},
        {"height": 2**31},
        {"error_message": "\udcff"},
        {"vif": "high"},
        {"started": "yesterday"},
    ],
)
def test_rows_that_do_not_follow_the_schema_are_refused(wrong: dict[str, Any]) -> None:
    storage = Storage(f"memory://{uuid.uuid4().hex}")
    with pytest.raises(ManifestError, match="don't follow the manifest's schema"):
        commit_part(storage, part_path(DAY, "1"), [row(**wrong)])
    assert storage.list().num_rows == 0


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    path = part_path(DAY, "1")
    commit_part(storage, path, [row(host=string.ascii_letters * 50)])
    body = bytearray((tmp_path / path).read_bytes())
    place = body.index(b"\x28\xb5\x2f\xfd") + 9  # inside the first page, a zstd frame
    body[place] ^= 1
    (tmp_path / path).write_bytes(body)
    with pytest.raises(ManifestError, match=r"part-1\.parquet can't be read"):
        read_part(storage, path)
    (tmp_path / path).write_bytes(body[:100])
    with pytest.raises(ManifestError, match=r"part-1\.parquet can't be read"):
        read_part(storage, path)
    with pytest.raises(ManifestError, match="can't be read"):
        read_manifest(storage.url("commits/manifest"))


def test_a_foreign_file_and_a_wrong_question_are_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a part")
    body = io.BytesIO()
    pq.write_table(pa.table({"pair_id": [["1"]]}), body)
    Storage(str(tmp_path)).write("date=2026-11-20/part-1.parquet", body.getvalue())
    with pytest.raises(ManifestError, match="can't be read"):
        read_manifest(str(tmp_path))
    url = write((DAY, [row()]))
    with pytest.raises(ManifestError, match=r"no columns \['nope'\]"):
        read_manifest(url, columns=["pair_id", "nope"])
    for latest in (True, False):
        for condition in ([("nope", "=", 1)], [("status", "=", 1)]):
            with pytest.raises(ManifestError, match="filters that fit"):
                read_manifest(url, latest=latest, filters=condition)
