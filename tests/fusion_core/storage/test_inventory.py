"""Reports of an archive in every format, read instead of listing it."""

import datetime as dt
import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from s3_inventories import COLUMNS, write_inventory

from fusion_core.errors import SettingsError, StorageError
from fusion_core.storage.inventory import inventory_batches
from fusion_core.storage.listing import LISTING_SCHEMA
from fusion_core.storage.store import Storage

FORMATS = ("CSV", "ORC", "Parquet")
BUCKET = "archive"


def entry(key: str, **changes: Any) -> dict[str, Any]:
    row = dict.fromkeys(COLUMNS)
    row |= {"bucket": BUCKET, "key": key, "size": len(key), "e_tag": f"e-{key}", "version_id": "v1"}
    row |= {"is_latest": True, "is_delete_marker": False, "storage_class": "STANDARD"}
    return row | {"last_modified_date": dt.datetime(2026, 11, 1)} | changes


ENTRIES = [
    entry("in/ir/1.png"),
    entry("in/ir/a b+é%41,\"'.png"),
    entry("in/ir/gone.png", is_delete_marker=True, size=None, e_tag=None),
    entry("in/ir/old.png", is_latest=False, version_id="v0"),
    entry("in/ir/old.png", version_id=None),
    entry("in/vi/", size=0),
    entry("in/vi/1.png", storage_class="GLACIER"),
    entry("in/vi/2.png", storage_class="INTELLIGENT_TIERING"),
    entry(
        "in/vi/3.png",
        storage_class="INTELLIGENT_TIERING",
        intelligent_tiering_access_tier="ARCHIVE",
    ),
    entry("in/vi/4.png", storage_class="GLACIER_IR"),
    entry("other/ir/1.png"),
    entry("in2/ir/1.png"),
]


def source(identity: Any = "etag", bucket: str = BUCKET) -> Storage:
    return Storage(f"s3://{bucket}/in", {"key": "k", "secret": "s"}, identity=identity)


def read(url: str, of: Storage | None = None, prefixes: tuple[str, ...] = ("",)) -> pa.Table:
    batches = inventory_batches(url, of or source(), {}, prefixes)
    return pa.concat_tables([LISTING_SCHEMA.empty_table(), *batches])


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_there_now_below_the_source_is_listed(kind: str, tmp_path: Path) -> None:
    listing = read(write_inventory(str(tmp_path), kind, [ENTRIES[:5], ENTRIES[5:]]))
    assert listing.schema == LISTING_SCHEMA
    assert [tuple(row.values()) for row in listing.to_pylist()] == [
        ("ir/1.png", 11, "e-in/ir/1.png", None),
        ("ir/a b+é%41,\"'.png", 21, "e-in/ir/a b+é%41,\"'.png", None),
        ("ir/old.png", 13, "e-in/ir/old.png", None),
        ("vi/1.png", 11, "e-in/vi/1.png", "GLACIER"),
        ("vi/2.png", 11, "e-in/vi/2.png", None),
        ("vi/3.png", 11, "e-in/vi/3.png", "INTELLIGENT_TIERING ARCHIVE"),
        ("vi/4.png", 11, "e-in/vi/4.png", None),
    ]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("blank", ["+", "%20"])
def test_blank_plus_and_percent_in_keys_are_told_apart(
    blank: str, kind: str, tmp_path: Path
) -> None:
    names = ["ir/a b", "ir/a%20b", "ir/a%2Bb", "ir/a+b"]
    url = write_inventory(str(tmp_path), kind, [[entry(f"in/{n}") for n in names]], blank=blank)
    assert read(url)["path"].to_pylist() == names


@pytest.mark.parametrize("kind", FORMATS)
def test_versions_are_those_that_the_store_lists(kind: str, tmp_path: Path) -> None:
    url = write_inventory(str(tmp_path), kind, [ENTRIES[3:5] + ENTRIES[6:7]])
    assert read(url, source("version"))["version"].to_pylist() == ["v:null:e-in/ir/old.png", "v:v1"]


def test_prefixes_choose_as_they_do_in_a_listing(tmp_path: Path) -> None:
    url = write_inventory(str(tmp_path), "Parquet", [ENTRIES])
    listing = read(url, prefixes=("vi/1", "ir/o"))
    assert listing["path"].to_pylist() == ["ir/old.png", "vi/1.png"]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_is_not_the_one_that_was_written_is_refused(kind: str, tmp_path: Path) -> None:
    url = write_inventory(str(tmp_path), kind, [ENTRIES])
    (file,) = tmp_path.glob("inventory/archive/nightly/data/*")
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(StorageError, match=r"has the MD5 \w+; expected"):
        read(url)
    file.write_bytes(b"PAR1, and nothing of it")
    manifest = json.loads(Path(url).read_text())
    manifest["files"][0]["MD5checksum"] = hashlib.md5(file.read_bytes()).hexdigest()
    Path(url).write_text(json.dumps(manifest))
    with pytest.raises(StorageError, match=f"can't read the inventory's file .*{kind}"):
        read(url)
    file.unlink()
    with pytest.raises(SettingsError, match="expected the inventory copied with its folders"):
        read(url)


def test_the_inventory_of_another_bucket_is_refused(tmp_path: Path) -> None:
    url = write_inventory(str(tmp_path), "CSV", [ENTRIES])
    with pytest.raises(SettingsError, match=r"one of the bucket 'archive'; expected one of 'mine'"):
        read(url, source(bucket="mine"))
    with pytest.raises(SettingsError, match="expected a bucket"):
        read(url, Storage(str(tmp_path)))


def test_columns_that_are_missing_are_named(tmp_path: Path) -> None:
    rows = [{name: row[name] for name in ("bucket", "key", "size")} for row in ENTRIES[:1]]
    url = write_inventory(str(tmp_path), "Parquet", [rows])
    with pytest.raises(SettingsError, match=r"lacks \['etag'\]; expected size, ETag"):
        read(url)
    with pytest.raises(SettingsError, match=r"lacks \['etag', 'versionid'\]"):
        read(url, source("version"))


@pytest.mark.parametrize(
    "body", ["{", "[]", '{"fileFormat": "CSV"}', '{"fileFormat": "Avro", "files": []}']
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, body: str) -> None:
    (tmp_path / "manifest.json").write_text(body)
    with pytest.raises(SettingsError, match="is no manifest of an S3 Inventory"):
        read(f"{tmp_path}/manifest.json")
    with pytest.raises(SettingsError, match="there is no inventory"):
        read(f"{tmp_path}/none/manifest.json")


TABLE: dict[str, Any] = {
    "path": ["ir/1", "vi/1", "vi/"],
    "bytes": [1, 2, 0],
    "version": ["a", "sha256:b", "c"],
    "archived": [None, "GLACIER", None],
}


def test_a_table_is_a_listing_under_either_name_of_its_columns(tmp_path: Path) -> None:
    other = {"key": ["ir/2"], "size": [3], "etag": ['"d"'], "storage_class": ["STANDARD"], "x": [1]}
    pq.write_table(pa.table(TABLE), tmp_path / "a.parquet")
    pq.write_table(pa.table(other), tmp_path / "b.parquet")
    (tmp_path / "readme.txt").write_text("no table")
    first = [("ir/1", 1, "a", None), ("vi/1", 2, "sha256:b", "GLACIER")]
    here = Storage(str(tmp_path))
    for url, expected in (
        (f"{tmp_path}/a.parquet", first),
        (str(tmp_path), [*first, ("ir/2", 3, "d", None)]),
    ):
        assert [tuple(row.values()) for row in read(url, here).to_pylist()] == expected


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"path": ["a"], "size": [1]}, r"lacks \['version'\]"),
        (TABLE | {"version": ["a", None, "c"]}, r"without a size or version, such as \['vi/1'\]"),
        (TABLE | {"path": ["a", "s3://b/c", "d"]}, r"names 's3://b/c'; expected paths below"),
    ],
)
def test_a_table_with_gaps_is_refused(tmp_path: Path, table: dict[str, Any], reason: str) -> None:
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises((SettingsError, StorageError), match=reason):
        read(f"{tmp_path}/a.parquet", Storage(str(tmp_path)))


def test_a_folder_without_a_table_is_no_inventory(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no inventory"):
        read(str(tmp_path), Storage(str(tmp_path)))
    (tmp_path / "a.parquet").write_bytes(b"no table")
    with pytest.raises(StorageError, match="can't read the inventory's file"):
        read(str(tmp_path), Storage(str(tmp_path)))


@pytest.mark.s3
@pytest.mark.parametrize("kind", FORMATS)
def test_an_inventory_in_a_bucket_says_what_a_listing_says(s3_bucket: str, kind: str) -> None:
    storage = Storage(f"s3://{s3_bucket}/in")
    names = ["ir/1 a+b.png", "ir/é%.png", "vi/1.png"]
    for name in names:
        storage.write(name, name.encode())
    listing = storage.list()
    rows = [
        entry(f"in/{row['path']}", bucket=s3_bucket, size=row["bytes"], e_tag=row["version"])
        for row in listing.to_pylist()
    ]
    url = write_inventory(f"s3://{s3_bucket}/reports/{uuid.uuid4().hex}", kind, [rows], s3_bucket)
    assert read(url, storage).equals(listing)
