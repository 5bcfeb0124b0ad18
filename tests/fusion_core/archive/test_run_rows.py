"""What the end of a run asks its rows, each answer held against one over a table in memory."""

import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifest_rows import DAY, row, write

from fusion_core.archive.layout import part_path
from fusion_core.archive.manifest import newest_rows
from fusion_core.archive.run_rows import RUN_SCHEMA, RunRows, collect_rows, evenly, read_rows
from fusion_core.archive.spill import spill
from fusion_core.errors import ManifestError
from fusion_core.metrics import METRIC_NAMES
from fusion_core.storage.store import Storage

SOME = {"model_hash": "m", "settings_hash": "s"}


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, RUN_SCHEMA)


def run_rows(folder: Path, *rows: dict[str, Any]) -> RunRows:
    return RunRows(spill(folder, RUN_SCHEMA, [table_of([row(**one) for one in rows])]), folder)


def all_of(tables: Any) -> list[dict[str, Any]]:
    return [one for table in tables for one in table.to_pylist()]


def test_the_rows_of_parts_are_collected_in_the_order_of_the_parts(tmp_path: Path) -> None:
    parts = [(DAY, [row(f"p{k}", second, retries=k) for second in range(2)]) for k in range(70)]
    output = Storage(write(*parts).removesuffix("/commits/manifest"))
    paths = [part_path(DAY, f"{k}") for k in range(70)]
    found = collect_rows(output, reversed(paths), tmp_path).read()
    assert found["pair_id"].to_pylist() == [f"p{k}" for k in reversed(range(70)) for _ in range(2)]
    assert found.schema == RUN_SCHEMA
    with pytest.raises(ManifestError, match="70"):
        collect_rows(output, [*paths, "commits/manifest/70"], tmp_path)


def test_so_many_parts_are_read_at_once_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, busy, lock = [], [0], threading.Lock()

    def read(output: Any, path: str, columns: Any) -> pa.Table:
        with lock:
            busy[0] += 1
            at_once.append(busy[0])
        threading.Event().wait(0.002)
        with lock:
            busy[0] -= 1
        return table_of([row(path)])

    monkeypatch.setattr("fusion_core.archive.run_rows.read_part", read)
    taken = 0

    def paths() -> Any:
        nonlocal taken
        for taken in range(1, 301):
            yield f"{taken}"

    rows = read_rows(Storage("memory://nowhere"), paths())
    next(rows)
    assert taken <= 32
    assert sum(map(len, rows)) == 299
    assert 2 <= max(at_once) <= 16


ATTEMPTS = st.lists(
    st.fixed_dictionaries(
        {
            "pair_id": st.sampled_from(["a", "b", "c", "ü"]),
            "method": st.sampled_from(["m", "n"]),
            "status": st.sampled_from(["ok", "failed", "undone", "skipped"]),
            "attempt": st.none() | st.integers(1, 3),
            "run_id": st.sampled_from(["r", "s"]),
            "second": st.integers(0, 3),
            "fused_version": st.none() | st.just("v"),
            "metric_version": st.sampled_from(["1", "2"]),
            "stage": st.sampled_from(["read", "decode"]),
            "retries": st.none() | st.integers(0, 3),
            "remark": st.none() | st.sampled_from(["cut", "dark"]),
            METRIC_NAMES[0]: st.none() | st.floats(-100, 100),
        }
    ),
    max_size=30,
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(attempts=ATTEMPTS)
def test_answers_are_those_of_the_table_in_memory(
    tmp_path: Path, attempts: list[dict[str, Any]]
) -> None:
    # The newest is told where numbers, times and runs differ, as they do in what runs write.
    keys = ("pair_id", "method", "attempt", "second", "run_id")
    attempts = list({tuple(one[key] for key in keys): one for one in attempts}.values())
    table = table_of([row(**one) for one in attempts])
    rows, newest = run_rows(tmp_path, *attempts), newest_rows(table)
    assert rows.retries() == (pc.sum(table["retries"]).as_py() or 0)
    for status in ("failed", "undone"):
        last = newest.filter(ds.field("status") == status)
        found = all_of(rows.unsuccessful(status))
        names = ["pair_id", "method", "stage", "attempt"]
        shown = [tuple(one[name] for name in names) for one in found]
        expected = [tuple(one[name] for name in names) for one in last.to_pylist()]
        assert sorted(map(str, shown)) == sorted(map(str, expected))
        assert [one[:2] for one in shown] == sorted(one[:2] for one in expected)
    assert rows.undone() == len(newest.filter(ds.field("status") == "undone"))
    vain = [one for one in newest["status"].to_pylist() if one in ("failed", "undone")]
    assert sum(rows.stages().values()) == len(vain)
    ok = table.filter(ds.field("status") == "ok")
    told = [(one["pair_id"], one["remark"]) for one in ok.to_pylist() if one["remark"]]
    found = [(one["pair_id"], one["remark"]) for one in all_of(rows.remarks())]
    assert [pair_id for pair_id, _ in found] == sorted(pair_id for pair_id, _ in told)
    assert sorted(found) == sorted(told)
    statistics, values = rows.metric_statistics(), ok[METRIC_NAMES[0]]
    assert bool(statistics) == (len(ok) > 0)
    if statistics:
        expected_values = {
            "mean": pc.mean(values).as_py(),
            "std": pc.stddev(values).as_py(),
            "min": pc.min(values).as_py(),
            "max": pc.max(values).as_py(),
        }
        assert statistics[METRIC_NAMES[0]] == pytest.approx(expected_values, abs=1e-9)


def test_metrics_are_summed_up_without_the_undefined(tmp_path: Path) -> None:
    values: list[float | None] = [1.0, 3.0, None, float("inf"), float("nan")]
    rows = run_rows(tmp_path, *({"vif": value} for value in values))
    statistics = rows.metric_statistics()
    assert statistics["vif"] == {"mean": 2.0, "std": 1.0, "min": 1.0, "max": 3.0}
    assert statistics["ssim"] == {"mean": None, "std": None, "min": None, "max": None}
    assert run_rows(tmp_path).metric_statistics() == {}


def test_stages_are_counted_the_most_first(tmp_path: Path) -> None:
    stages = ["write", "read", "decode", "read", "decode", "read"]
    rows = run_rows(
        tmp_path,
        *({"pair_id": f"{k}", "status": "failed", "stage": s} for k, s in enumerate(stages)),
    )
    assert list(rows.stages().items()) == [("read", 3), ("decode", 2), ("write", 1)]


def test_what_makes_more_than_one_slice_comes_in_order_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusion_core.archive.run_rows._SLICE", 3)
    names = [(f"p{k % 5}", f"m{k}") for k in range(20)]
    rows = run_rows(tmp_path, *({"pair_id": p, "method": m, "status": "failed"} for p, m in names))
    found = list(rows.unsuccessful("failed"))
    assert len(found) > 1
    assert [(one["pair_id"], one["method"]) for one in all_of(found)] == sorted(names)


@pytest.mark.parametrize("spilled", [False, True])
@pytest.mark.parametrize(("count", "expected"), [(3, [0, 3, 6]), (9, list(range(9))), (0, [])])
def test_rows_are_chosen_evenly_in_the_order_of_their_pairs(
    tmp_path: Path, spilled: bool, count: int, expected: list[int]
) -> None:
    ids = [f"p{k}" for k in range(9)]
    pairs = pa.table(
        dict.fromkeys(("pair_id", "ir_path", "vi_path"), ids)
        | {name: ["x"] * 9 for name in ("ir_version", "vi_version")}
    )
    listed = spill(tmp_path, pairs.schema, [pairs]) if spilled else pairs
    rows = run_rows(
        tmp_path,
        *({"pair_id": one, **SOME} for one in reversed(ids)),
        {"pair_id": "p1", "ir_version": "older", **SOME},
        {"pair_id": "p2", "status": "failed", **SOME},
        {"pair_id": "p3", "model_hash": "n", "settings_hash": "s"},
        {"pair_id": "p4", "model_hash": "m", "settings_hash": "t"},
    )
    chosen = rows.fused(listed, count, **SOME)
    assert [one["pair_id"] for one in chosen] == [ids[k] for k in expected]
    assert all(one["ir_path"] == one["vi_path"] == one["pair_id"] for one in chosen)
    assert all(set(one) == {*RUN_SCHEMA.names, "ir_path", "vi_path"} for one in chosen)
    assert evenly(range(9), count) == expected


def test_a_later_success_outdoes_what_was_undone(tmp_path: Path) -> None:
    rows = run_rows(
        tmp_path,
        {"pair_id": "a", "status": "undone", "attempt": 1, "stage": "read"},
        {"pair_id": "a", "status": "ok", "attempt": 2},
        {"pair_id": "b", "status": "undone", "attempt": 9, "stage": "read"},
        {"pair_id": "b", "status": "failed", "attempt": 10, "stage": "read"},
    )
    assert rows.undone() == 0
    assert [one["pair_id"] for one in all_of(rows.unsuccessful("failed"))] == ["b"]
    assert rows.stages() == {"read": 1}
