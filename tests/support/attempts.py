"""Results of chunks as workers tell them, without any worker."""

import datetime as dt
from typing import Any

from fusion_core.jobs import Attempt, ChunkResult, Told

BEGAN = dt.datetime(2026, 11, 20, 2, 30, tzinfo=dt.UTC)
SECONDS = {"read": 0.02, "decode": 0.002, "fuse": 0.5, "encode": 0.01, "score": 0.04, "write": 0.2}


def attempt(name: str, status: str = "ok", **changes: Any) -> Attempt:
    """Return an attempt at a pair that took its stages ``SECONDS``."""
    reasons: dict[str, Any] = dict.fromkeys(("stage", "cause", "error_type"))
    if status != "ok":
        reasons = {"stage": "decode", "cause": "pair", "error_type": "DecodeError"}
    moments = {"started": BEGAN, "ended": BEGAN + dt.timedelta(seconds=2)}
    numbers = {"bytes_read": 1000, "bytes_written": 400, "retries": 1}
    fields = {"seconds": SECONDS, **reasons, **moments, **numbers, **changes}
    return Attempt(pair_id=name, method="refinefuse", status=status, **fields)


def chunk_result(*attempts: Attempt, chunk: str = "c1", **told: Any) -> ChunkResult:
    """Return the result of a chunk whose rows these attempts are; ``told`` are fields of that."""
    counts = {
        name: sum(one.status == name for one in attempts) for name in ("ok", "failed", "skipped")
    }
    fields = {"host": "node", "device": "cpu", "began": BEGAN, **told}
    fields.setdefault("ended", BEGAN + dt.timedelta(seconds=3))
    return ChunkResult((chunk,), attempts=attempts, told=Told(chunk, **fields), **counts)
