"""What a GPU does: network, pipeline, metrics, training and memory, and the tests that need one.

    python tests/benchmarks/bench_gpu.py
    python tests/benchmarks/bench_gpu.py --smoke --out FOLDER    (tiny, on a CPU, in seconds)

writes results/gpu.json after every part, so that one that is stopped leaves what it has. On one
card it takes eight minutes at most; what can't be measured is a line that says why.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gpu_network
import gpu_project
import torch
from bench_metrics import on_gpu
from gpu_card import SMOKE, Scale, attempt, ceilings, facts, settle
from record import RESULTS, write

from fusion_core.api import fuse
from fusion_core.demo.archive import make_pair
from fusion_core.images.colour import luminance
from fusion_core.metrics import to_grey255

GOALS = {"ms_a_pair": 0.66, "share_of_roofline": 0.6, "pipeline_share_of_network": 0.9}
"""Of batch 32 of 640x480 in fp16 or bf16, and of the worker; the record says how far off it is."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure, write the record, and return the process's exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="tiny, on a CPU, in seconds")
    parser.add_argument("--out", type=Path, help="folder of the record (default: results)")
    asked = parser.parse_args(words)
    if asked.smoke and asked.out is None:
        parser.error("--smoke measures nothing worth keeping; name a folder by --out")
    if not asked.smoke and not torch.cuda.is_available():
        print(
            "bench_gpu: PyTorch sees no CUDA card. Run it where there is one, or with --smoke "
            "--out FOLDER to see only that its parts run.",
            file=sys.stderr,
        )
        return 2
    scale = SMOKE if asked.smoke else Scale()
    command = f"python tests/benchmarks/bench_gpu.py{' --smoke' if asked.smoke else ''}"
    with tempfile.TemporaryDirectory() as name:
        measure(scale, Path(name), command, asked.out or RESULTS)
    return 0


def measure(scale: Scale, folder: Path, command: str, out: Path) -> None:
    """Measure part by part, and write the record after each."""
    until = time.monotonic() + 60 * scale.minutes
    found: dict[str, Any] = {"goals": GOALS}
    for name, part in parts(scale, folder, until, found).items():
        begin = time.monotonic()
        found[name] = attempt(part)
        found.setdefault("seconds", {})[name] = round(time.monotonic() - begin, 1)
        path = write("gpu", command, found, out)
        print(f"{name}: {found['seconds'][name]} s", flush=True)
        attempt(lambda: settle(scale.device))
    print(path)


def parts(
    scale: Scale, folder: Path, until: float, found: dict[str, Any]
) -> dict[str, Callable[[], Any]]:
    """Return what is measured, in its order; later parts look at what was found before.

    Captures come late, since one that breaks takes the card with it, and compiling last but one,
    as it takes what time is left.
    """
    source = folder / "source"
    return {
        "card": lambda: facts(scale),
        "ceilings": lambda: ceilings(scale),
        "floors": lambda: gpu_network.floors(scale, found["ceilings"]),
        "network": lambda: gpu_network.eager(scale, found["floors"]),
        "memory": lambda: gpu_project.memory(scale),
        "metrics": lambda: metrics(scale),
        "archive": lambda: gpu_project.write_pairs(scale, source),
        "pipeline": lambda: gpu_project.pipeline(scale, folder, source),
        "training": lambda: gpu_project.training(scale, folder, source),
        "marked_tests": lambda: gpu_project.marked_tests(folder),
        "graphs": lambda: gpu_network.graphs(scale, found["floors"]),
        "compiled": lambda: gpu_network.compiled(scale, found["floors"], until),
        "against_goals": lambda: against_goals(scale, found),
        "graph_of_the_fuser": lambda: gpu_network.whole_graph(scale),
    }


def against_goals(scale: Scale, found: dict[str, Any]) -> dict[str, Any]:
    """Name the fastest way at the largest batch of the first size, and say how far the goals are.

    A part that failed is a line and has no figures; what is left decides.
    """
    batch = f"{gpu_network.name_of(scale.sizes[0])}, batch {max(scale.batches)}"
    ways = {
        f"{part}, {precision}, {way}": figures
        for part in ("network", "graphs", "compiled")
        for precision, by_way in entry(found[part], batch).items()
        for way, figures in entry(by_way).items()
        if isinstance(figures, dict)
    }
    name = min(ways, key=lambda name: ways[name]["ms_a_pair"]["median"])
    return {
        "batch": batch,
        "fastest": name,
        "ms_a_pair": ways[name]["ms_a_pair"]["median"],
        "share_of_roofline": ways[name]["share_of_roofline"],
        "share_of_roofline_by_layer": ways[name]["share_of_roofline_by_layer"],
        "pipeline_share_of_network": entry(found["pipeline"]).get("share_of_network"),
    }


def entry(value: Any, *names: str) -> dict[str, Any]:
    """Return what a record holds under names, or nothing where a line says why it is not there."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def metrics(scale: Scale) -> dict[str, Any]:
    """Time all seven metrics of a batch on the card, beside the network."""
    width, height = scale.sizes[0]
    pair = make_pair(1, height, width, "night")
    greys = [to_grey255(image) for image in (pair.ir, pair.vi, fuse(pair.ir, pair.vi))]
    sides = [luminance(image) for image in (pair.ir, pair.vi)]
    return on_gpu(greys, sides, scale.device, scale.scored, scale.rounds)


if __name__ == "__main__":
    sys.exit(main())
