"""The version of an object, which tells whether it has changed, and when it was written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any


def object_version(info: Mapping[str, Any]) -> str:
    """Return an object's version from its metadata: its ETag, else its size and mtime."""
    for key in ("ETag", "etag", "md5Hash", "generation"):
        if info.get(key):
            return str(info[key]).strip('"')
    moment = info.get("mtime") or info.get("created") or info.get("LastModified") or 0
    if isinstance(moment, dt.datetime):  # some stores list seconds and look up datetimes
        moment = moment.timestamp()
    stamp = f"{moment:.6f}" if isinstance(moment, float) else str(moment)
    return f"{info['size']}-{stamp}"


def written_at(info: Mapping[str, Any]) -> dt.datetime | None:
    """Return from an object's metadata when it was written, None where the store doesn't tell."""
    if isinstance(info.get("mtime"), float):  # of a local file, whose ``created`` is another
        return dt.datetime.fromtimestamp(info["mtime"], dt.UTC)
    written = info.get("LastModified") or info.get("created") or info.get("mtime")
    return written if isinstance(written, dt.datetime) else None
