"""Makes of a store's URLs what a browser can open."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

_S3 = ("s3", "s3a")
_GOOGLE = ("gs", "gcs")


def browsable(url: str, options: Mapping[str, Any] | None = None) -> str:
    """Return the link of a file or folder, without any right to it: who opens it must have that.

    A presigned URL would be a right that lies in Prefect's database, so none is made.

    Args:
        url: As fsspec opens it; a folder ends with a slash.
        options: The storage options, which may name an S3 server.
    """
    scheme, found, rest = url.partition("://")
    if not found:
        return Path(url).absolute().as_uri()
    bucket, _, key = rest.partition("/")
    if scheme in _S3:
        return _on_s3(bucket, quote(key), _endpoint(options or {}))
    if scheme in _GOOGLE:
        return f"https://console.cloud.google.com/storage/browser/{bucket}/{quote(key)}"
    return url


def _on_s3(bucket: str, key: str, endpoint: str | None) -> str:
    if endpoint:
        return f"{endpoint}/{bucket}/{key}"
    console = "https://s3.console.aws.amazon.com/s3"
    if key and not key.endswith("/"):
        return f"{console}/object/{bucket}?prefix={key}"
    return f"{console}/buckets/{bucket}?prefix={key}"


def _endpoint(options: Mapping[str, Any]) -> str | None:
    """Return the address of an S3 server that isn't Amazon's, without what may be a secret."""
    of_client = options.get("client_kwargs") or {}
    found = options.get("endpoint_url") or of_client.get("endpoint_url")
    found = found or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not found:
        return None
    parts = urlsplit(str(found))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")).rstrip(
        "/"
    )
