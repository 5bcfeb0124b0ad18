"""Rows of a manifest, and manifests of them in memory."""

import datetime as dt
import uuid
from typing import Any

import pyarrow as pa

from fusion_core.archive.layout import part_path
from fusion_core.archive.parts import commit_part
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.storage.store import Storage

DAY = dt.date(2026, 11, 20)


def row(pair_id: str = "1", second: int = 0, **changed: Any) -> dict[str, Any]:
    moment = dt.datetime(2026, 11, 20, tzinfo=dt.UTC) + dt.timedelta(seconds=second)
    filled = {
        field.name: {pa.string(): "x", pa.int64(): 1}.get(field.type, moment)
        for field in PART_SCHEMA
        if not field.nullable
    }
    return {**filled, "pair_id": pair_id, "status": "ok", **changed}


def write(*parts: tuple[dt.date, list[dict[str, Any]]]) -> str:
    storage = Storage(f"memory://{uuid.uuid4().hex}")
    for number, (date, rows) in enumerate(parts):
        assert commit_part(storage, part_path(date, f"{number}"), rows)
    return storage.url("commits/manifest")
