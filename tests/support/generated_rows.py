"""Rows of runs of any size, generated: most are ok, some were tried in vain."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.run_rows import RUN_SCHEMA
from fusion_core.archive.schema import STAGES
from fusion_core.metrics import METRIC_NAMES

BATCH = 10_000
MODEL, SETTINGS = "m" * 64, "0123456789abcdef"
_MESSAGE = "is cut: expected more bytes. Copy the file anew, or take it out of the archive. "


def run_rows(count: int, *, vain: float = 0.01, long: int = 4) -> Iterator[pa.Table]:
    """Yield the rows of a run over so many pairs, of ``RUN_SCHEMA``.

    Args:
        count: Number of pairs.
        vain: Share of them that failed; as many are undone, and as many have a remark.
        long: Length of the messages, in sentences of eighty letters.
    """
    for start in range(0, count, BATCH):
        yield _rows(start, min(BATCH, count - start), vain, long)


def run_pairs(count: int) -> Iterator[pa.Table]:
    """Yield the plan's pairs of that run, with what the sheet needs of them."""
    for start in range(0, count, BATCH):
        ids = _ids(start, min(BATCH, count - start))
        versions = pa.repeat("v", len(ids))
        paths = {s: pc.binary_join_element_wise(f"{s}/", ids, ".png", "") for s in ("ir", "vi")}
        yield pa.table(
            {"pair_id": ids, "ir_version": versions, "vi_version": versions}
            | {f"{side}_path": path for side, path in paths.items()}
        )


def _ids(start: int, count: int) -> pa.Array:
    return pa.array([f"2026/11/20/road_{k:09}" for k in range(start, start + count)])


def _rows(start: int, count: int, vain: float, long: int) -> pa.Table:
    ids, rng = _ids(start, count), np.random.default_rng(start)
    drawn = pa.array(rng.random(count))
    failed, undone = pc.less(drawn, vain), pc.less(drawn, 2 * vain)
    status = pc.if_else(failed, "failed", pc.if_else(undone, "undone", "ok"))
    message = pc.if_else(undone, pc.binary_join_element_wise(ids, long * _MESSAGE, " "), None)
    moments = pa.repeat(pa.scalar(dt.datetime(2026, 11, 20, tzinfo=dt.UTC)), count)
    texts = {
        "run_id": "run",
        "method": "refinefuse",
        "ir_version": "v",
        "vi_version": "v",
        "model_hash": MODEL,
        "settings_hash": SETTINGS,
        "metric_version": "1.0",
        **{"device": "cpu", "precision": "fp32", "engine": "eager", "fused_format": "png"},
        **{"fused_sha256": "ab" * 32, "fused_url": "s3://out/fused/image.png"},
    }
    columns: dict[str, pa.Array] = {
        **{name: pa.repeat(text, count) for name, text in texts.items()},
        **{name: pa.array(rng.random(count)) for name in METRIC_NAMES},
        **{f"seconds_{stage}": pa.array(rng.random(count)) for stage in STAGES},
        "pair_id": ids,
        "status": status,
        "attempt": pa.repeat(pa.scalar(1, pa.int32()), count),
        "stage": pc.if_else(failed, "decode", pc.if_else(undone, "read", None)),
        "error_message": message,
        "remark": pc.if_else(pc.greater(drawn, 1 - vain), "covers 97 % of the image", None),
        "retries": pa.repeat(pa.scalar(1, pa.int32()), count),
        "ended": moments,
    }
    return pa.table(
        [
            columns[field.name].cast(field.type)
            if field.name in columns
            else pa.nulls(count, field.type)
            for field in RUN_SCHEMA
        ],
        schema=RUN_SCHEMA,
    )
