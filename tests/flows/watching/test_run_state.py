import time
from types import SimpleNamespace
from typing import Any

import pytest
from attempts import attempt, chunk_result

from flows.watching.run_metrics import RunMetrics
from flows.watching.run_state import RunState


def slot(started: bool, usable: bool) -> Any:
    return SimpleNamespace(started=object() if started else None, usable=usable)


def pool_with(*slots: Any, **counts: Any) -> Any:
    fields: dict[str, Any] = {"running": {}, "waiting": [], "examined": [], "deaths": 0, "lost": 0}
    return SimpleNamespace(staff=SimpleNamespace(slots=list(slots)), **{**fields, **counts})


def plan_of(todo: int, **counts: int) -> Any:
    fields = {"done": 5, "known_failed": 2, "archived": 1, "over_limit": 0, "waiting": 0}
    pairing = SimpleNamespace(
        pairs=range(todo + 8), unpaired=["ir/x.png"], ambiguous=(), unmatched=("a", "b")
    )
    return SimpleNamespace(todo=range(todo), pairing=pairing, **{**fields, **counts})


def value(metrics: RunMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"fuse_archive_{name}", labels)


def test_what_is_not_known_yet_is_no_zero() -> None:
    metrics = RunMetrics()
    state = RunState(metrics)
    assert value(metrics, "run_start_timestamp_seconds") == pytest.approx(time.time(), abs=60)
    for name in ("run_end_timestamp_seconds", "run_success", "last_success_timestamp_seconds"):
        assert value(metrics, name) is None
    assert value(metrics, "planned_pairs", state="found") is None
    assert value(metrics, "backlog_pairs", state="queued") is None
    state.ended, state.succeeded = 7.0, False
    assert value(metrics, "run_success") == 0
    assert value(metrics, "run_end_timestamp_seconds") == 7
    assert value(metrics, "last_success_timestamp_seconds") is None
    state.succeeded = True
    assert value(metrics, "run_success") == 1
    assert value(metrics, "last_success_timestamp_seconds") == 7


def test_the_plan_is_told() -> None:
    metrics = RunMetrics()
    RunState(metrics).plan = plan_of(10)
    counts = {"found": 18, "todo": 10, "done": 5, "failed": 2, "archived": 1}
    for name, count in counts.items():
        assert value(metrics, "planned_pairs", state=name) == count
    for name, count in {"unpaired": 1, "ambiguous": 0, "unmatched": 2}.items():
        assert value(metrics, "files_without_pair", why=name) == count


def test_the_backlog_is_what_waits_and_how_long_that_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics = RunMetrics()
    RunState(metrics).plan = plan_of(10, over_limit=6, waiting=3)
    assert value(metrics, "backlog_pairs", state="queued") == 10
    assert value(metrics, "backlog_pairs", state="over_limit") == 6
    assert value(metrics, "backlog_pairs", state="not_due") == 3
    assert value(metrics, "backlog_seconds") is None  # nothing was done that tells a rate
    metrics.add(chunk_result(attempt("a"), attempt("b", "failed"), attempt("c", "undone")), 0)
    assert value(metrics, "backlog_pairs", state="queued") == 8
    monkeypatch.setattr(metrics.rate, "per_second", lambda: 0.5)
    assert value(metrics, "backlog_seconds") == (8 + 6) / 0.5
    monkeypatch.setattr(metrics.rate, "per_second", lambda: 0.0)
    assert value(metrics, "backlog_seconds") == float("inf")


def test_a_run_without_work_has_no_backlog() -> None:
    metrics = RunMetrics()
    RunState(metrics).plan = plan_of(0)
    assert value(metrics, "backlog_seconds") == 0


def test_workers_chunks_and_deaths_are_those_of_the_pool() -> None:
    metrics = RunMetrics()
    slots = [slot(True, True), slot(True, True), slot(False, False), slot(True, False)]
    counts = {"running": {1: 2, 3: 4}, "waiting": [1], "examined": [(0, 0, [1, 2])]}
    state = RunState(metrics)
    state.work(pool_with(*slots, **counts, deaths=3, lost=1), 0.0)
    for name, count in {"ready": 2, "starting": 1, "stopping": 1}.items():
        assert value(metrics, "workers", state=name) == count
    assert value(metrics, "chunks", state="running") == 2
    assert value(metrics, "chunks", state="waiting") == 3
    assert value(metrics, "worker_deaths_total", kind="died") == 3
    assert value(metrics, "worker_deaths_total", kind="lost") == 1
    assert value(metrics, "gpu_seconds_total") == 0


def test_gpus_are_held_by_the_share_of_each_worker_that_has_started() -> None:
    metrics = RunMetrics()
    state = RunState(metrics)
    state.work(pool_with(slot(True, True), slot(True, False), slot(False, False)), 0.5)
    state._held_at -= 10.0
    assert state.gpu_seconds() == pytest.approx(10.0, abs=1.0)
    state._held_at -= 10.0
    assert value(metrics, "gpu_seconds_total") == pytest.approx(20.0, abs=2.0)
