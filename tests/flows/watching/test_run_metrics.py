from types import SimpleNamespace

import pytest
from attempts import SECONDS, attempt, chunk_result

from flows.watching import run_metrics
from flows.watching.run_metrics import Rate, RunMetrics
from fusion_core.archive import PairRef
from fusion_core.jobs import ChunkResult, Undone, WorkerWarning


def value(metrics: RunMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"fuse_archive_{name}", labels)


def pairs(metrics: RunMetrics, outcome: str, stage: str = "", cause: str = "") -> float | None:
    return value(metrics, "pairs_total", outcome=outcome, stage=stage, cause=cause)


def test_attempts_are_counted_by_outcome_and_by_where_they_ended() -> None:
    metrics = RunMetrics()
    late = {"stage": "read", "cause": "store", "error_type": "ReadError"}
    attempts = [attempt("a"), attempt("b"), attempt("c", "failed"), attempt("d", "undone", **late)]
    metrics.add(chunk_result(*attempts), 0)
    assert pairs(metrics, "ok") == 2
    assert pairs(metrics, "failed", "decode", "pair") == 1
    assert pairs(metrics, "undone", "read", "store") == 1
    assert metrics.verdicts == 3


def test_rows_of_another_worker_are_counted_though_they_tell_no_more() -> None:
    metrics = RunMetrics()
    undone = Undone(PairRef("u", "i", 1, "v", "i", 1, "v"), "gpu")
    metrics.add(ChunkResult(("p",), ok=3, failed=1, undone=(undone,)), 0)
    theirs = ChunkResult(("p",), ok=2)
    metrics.add(chunk_result(attempt("a")).joined(theirs), 0)
    assert pairs(metrics, "ok") == 6
    assert pairs(metrics, "failed") == 1
    assert pairs(metrics, "undone") == 1


def test_time_bytes_and_retries_are_added_up() -> None:
    metrics = RunMetrics()
    metrics.add(chunk_result(attempt("a"), attempt("b", "failed", bytes_written=0)), 0.5)
    for stage, seconds in SECONDS.items():
        assert value(metrics, "stage_seconds_count", stage=stage) == 2
        assert value(metrics, "stage_seconds_sum", stage=stage) == pytest.approx(2 * seconds)
    assert value(metrics, "stage_seconds_bucket", stage="fuse", le="0.3") == 0
    assert value(metrics, "stage_seconds_bucket", stage="fuse", le="1.0") == 2
    assert value(metrics, "bytes_total", direction="read") == 2000
    assert value(metrics, "bytes_total", direction="written") == 400
    assert value(metrics, "retries_total") == 2
    assert value(metrics, "gpu_busy_seconds_total") == pytest.approx(2 * 0.5 * 0.5)


def test_all_warnings_of_workers_are_counted() -> None:
    metrics = RunMetrics()
    warning = WorkerWarning(0.0, 30, "log", "found")
    metrics.add(chunk_result(attempt("a"), warnings=(warning,), more_warnings=4), 0)
    assert value(metrics, "worker_warnings_total") == 5


def test_the_rate_is_that_of_the_last_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(run_metrics, "time", SimpleNamespace(monotonic=lambda: clock.now))
    rate = Rate()
    for second in range(1, 1201):  # four a second, and from the tenth minute on one
        clock.now = 1000.0 + second
        rate.note(4 * min(second, 600) + max(second - 600, 0))
        if second == 10:
            assert rate.per_second() == pytest.approx(4.0)
    assert rate.per_second() == pytest.approx(1.0)
    clock.now += 150
    assert rate.per_second() == pytest.approx(0.5, rel=0.05)
    clock.now += 400
    assert rate.per_second() == 0.0
    assert len(rate._moments) < 70
