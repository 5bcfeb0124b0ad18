"""Requests to S3 that s3fs would make in another way by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion_core.storage.answers import answer_of

LARGEST_PUT = 5 << 30
"""Bytes that S3 takes in one request."""

_CONNECT_SECONDS = 10.0
_STALL_SECONDS = 20.0  # without a byte; eight of them fit into the retries
_CONNECTIONS = 64  # a worker's threads share them


def s3_options(options: Mapping[str, Any], retry_seconds: float) -> dict[str, Any]:
    """Return options of s3fs with bounded waits, and without retries that nobody counts."""
    config: dict[str, Any] = {
        "connect_timeout": min(_CONNECT_SECONDS, retry_seconds / 8),
        "read_timeout": min(_STALL_SECONDS, retry_seconds / 8),
        "max_pool_connections": _CONNECTIONS,
        "retries": {"total_max_attempts": 1},
    }
    config |= options.get("config_kwargs") or {}
    return {"use_listings_cache": False, **options, "config_kwargs": config}


def first_bytes(fs: Any, full: str, *, most: int, limit: Mapping[str, Any]) -> bytes:
    """Return the first bytes of an object of any store in one request; raises FileNotFoundError."""
    try:
        return bytes(fs.cat_file(full, start=0, end=most, **limit))
    except Exception as error:
        # No byte of an empty object lies in any range.
        answer = answer_of(error)
        if answer is not None and answer.status == 416:
            return b""
        raise


def put_on_s3(
    fs: Any, full: str, local: Path, *, exclusive: bool, limit: Mapping[str, float]
) -> None:
    """Send a local file of less than ``LARGEST_PUT`` in one request.

    s3fs would hold the file in memory, or send parts, which some servers don't create exclusively.
    """
    bucket, key, _ = fs.split_path(full)
    condition = {"IfNoneMatch": "*"} if exclusive else {}
    with local.open("rb") as body:
        fs.call_s3(
            "put_object",
            Bucket=bucket,
            Key=key,
            Body=body,
            ContentLength=local.stat().st_size,  # so that a repeated request can't send less
            **condition,
            **limit,
        )
    fs.invalidate_cache(full)
