"""The GPU's benchmark runs through on a CPU, tells why it can't measure, and reckons rightly."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bench_gpu import against_goals, main
from gpu_card import SMOKE, Scale, attempt, covered, summed
from gpu_network import difference, eager, floors, graphs
from gpu_project import line
from torch.autograd import DeviceType

SCRIPT = Path(__file__).with_name("bench_gpu.py")
CEILING = {"flop_per_second": 8e14, "bytes_per_second": 3e12}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("record")
    command = [sys.executable, str(SCRIPT), "--smoke", "--out", str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "gpu.json").read_text())
    return found


@pytest.mark.slow
@pytest.mark.long
def test_the_record_names_command_machine_versions_and_card(record: dict[str, Any]) -> None:
    assert record["command"] == "python tests/benchmarks/bench_gpu.py --smoke"
    assert {"cpu", "cores", "python"} <= set(record["machine"])
    assert {"torch", "numpy", "fuse-archive"} <= set(record["versions"])
    results = record["results"]
    assert results["card"]["device"] == "cpu"
    assert results["ceilings"].keys() == CEILING.keys()
    assert results["seconds"].keys() == results.keys() - {"goals", "seconds"}


@pytest.mark.slow
@pytest.mark.long
def test_every_part_is_measured_or_says_why_not(record: dict[str, Any]) -> None:
    results = record["results"]
    ways = ("network", "graphs", "compiled")
    fused, graphed, compiled = (results[part]["64x64, batch 2"] for part in ways)
    for way in (fused["bf16"]["fuser"], fused["bf16"]["network"], compiled["bf16"]["fuser"]):
        assert way["ms_a_pair"]["median"] > 0
        assert way["share_of_roofline"] > 0
        assert 0 < way["grey_levels_off"]["mean"] < 1
    no_card = "RuntimeError: only a CUDA card has CUDA graphs"
    assert (graphed["bf16"], compiled["bf16"]["graph"]) == (no_card, no_card)
    for part in (fused, graphed, compiled):
        assert part["fp16"].startswith("SettingsError: precision is fp16")
    assert set(results["memory"]) == {"fp32", "fp16", "bf16"}
    assert results["metrics"]["batch"] == SMOKE.scored
    assert results["graph_of_the_fuser"].startswith("RuntimeError")


@pytest.mark.slow
@pytest.mark.long
def test_the_project_works_on_what_was_generated(record: dict[str, Any]) -> None:
    results = record["results"]
    pipeline = results["pipeline"]
    assert results["archive"] == {"distinct": 3, "pairs": 6}
    assert (pipeline["pairs"], pipeline["batch"]) == (2, 1)
    assert pipeline["share_of_network"] > 0
    stages = {"read", "decode", "fuse", "encode", "score", "write"}
    assert pipeline["thread_ms_a_pair_by_stage"].keys() == stages
    assert len(results["training"]["steps_per_second"]) == 1
    assert results["training"]["ms_a_step_alone"]["median"] > 0
    tests = results["marked_tests"]
    assert tests["failures"] == tests["errors"] == 0
    assert tests["passed"] + tests["skipped"] == tests["tests"] == len(tests["names"]) > 0
    assert results["against_goals"]["fastest"].split(", ")[1] == "bf16"


def test_without_a_card_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--out", str(tmp_path)]) == 2
    assert "PyTorch sees no CUDA card" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_smoke_run_leaves_the_kept_record_alone() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--smoke"])


def test_floors_are_those_of_the_arithmetic_or_of_each_layers_bytes() -> None:
    floor = floors(replace(SMOKE, sizes=((640, 480),)), CEILING)["640x480"]
    # Twice the multiply-adds that the tests of the network assert, for the pixels with the margin.
    assert floor["gflop"] == pytest.approx(119.1, abs=0.05)
    assert floor["fewest_mb"] == pytest.approx(3 * 4 * 640 * 480 / 1e6, abs=0.01)
    assert floor["floor_ms"] == pytest.approx(119.097 / 800, rel=1e-3)
    assert floor["floor_by_layer_ms"] > 1.5 * floor["floor_ms"]


def test_time_on_the_card_is_counted_once() -> None:
    assert covered([(0, 4), (2, 3), (3, 6), (10, 11)]) == 7
    spans = [("sgemm", 0, 2000), ("conv", 1000, 3000), ("Memcpy HtoD", 5000, 6000), ("", 9, 99)]
    events = [
        SimpleNamespace(
            name=name,
            device_type=DeviceType.CUDA if name else DeviceType.CPU,
            time_range=SimpleNamespace(start=start, end=end),
        )
        for name, start, end in spans
    ]
    found = summed(events)
    assert (found["kernels_ms"], found["busy_ms"]) == (3, 4)
    assert found["longest_ms"] == {"sgemm": 2, "conv": 2, "Memcpy HtoD": 1}


def test_bytes_are_fitted_and_grey_levels_compared() -> None:
    found = line({n: (3 << 20) + 700 * n for n in (1000, 20_000, 500_000)})
    assert found == {"bytes_a_pixel": 700, "mib_at_none": 3, "largest_misfit": 0}
    expected = torch.zeros(2, 1, 4, 4)
    fused = expected.repeat(2, 1, 1, 1)
    fused[0, 0, 0, 0] = 16 / 255
    assert difference(fused, expected) == {"mean": 0.5, "largest": 16}


def test_a_failure_is_a_line_and_leaves_the_goals_to_the_rest() -> None:
    assert attempt(lambda: {}["a"]) == "KeyError: 'a'"
    assert attempt(lambda: torch.zeros(2) @ torch.zeros(3)).startswith("RuntimeError: ")
    figures = {"share_of_roofline": 0.3, "share_of_roofline_by_layer": 0.5}
    ways = {
        name: {"ms_a_pair": {"median": ms}, **figures} for name, ms in (("fuser", 2), ("graph", 1))
    }
    network = {"640x480, batch 32": {"fp16": "out of memory", "bf16": {**ways, "network": "none"}}}
    found = {"network": network, "graphs": "none", "compiled": "no compiler", "pipeline": "no disk"}
    best = against_goals(Scale(), found)
    assert (best["fastest"], best["ms_a_pair"]) == ("network, bf16, graph", 1)
    assert best["pipeline_share_of_network"] is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_on_a_card_every_way_to_run_the_network_fuses_the_same() -> None:
    scale = replace(SMOKE, device="cuda")
    floor = floors(scale, CEILING)
    for measured in (eager(scale, floor), graphs(scale, floor)):
        for by_precision in measured.values():
            for ways in by_precision.values():
                for figures in ways.values():
                    assert isinstance(figures, dict), figures
                    assert figures["grey_levels_off"]["mean"] < 1
