import logging

import pytest
from attempts import attempt, chunk_result

from flows.watching import warning_log
from flows.watching.warning_log import WarningLog
from fusion_core.jobs import ChunkResult, WorkerWarning

LOG = logging.getLogger("warning-log-test")


def warned(*messages: str, more: int = 0, **fields: str) -> ChunkResult:
    warnings = tuple(
        WorkerWarning(0.0, logging.WARNING, "fusion_core.jobs", text, chunk="c1", **fields)
        for text in messages
    )
    return chunk_result(attempt("a"), warnings=warnings, more_warnings=more)


def test_a_warning_of_a_worker_is_told_with_chunk_and_pair(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = WarningLog(LOG)
    told.tell(ChunkResult(("p",), ok=1))
    told.tell(warned("found a collar", pair_id="p7"))
    told.tell(warned("batches have 4 pairs", traceback="Traceback …"))
    told.end()
    assert caplog.messages == [
        "worker on node, chunk c1, pair p7: found a collar",
        "worker on node, chunk c1: batches have 4 pairs\nTraceback …",
    ]
    first = caplog.records[0].__dict__
    assert (first["chunk"], first["pair_id"], first["host"]) == ("c1", "p7", "node")
    assert first["worker_logger"] == "fusion_core.jobs"


def test_what_is_too_much_for_a_log_is_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warning_log, "_MOST", 3)
    told = WarningLog(LOG)
    told.tell(warned("one", "two", more=5))
    told.tell(warned("three", "four"))
    told.tell(warned("five", more=2))
    told.end()
    assert [message.rpartition(": ")[2] for message in caplog.messages[:-1]] == [
        *("one", "two", "5 more warnings of chunk c1"),
        *("three", "1 more warnings of chunk c1"),
    ]
    assert caplog.messages[-1].startswith("9 warnings of workers are not shown; details.parquet")
