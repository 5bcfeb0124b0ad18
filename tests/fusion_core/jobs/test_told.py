import datetime as dt
from pathlib import Path
from typing import Any

from archive_fixture import NAMES, ArchiveFixture
from tiny import pair_refs

from fusion_core.archive.plan import Chunk
from fusion_core.archive.schema import STAGES
from fusion_core.jobs.told import attempts_of

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def row(*stages: str, **columns: Any) -> dict[str, Any]:
    plain = {"pair_id": "p", "method": "m", "status": "ok", "started": NOW, "ended": NOW}
    times = {f"seconds_{stage}": 0.5 if stage in stages else None for stage in STAGES}
    return {**plain, **times, "ir_bytes": 10, "vi_bytes": 20, "retries": 3, **columns}


def test_a_watched_worker_tells_of_each_attempt_what_its_row_tells(tmp_path: Path) -> None:
    archive = ArchiveFixture(str(tmp_path))
    archive.source.write("ir/b.png", b"no picture")
    chunk = Chunk("part", pair_refs(archive.settings.source, NAMES))
    worker = archive.worker()
    worker.watched = True
    attempts = {one.pair_id: one for one in worker.run(chunk).attempts}
    rows = archive.rows()
    assert attempts.keys() == rows.keys()
    for name, one in attempts.items():
        found = rows[name]
        assert (one.status, one.stage, one.cause) == tuple(
            found[column] for column in ("status", "stage", "cause")
        )
        assert (one.started, one.ended) == (found["started"], found["ended"])
        assert one.bytes_written == (found["fused_bytes"] or 0)
    assert (attempts["b"].status, attempts["b"].stage) == ("failed", "decode")
    assert list(attempts["b"].seconds) == ["read", "decode"]
    assert list(attempts["a"].seconds) == list(STAGES)
    # Who comes second counts them, and tells nothing that it didn't do.
    again = archive.worker()
    again.watched = True
    result = again.run(chunk)
    assert (result.ok, result.failed, result.attempts) == (3, 1, ())


def test_a_worker_that_nobody_watches_tells_of_none(tmp_path: Path) -> None:
    archive = ArchiveFixture(str(tmp_path))
    result = archive.worker().run(archive.chunk())
    assert (result.ok, result.attempts) == (4, ())


def test_bytes_are_those_that_were_moved() -> None:
    fused, unread, scored = attempts_of(
        [
            row("read", "decode", "fuse", fused_bytes=5),
            row("read", status="undone", stage="read", cause="store", error_type="ReadError"),
            row("read", "decode", "score", fused_bytes=5, fused_version="etag"),
        ]
    )
    assert (fused.bytes_read, fused.bytes_written, fused.retries) == (30, 5, 3)
    assert (unread.bytes_read, unread.bytes_written) == (0, 0)
    assert (scored.bytes_read, scored.bytes_written) == (35, 0)
