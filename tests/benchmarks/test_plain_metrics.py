"""What the benchmark compares with computes the same, and its record says what it must."""

import json

import numpy as np
import pytest
from plain_metrics import plain_scores, separable, windowed
from record import RESULTS, alternate, ratios, spread

from fusion_core.metrics import METRIC_NAMES, score


@pytest.mark.parametrize("gaussian", [separable, windowed])
def test_the_plain_metrics_are_the_same_metrics(gaussian):
    rng = np.random.default_rng(0)
    greys = [rng.integers(0, 256, (70, 80)).astype(np.uint8) for _ in range(3)]
    expected = score(*greys)
    found = plain_scores(*(grey.astype(np.float64) for grey in greys), gaussian)
    assert tuple(found) == METRIC_NAMES
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_functions_are_timed_in_turns():
    calls = []
    names = ("a", "b")
    seconds = alternate({name: lambda name=name: calls.append(name) for name in names}, 3)
    assert calls == ["a", "a", "b", "b"] * 3
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_ratios_are_of_the_same_round_and_summed_up_robustly():
    found = spread(ratios([8.0, 9.0, 1000.0], [1.0, 3.0, 100.0]))
    assert found == {"median": 8.0, "quartile_1": 5.5, "quartile_3": 9.0, "minimum": 3.0}


def test_the_record_names_command_machine_and_versions():
    record = json.loads((RESULTS / "metrics.json").read_text())
    assert record["command"] == "python tests/benchmarks/bench_metrics.py"
    assert {"cpu", "cores", "system", "python"} <= set(record["machine"])
    assert {"torch", "numpy", "scipy"} <= set(record["versions"])
    for threads in (1, 2):
        measured = record["results"][f"cpu_{threads}_threads"]
        assert measured["times_as_fast_as"].keys() == {"plain_separable", "plain_windowed"}
        assert measured["share_of_network"]["median"] > 0
