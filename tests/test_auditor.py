"""The auditor names each way in which an output can be broken, and nothing where none is."""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor import COLUMNS, Auditor

pytestmark = pytest.mark.s3
NAMES = ("a", "b", "c", "p1", "p2", "p3")
_COLUMNS = (*COLUMNS, "run_id")
ROWS = "manifest/date=2026-01-03/rows-00000001-0001.parquet"
RECORD = "out/commits/published/00000001-00000{}.json"


def parquet(row_groups: list[list[dict[str, Any]]]) -> bytes:
    kinds = {"attempt": pa.int32()}
    schema = pa.schema([(column, kinds.get(column, pa.string())) for column in _COLUMNS])
    body = io.BytesIO()
    with pq.ParquetWriter(body, schema) as writer:
        for rows in row_groups:
            writer.write_table(pa.Table.from_pylist(rows, schema))
    return body.getvalue()


class Output:
    """An archive and a correct output, to be broken: three parts of before, and three published."""

    def __init__(self, client: Any, bucket: str):
        self.client, self.bucket = client, bucket
        for name in NAMES:
            self.put(f"in/ir/{name}.png", b"infrared")
            self.put(f"in/vi/{name}.png", b"visible")
            self.put(self.image(name), name.encode())
        self.part("1", [self.row("a"), self.row("b")])
        self.part("2", [self.row("c")])
        self.part("closed", [])
        self.commit("1", [self.row("p1")])
        self.commit("2", [self.row("p2"), self.row("p3")])
        self.commit("closed", [])
        self.rows_file([[self.row("p1")], [self.row("p2"), self.row("p3")]])
        self.record("00000001-000001", file=ROWS, row_groups=1, rows=1, parts=["1"])
        self.record("00000001-000002", file=ROWS, row_groups=2, rows=2, parts=["2"])
        self.record("00000001-000003", closed_by="r2")
        for record in (".lease/00000001.json", ".exclusive-probe", "r1/summary.md"):
            self.put(f"out/runs/{record}", b"{}")

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)

    def image(self, name: str) -> str:
        return f"out/fused/settings/{name}.0123.png"

    def row(self, name: str, **changes: Any) -> dict[str, Any]:
        row = dict.fromkeys(_COLUMNS, "same") | {
            "pair_id": name,
            "status": "ok",
            "attempt": 2,
            "fused_url": f"s3://{self.bucket}/{self.image(name)}",
            "fused_sha256": hashlib.sha256(name.encode()).hexdigest(),
        }
        return row | changes

    def failed(self, name: str, stage: str) -> dict[str, Any]:
        lost = {"fused_url": None, "fused_sha256": None, "error_message": "process was lost"}
        return self.row(name, status="failed", attempt=1, stage=stage, **lost)

    def part(self, name: str, rows: list[dict[str, Any]]) -> None:
        self.put(f"out/manifest/date=2026-01-02/part-{name}.parquet", parquet([rows]))

    def commit(self, name: str, rows: list[dict[str, Any]]) -> None:
        self.put(f"out/commits/manifest/date=2026-01-03/part-{name}.parquet", parquet([rows]))

    def rows_file(self, row_groups: list[list[dict[str, Any]]]) -> None:
        self.put(f"out/{ROWS}", parquet(row_groups))

    def record(self, name: str, **values: Any) -> None:
        self.put(f"out/commits/published/{name}.json", json.dumps(values).encode())

    def auditor(self, stale_seconds: float = 60.0) -> Auditor:
        return Auditor(self.client, self.bucket, stale_seconds)

    def violations(self, stale_seconds: float = 60.0) -> list[str]:
        return self.auditor(stale_seconds).audit("in", "out").violations


@pytest.fixture
def output(s3_bucket: str) -> Output:
    return Output(boto3.client("s3"), s3_bucket)


def test_a_whole_output_has_no_violation(output: Output) -> None:
    found = output.auditor(stale_seconds=-1).audit("in", "out")
    assert found.violations == []
    assert (found.pairs, found.parts, found.ok_rows, found.failed_rows) == (6, 4, 6, 0)


def test_an_archive_without_pairs_is_no_proof_of_anything(output: Output) -> None:
    with pytest.raises(ValueError, match="nothing to audit"):
        output.auditor().audit("elsewhere", "out")


def test_a_pair_without_a_row_is_named(output: Output) -> None:
    output.part("2", [])
    output.delete(output.image("c"))
    assert output.violations() == ["pair c: no row"]


def test_a_doubled_row_is_named_with_its_parts(output: Output) -> None:
    output.part("3", [output.row("b")])
    several, same = output.violations()
    assert several.startswith("pair b: 2 ok rows, in ")
    assert "part-1.parquet" in several
    assert "part-3.parquet" in several
    assert same.startswith("pair b: committed 2 times for the same files, model and settings")


def test_a_row_doubled_within_its_part_is_named(output: Output) -> None:
    output.part("2", [output.row("c"), output.row("c")])
    assert len(output.violations()) == 2


def test_a_second_ok_row_by_other_settings_is_named_and_not_called_the_same(output: Output) -> None:
    output.part("3", [output.row("b", settings_hash="other")])
    (several,) = output.violations()
    assert several.startswith("pair b: 2 ok rows")


def test_a_row_of_no_pair_is_named(output: Output) -> None:
    output.put(output.image("d"), b"d")
    output.part("3", [output.row("d")])
    assert output.violations() == ["pair d: has rows, and isn't in the archive"]


def test_a_failed_row_is_a_violation_until_an_ok_one_follows(output: Output) -> None:
    output.part("2", [output.failed("c", "crash")])
    output.delete(output.image("c"))
    (found,) = output.violations()
    assert found.startswith("pair c: only failed rows, 1; out/manifest/date=2026-01-02/part-2")
    assert found.endswith("crash: process was lost")
    output.put(output.image("c"), b"c")
    output.part("3", [output.row("c")])
    audit = output.auditor().audit("in", "out")
    assert (audit.violations, audit.failed_rows) == ([], 1)


def test_undone_rows_are_attempts_and_counted(output: Output) -> None:
    output.part("3", [output.row("c", status="undone", attempt=1)])
    audit = output.auditor().audit("in", "out")
    assert (audit.violations, audit.failed_rows, audit.undone_rows) == ([], 0, 1)
    assert output.auditor().undone("in", "out") == []
    output.part("2", [])
    output.delete(output.image("c"))
    (found,) = output.violations()
    assert found.startswith("pair c: only undone rows, 1; out/manifest/date=2026-01-02/part-3")
    assert output.auditor().undone("in", "out") == ["c"]


@pytest.mark.parametrize(
    ("attempt", "said"),
    [(2, "pair c: attempt 2 is in "), (3, "pair c: attempt 3 follows attempt 2, which is ok")],
)
def test_attempts_that_are_numbered_wrongly_are_named(
    output: Output, attempt: int, said: str
) -> None:
    output.part("3", [output.row("c", status="undone", attempt=attempt)])
    (found,) = output.violations()
    assert found.startswith(said)


def test_a_missing_image_is_named(output: Output) -> None:
    output.delete(output.image("a"))
    (found,) = output.violations()
    assert found.startswith("pair a: ")
    assert found.endswith("a.0123.png, which doesn't exist")


def test_an_image_with_other_bytes_is_named(output: Output) -> None:
    output.put(output.image("a"), b"torn")
    (found,) = output.violations()
    assert f"a.0123.png has the sha256 {hashlib.sha256(b'torn').hexdigest()}" in found


def test_an_image_that_no_row_names_is_named_and_counted(output: Output) -> None:
    output.put(output.image("old"), b"old")
    audit = output.auditor().audit("in", "out")
    assert audit.violations == ["out/fused/settings/old.0123.png: no row names this image"]
    assert audit.orphan_images == 1
    allowed = output.auditor().audit("in", "out", orphans=True)
    assert (allowed.violations, allowed.orphan_images) == ([], 1)


def test_a_part_that_is_torn_is_named(output: Output) -> None:
    output.put("out/manifest/date=2026-01-02/part-9.parquet", b"PAR1 and no more")
    (found,) = output.violations()
    assert "part-9.parquet: can't be read as a part" in found


def test_a_commit_that_is_not_published_is_named(output: Output) -> None:
    output.commit("3", [output.row("p1", status="undone", attempt=1)])
    (found,) = output.violations()
    assert found.startswith("run_id=same pair_id=p1 attempt=1: committed in commits/manifest/")
    assert found.endswith("part-3.parquet, and not published")


def test_a_published_row_that_was_never_committed_is_named(output: Output) -> None:
    output.delete("out/commits/manifest/date=2026-01-03/part-1.parquet")
    assert output.violations() == [
        f"run_id=same pair_id=p1 attempt=2: published in {ROWS}, and never committed"
    ]


def test_a_commit_that_was_removed_was_one(output: Output) -> None:
    key = "out/commits/manifest/date=2026-01-03/part-1.parquet"
    removed = {key: parquet([[output.row("p1")]]), "out/commits/published/x": b"half"}
    output.delete(key)
    assert output.auditor().audit("in", "out", removed=removed).violations == []
    removed[key] = parquet([[output.row("p1"), output.row("p4")]])
    (found,) = output.auditor().audit("in", "out", removed=removed).violations
    assert found.endswith("and not published")


def test_a_row_that_is_published_twice_is_named(output: Output) -> None:
    later = output.row("p1", status="undone", attempt=1)
    output.commit("3", [later])
    output.rows_file([[output.row("p1")], [output.row("p2"), output.row("p3")], [later, later]])
    found = output.violations()
    assert f"run_id=same pair_id=p1 attempt=1: published 2 times, in {ROWS}, {ROWS}" in found


def test_a_row_that_is_committed_twice_is_named(output: Output) -> None:
    output.commit("3", [output.row("p1")])
    (found,) = output.violations()
    assert found.startswith("run_id=same pair_id=p1 attempt=2: committed 2 times, in ")


def test_a_gap_between_records_is_named(output: Output) -> None:
    output.delete(RECORD.format(1))
    assert output.violations() == ["record 1-1: missing, and 1-3 is there"]


def test_a_record_behind_the_end_of_publishing_is_named(output: Output) -> None:
    output.record("00000001-000004", file=ROWS, row_groups=1, rows=1, parts=["1"])
    assert output.violations() == ["record 1-4: follows 1-3, which ended the publishing"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"file": "manifest/x"}, "published in manifest/x, which doesn't exist"),
        ({"row_groups": 3}, f"published as row group 3 of {ROWS}, which has 2"),
        ({"rows": 3}, f"published 3 rows in row group 2 of {ROWS}, which has 2"),
    ],
)
def test_a_record_that_its_file_does_not_keep_is_named(
    output: Output, changes: dict[str, Any], said: str
) -> None:
    output.record("00000001-000002", **({"file": ROWS, "row_groups": 2, "rows": 2} | changes))
    assert output.violations() == [f"record 1-2: {said}"]


@pytest.mark.parametrize("body", [b"half", b"[1]"])
def test_a_record_that_is_torn_is_named(output: Output, body: bytes) -> None:
    output.put(RECORD.format(2), body)
    found = output.violations()
    assert found[0].startswith("commits/published/00000001-000002.json: can't be read as what")


@pytest.mark.parametrize(
    "name", ["out/runs/r1/.part.json", "out/manifest.tmp", "out/.staging/x", "out/fused.tmp"]
)
def test_a_temporary_object_is_named_once_it_is_old(output: Output, name: str) -> None:
    output.put(name, b"half")
    assert output.violations() == []
    (found,) = output.violations(stale_seconds=-1)
    assert found.startswith(f"{name}: temporary, and ")


def test_an_open_upload_is_named_once_it_is_old(output: Output) -> None:
    output.client.create_multipart_upload(Bucket=output.bucket, Key="out/fused/large.tif")
    # moto says that every upload was begun in 2010, other servers say when
    assert output.violations(stale_seconds=1e12) == []
    (found,) = output.violations(stale_seconds=-1)
    assert found.startswith("out/fused/large.tif: a multipart upload is open since ")


def test_a_local_temporary_folder_is_named_once_it_is_old(output: Output, tmp_path: Path) -> None:
    (tmp_path / "fuse-archive-scene-1").mkdir()
    (tmp_path / "somebody-else").mkdir()
    assert output.auditor().local_leftovers(tmp_path) == []
    os.utime(tmp_path / "fuse-archive-scene-1", (0, 0))
    (found,) = output.auditor().local_leftovers(tmp_path)
    assert "fuse-archive-scene-1: temporary" in found
