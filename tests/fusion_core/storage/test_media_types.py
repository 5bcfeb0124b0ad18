import urllib.request

import boto3
import pytest
from s3_servers import S3Server

from fusion_core.storage.media_types import media_options
from fusion_core.storage.store import Storage


@pytest.mark.parametrize(
    ("protocols", "path", "expected"),
    [
        (("s3", "s3a"), "runs/r/report.html", {"ContentType": "text/html; charset=utf-8"}),
        (("gs", "gcs"), "a.webp", {"content_type": "image/webp"}),
        (("s3", "s3a"), "rows.parquet", {}),
        ("memory", "index.html", {}),
        (("abfs", "az"), "index.html", {}),
    ],
)
def test_a_store_is_told_the_kind_of_what_people_open(
    protocols: tuple[str, ...] | str, path: str, expected: dict[str, str]
) -> None:
    assert media_options(protocols, path) == expected


@pytest.mark.s3
def test_s3_answers_with_the_kind_that_a_page_has(s3_bucket: str) -> None:
    output = Storage(f"s3://{s3_bucket}/out")
    kinds = {"index.html": "text/html; charset=utf-8", "picture.webp": "image/webp"}
    for path, kind in kinds.items():
        output.write(path, b"<p>")
        found = boto3.client("s3").head_object(Bucket=s3_bucket, Key=f"out/{path}")
        assert found["ContentType"] == kind


@pytest.mark.s3
def test_a_browser_is_shown_what_a_presigned_address_leads_to(s3: S3Server, s3_bucket: str) -> None:
    if s3.name == "moto":
        pytest.skip("moto looks for rights in a header that a presigned request has none of")
    store = Storage(f"s3://{s3_bucket}/out")
    store.write("runs/1/report.html", b"<!doctype html>")
    address = store.fs.sign(store.fs_path("runs/1/report.html"), expiration=60)
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers.get("Content-Disposition") is None
        assert answer.read() == b"<!doctype html>"
