"""The figures of a run's page, each held against one that NumPy or plain Python makes."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from manifest_rows import row

from fusion_core.archive.run_figures import (
    choose_pairs,
    footprints,
    metric_histograms,
    seconds_by_stage,
)
from fusion_core.archive.run_rows import RUN_SCHEMA, RunRows
from fusion_core.archive.spill import spill
from fusion_core.metrics import METRIC_NAMES
from fusion_core.metrics.bins import BIN_EDGES

OWN = {"model_hash": "m", "settings_hash": "s"}


def run_rows(folder: Path, *rows: dict[str, Any]) -> RunRows:
    table = pa.Table.from_pylist([row(**one) for one in rows], RUN_SCHEMA)
    return RunRows(spill(folder, RUN_SCHEMA, [table]), folder)


def pairs_of(*pair_ids: str) -> pa.Table:
    versions = {"ir_version": "x", "vi_version": "x"}
    paths = [{"ir_path": f"ir/{one}", "vi_path": f"vi/{one}"} for one in pair_ids]
    return pa.Table.from_pylist(
        [{"pair_id": one, **versions, **own} for one, own in zip(pair_ids, paths, strict=True)]
    )


def test_values_are_counted_in_fixed_bins_and_what_lies_beyond_in_the_outermost(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(1)
    values = {name: rng.normal(1.0, 40.0, 400) for name in METRIC_NAMES}
    values["qabf"] = rng.uniform(0, 1, 400)
    rows = [{name: float(own[k]) for name, own in values.items()} for k in range(400)]
    found = metric_histograms(run_rows(tmp_path, *rows, {"status": "failed", "vif": 0.5}))
    for name, own in values.items():
        edges = np.array(BIN_EDGES[name])
        expected, _ = np.histogram(np.clip(own, edges[0], edges[-1]), edges)
        assert list(found[name].counts) == expected.tolist(), name
    expected = np.quantile(values["qabf"], [0.05, 0.5, 0.95])
    np.testing.assert_allclose(np.array(found["qabf"].quantiles, float), expected, atol=0.02)


def test_undefined_values_are_in_no_bin(tmp_path: Path) -> None:
    rows = run_rows(tmp_path, {"vif": None}, {"vif": math.inf}, {"vif": math.nan})
    found = metric_histograms(rows)["vif"]
    assert (sum(found.counts), found.quantiles) == (0, (None, None, None))
    assert len(found.counts) == len(BIN_EDGES["vif"]) - 1
    assert metric_histograms(run_rows(tmp_path, {"status": "failed"})) == {}


def test_the_time_of_stages_is_summed_by_device(tmp_path: Path) -> None:
    rows = run_rows(
        tmp_path,
        {"device": "cpu", "seconds_read": 1.0, "seconds_fuse": 2.0},
        {"device": "cpu", "seconds_read": 0.5, "status": "failed"},
        {"device": "NVIDIA H200", "seconds_fuse": 0.25},
        {"device": None},
    )
    found = seconds_by_stage(rows)
    assert list(found) == ["cpu", "NVIDIA H200"]
    assert (found["cpu"]["read"], found["cpu"]["fuse"]) == (1.5, 2.0)
    assert found["NVIDIA H200"]["fuse"] == 0.25
    assert found["cpu"]["score"] == 0


def test_the_lowest_of_each_metric_and_some_of_all_are_chosen(tmp_path: Path) -> None:
    names = [f"p{k:02}" for k in range(30)]
    rows = run_rows(
        tmp_path,
        *({"pair_id": n, "vif": (k * 7) % 30, "ag": -k, **OWN} for k, n in enumerate(names)),
        {"pair_id": "p00", "vif": -9.0, "settings_hash": "other", "model_hash": "m"},
        {"pair_id": "elsewhere", "vif": -9.0, **OWN},
        {"pair_id": "p01", "vif": -9.0, "status": "failed", **OWN},
    )
    chosen = choose_pairs(rows, pairs_of(*names), worst=4, sample=3, **OWN)

    def named(places: tuple[int, ...]) -> list[str]:
        return [chosen.rows[place]["pair_id"] for place in places]

    by_vif = sorted(range(30), key=lambda k: (k * 7) % 30)
    assert named(chosen.worst["vif"]) == [names[k] for k in by_vif[:4]]
    assert named(chosen.worst["ag"]) == ["p29", "p28", "p27", "p26"]
    assert chosen.worst["en"] == ()
    assert named(chosen.sample) == ["p00", "p10", "p20"]
    assert chosen.rows[chosen.sample[1]]["vi_path"] == "vi/p10"
    nothing = choose_pairs(rows, pairs_of("z"), worst=4, sample=3, **OWN)
    assert (nothing.rows, nothing.sample) == ({}, ())


@pytest.mark.parametrize(("most", "expected"), [(2, ["a", "c"]), (9, ["a", "b", "c", "d"])])
def test_scenes_with_a_footprint_are_counted_and_some_are_given(
    tmp_path: Path, most: int, expected: list[str]
) -> None:
    ends = {"west": 1.0, "south": 2.0, "east": 3.0, "north": 4.0}
    rows = run_rows(
        tmp_path, *({"pair_id": n, **ends} for n in "dbca"), {"pair_id": "e"},
        {"pair_id": "f", **ends, "status": "failed"},
    )  # fmt: skip
    count, some = footprints(rows, most)
    assert count == 4
    assert [one["pair_id"] for one in some] == expected
    assert footprints(run_rows(tmp_path, {"pair_id": "e"}), 9) == (0, [])


def test_what_was_in_vain_is_counted_by_reason(tmp_path: Path) -> None:
    bad = {"status": "failed", "stage": "decode", "cause": "pair", "error_type": "DecodeError"}
    rows = run_rows(
        tmp_path,
        *({"pair_id": f"p{k}", "error_message": f"m{k}", **bad} for k in range(3)),
        {"pair_id": "q", "status": "undone", "stage": "read"},
        {"pair_id": "r"},
    )
    first, second = rows.reasons(9)
    assert first == {"count": 3, **bad, "example": "m0"}
    assert (second["count"], second["status"], second["cause"]) == (1, "undone", "")
    assert rows.reasons(1) == [first]
