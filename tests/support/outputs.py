"""Reads what runs wrote, without any code of the project."""

import collections
import hashlib
import io
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pyarrow.parquet as pq
from s3_servers import S3Server

from fusion_core.settings.fuse import FuseArchiveSettings


def local_rows(settings: FuseArchiveSettings) -> pd.DataFrame:
    folder = Path(settings.output) / "manifest"
    return pd.read_parquet(folder) if folder.is_dir() else pd.DataFrame({"pair_id": []})


class Bucket:
    """Reads a bucket without any code of the project."""

    def __init__(self, server: S3Server, name: str):
        self.name = name
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=server.url,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            region_name=server.region,
        )

    def keys(self, prefix: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix
        )
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def rows(self, output: str) -> list[dict[str, Any]]:
        return [
            row
            for key in self.keys(f"{output}/manifest/")
            for row in pq.read_table(io.BytesIO(self.read(key)), partitioning=None).to_pylist()
        ]


def audit(bucket: Bucket, output: str, names: list[str]) -> None:
    """Check that every pair has one row, and every row the image that it names."""
    rows = bucket.rows(output)
    counts = collections.Counter(row["pair_id"] for row in rows)
    assert counts == collections.Counter(names)
    assert {row["status"] for row in rows} == {"ok"}
    start = f"s3://{bucket.name}/"
    for row in rows:
        body = bucket.read(row["fused_url"].removeprefix(start))
        assert hashlib.sha256(body).hexdigest() == row["fused_sha256"]
    images = [key for key in bucket.keys(f"{output}/fused/") if not key.endswith("/settings.json")]
    assert len(images) == len(names)
