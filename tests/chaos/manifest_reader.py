"""Reads an output's manifest again and again while runs write it, as a notebook would."""

from __future__ import annotations

import io
import threading
from collections import Counter
from typing import Any, Self

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

KEY = ("run_id", "pair_id", "attempt")
_EVERY = 0.5
_PATIENCE = 5  # seconds for an answer
Row = tuple[Any, ...]


class ManifestReader:
    """Looks every half second during a block: at each file by one request, and at all rows.

    Args:
        url: Of the S3 server, which may be away at times.
        bucket: The bucket.
        output: Prefix of the output.

    Attributes:
        looks: How often it has seen all rows.
        away: How often the store did not answer.
        violations: What it saw that must not be, in words.
    """

    def __init__(self, url: str, bucket: str, output: str):
        config = Config(
            retries={"total_max_attempts": 1}, connect_timeout=_PATIENCE, read_timeout=_PATIENCE
        )
        self._client = boto3.client("s3", endpoint_url=url, config=config)
        self._bucket, self._output = bucket, output
        self._seen: Counter[Row] = Counter()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="reader", daemon=True)
        self.looks = self.away = 0
        self.violations: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Look once, and compare with the last look."""
        try:
            rows = self._rows()
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, self._client.exceptions.NoSuchKey):
                self._violates(f"a file of the manifest vanished: {error}")
            self.away += 1
            return
        self.looks += 1
        for row, count in (rows - self._seen).items():
            if count + self._seen[row] > 1:
                self._violates(f"row {row} is there {rows[row]} times")
        for row in self._seen - rows:
            self._violates(f"row {row} was there at the last look, and is gone")
        self._seen = rows

    def _keep_looking(self) -> None:
        try:
            while not self._ended.wait(_EVERY):
                self.look()
        except Exception as error:  # else nobody would notice that it looks no more
            self._violates(f"the reader itself failed: {type(error).__name__}: {error}")

    def _rows(self) -> Counter[Row]:
        rows: Counter[Row] = Counter()
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=f"{self._output}/manifest/"):
            for item in page.get("Contents", []):
                rows.update(self._rows_of(item["Key"]))
        return rows

    def _rows_of(self, key: str) -> list[Row]:
        body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        try:
            file = pq.ParquetFile(io.BytesIO(body), page_checksum_verification=True)
            table = file.read(columns=list(KEY), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            self._violates(f"{key} can't be read: {error}")
            return []
        return list(zip(*(table[name].to_pylist() for name in KEY), strict=True))

    def _violates(self, what: str) -> None:
        self.violations.append(f"{self._output}/manifest/, read at look {self.looks}: {what}")
