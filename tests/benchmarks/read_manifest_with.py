"""Runs one query over a manifest with one library, and prints its seconds as JSON.

    python tests/benchmarks/read_manifest_with.py QUERY URL

Importing the library isn't counted; opening the manifest is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import duckdb
import pandas as pd
import polars as pl

EIGHT = ["pair_id", "status", "fused_url", "vif", "qabf", "ssim", "model_hash", "ended"]
DAY = "2026-11-01"
PAIR = "2026/11/20/road_000777777"


def pandas_columns(url: str) -> int:
    return len(pd.read_parquet(f"{url}/date={DAY}", columns=EIGHT))


def pandas_pair(url: str) -> int:
    return len(pd.read_parquet(f"{url}/date={DAY}", filters=[("pair_id", "=", PAIR)]))


def duckdb_status(url: str) -> int:
    return _ask(url, "SELECT status, count(*) FROM manifest GROUP BY status")


def duckdb_pair(url: str) -> int:
    return _ask(url, f"SELECT * FROM manifest WHERE pair_id = '{PAIR}'")


def duckdb_day(url: str) -> int:
    return _ask(url, f"SELECT avg(vif), avg(ssim) FROM manifest WHERE date = '{DAY}'")


def polars_status(url: str) -> int:
    return _scan(url).group_by("status").len().collect().height


def polars_pair(url: str) -> int:
    return _scan(url).filter(pl.col("pair_id") == PAIR).collect().height


def _ask(url: str, sql: str) -> int:
    connection = duckdb.connect()
    if url.startswith("s3://"):  # without DuckDB's own extension, which it loads from its makers
        import s3fs

        connection.register_filesystem(s3fs.S3FileSystem())
    files = f"read_parquet('{url}/*/*.parquet', hive_partitioning = true)"
    connection.execute(f"CREATE VIEW manifest AS SELECT * FROM {files}")
    return len(connection.execute(sql).fetchall())


def _scan(url: str) -> pl.LazyFrame:
    options = {
        "aws_endpoint_url": os.environ.get("AWS_ENDPOINT_URL", ""),
        "aws_region": os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
        "aws_access_key_id": os.environ.get("AWS_ACCESS_KEY_ID", ""),
        "aws_secret_access_key": os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
        "aws_allow_http": "true",
    }
    on_s3 = url.startswith("s3://")
    return pl.scan_parquet(f"{url}/**/*.parquet", storage_options=options if on_s3 else None)


def main() -> None:
    query: Any = globals()[sys.argv[1]]
    began = time.perf_counter()
    found = query(sys.argv[2])
    seconds = time.perf_counter() - began
    if not found:
        sys.exit("the query found nothing")
    print(json.dumps({"seconds": seconds, "found": found}))


if __name__ == "__main__":
    main()
