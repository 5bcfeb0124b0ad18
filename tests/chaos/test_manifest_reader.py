"""The reader names whatever a reader of the manifest must never see."""

import io
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from manifest_reader import KEY, ManifestReader

pytestmark = pytest.mark.s3


class Manifest:
    """Files of rows, and a reader that looks when it is told."""

    def __init__(self, bucket: str):
        self.client, self.bucket = boto3.client("s3"), bucket
        self.reader = ManifestReader(self.client.meta.endpoint_url, bucket, "out")

    def put(self, name: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"out/manifest/{name}", Body=body)

    def write(self, name: str, *pairs: str) -> None:
        rows = [("r", pair, 1) for pair in pairs]
        columns: list[Any] = list(zip(*rows, strict=True))
        body = io.BytesIO()
        pq.write_table(pa.table(columns, names=list(KEY)), body)
        self.put(name, body.getvalue())

    def look(self) -> list[str]:
        self.reader.look()
        return self.reader.violations


@pytest.fixture
def manifest(s3_bucket: str) -> Manifest:
    return Manifest(s3_bucket)


def test_files_that_grow_are_as_they_should_be(manifest: Manifest) -> None:
    assert manifest.look() == []
    manifest.write("rows-1.parquet", "a")
    assert manifest.look() == []
    manifest.write("rows-1.parquet", "a", "b")
    manifest.write("rows-2.parquet", "c")
    assert manifest.look() == []
    assert (manifest.reader.looks, manifest.reader.away) == (3, 0)


def test_a_row_that_is_gone_is_named(manifest: Manifest) -> None:
    manifest.write("rows-1.parquet", "a", "b")
    assert manifest.look() == []
    manifest.write("rows-1.parquet", "a", "c")
    (found,) = manifest.look()
    assert found.endswith("row ('r', 'b', 1) was there at the last look, and is gone")


def test_a_row_that_is_there_twice_is_named(manifest: Manifest) -> None:
    manifest.write("rows-1.parquet", "a")
    assert manifest.look() == []
    manifest.write("rows-2.parquet", "a")
    (found,) = manifest.look()
    assert found.endswith("row ('r', 'a', 1) is there 2 times")


def test_a_file_that_is_torn_is_named(manifest: Manifest) -> None:
    manifest.put("rows-1.parquet", b"PAR1 and no more")
    (found,) = manifest.look()
    assert "out/manifest/rows-1.parquet can't be read" in found


def test_a_store_that_is_away_is_counted(manifest: Manifest) -> None:
    reader = ManifestReader("http://127.0.0.1:9", manifest.bucket, "out")
    reader.look()
    assert (reader.looks, reader.away, reader.violations) == (0, 1, [])
