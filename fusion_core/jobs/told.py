"""What a worker tells of a chunk beside its outcome, for those who watch the run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fusion_core.archive.schema import STAGES
from fusion_core.jobs.warned import WorkerWarning


@dataclass(frozen=True)
class Attempt:
    """An attempt at a pair, or at scoring one image, as its row tells of it.

    Attributes:
        pair_id: The pair.
        method: What fused.
        status: What came of it, one of ``STATUSES``.
        stage: Where it ended; None where it is ok.
        cause: What that is blamed on; likewise.
        error_type: Class of its error; likewise.
        started: When work on it began (UTC).
        ended: When that ended.
        seconds: Time of each stage that it went through.
        bytes_read: Size of its source files; 0 where none was read to its end.
        bytes_written: Size of the fused image; 0 where none was written.
        retries: Calls to the stores that were repeated for it.
    """

    pair_id: str
    method: str
    status: str
    stage: str | None
    cause: str | None
    error_type: str | None
    started: dt.datetime
    ended: dt.datetime
    seconds: Mapping[str, float]
    bytes_read: int
    bytes_written: int
    retries: int


@dataclass(frozen=True)
class Told:
    """What an actor tells of its work on a chunk.

    Attributes:
        chunk: The chunk's part id.
        host: The machine.
        device: ``cpu`` or the name of the GPU.
        began: When it took the chunk up (UTC).
        ended: When it was done with it.
        warnings: The first of what its process warned of, since it told last.
        more_warnings: The number of others.
    """

    chunk: str
    host: str
    device: str
    began: dt.datetime
    ended: dt.datetime
    warnings: tuple[WorkerWarning, ...] = ()
    more_warnings: int = 0


def attempts_of(rows: Iterable[Mapping[str, Any]]) -> tuple[Attempt, ...]:
    """Return what rows of a part tell of attempts.

    Args:
        rows: Rows as they are committed.
    """
    return tuple(map(_attempt_of, rows))


def _attempt_of(row: Mapping[str, Any]) -> Attempt:
    seconds = {stage: spent for stage in STAGES if (spent := row[f"seconds_{stage}"]) is not None}
    # What was tried beyond reading was read.
    was_read = any(stage != "read" for stage in seconds)
    fused = row.get("fused_bytes") or 0
    scored = row.get("fused_version") is not None  # only: it was read, and not written
    read = row["ir_bytes"] + row["vi_bytes"] + (fused if scored else 0)
    return Attempt(
        pair_id=row["pair_id"],
        method=row["method"],
        status=row["status"],
        stage=row.get("stage"),
        cause=row.get("cause"),
        error_type=row.get("error_type"),
        started=row["started"],
        ended=row["ended"],
        seconds=seconds,
        bytes_read=read if was_read else 0,
        bytes_written=0 if scored else fused,
        retries=row["retries"] or 0,
    )
