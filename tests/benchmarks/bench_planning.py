"""What planning a night costs with a history of a hundred thousand to ten million rows.

    python tests/benchmarks/bench_planning.py [ROWS]

writes results/planning.json, in seven minutes on two cores; it takes 1 GB of the temporary folder,
and 10 GB for the first night of ten million pairs. It exits with 1 where the longest history costs
more than it may beside the shortest, or a first night takes 2 GB. ROWS are those of the longest
history, and the pairs of the largest first night; fewer leave no record.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from planning_history import write_history
from planning_run import Night
from record import write

from fusion_core.storage.store import Storage

PROGRAM = Path(__file__).with_name("planning_run.py")
ROWS = 10_000_000
SHORTEST = 100_000
PAIRS = 10_000
ROUNDS = 5
MOST_SECONDS, MOST_MEMORY = 1.5, 1.2
"""What the longest history may cost, in parts of what the shortest does."""

MOST_MB = 2000.0
MERGES = {
    "4th": 3 * [10_000],
    "16th": 3 * [40_000, 10_000],
    "64th": 3 * [160_000, 40_000, 10_000],
    "256th": 3 * [640_000, 160_000, 40_000, 10_000],
}
"""Rows of shards that wait to be merged on every fourth, sixteenth and so on of such nights."""

_TOLD = ("todo", "seconds", "seconds_pairing", "seconds_index", "seconds_plan", "cpu_seconds")
_TOLD_OF_MERGING = ("seconds_merging", "peak_mb_merging")


def main(most: int = ROWS) -> None:
    """Measure, write the record, and check it."""
    sizes = [10**power for power in range(5, 9) if 10**power <= most]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results: dict[str, Any] = {
            "night": {kind: nights(folder, kind, sizes) for kind in ("cameras", "random")},
            "night_that_merges": merging(folder, sizes[-1]),
            "first_night": {str(size): first_night(folder, size) for size in sizes[1:]},
        }
    results["bars"] = held = bars(results, sizes)
    if most == ROWS:
        write("planning", "make benchmark-planning", results)
    print(json.dumps(results, indent=2))
    sys.exit(not all(bar["held"] for bar in held.values()))


def nights(folder: Path, kind: str, sizes: list[int]) -> dict[str, Any]:
    """Plan the same night after histories of these sizes, in turns."""
    for size in sizes:
        write_history(Storage(str(folder / f"{size}")), kind, size, folder)
    found: dict[int, list[dict[str, Any]]] = {size: [] for size in sizes}
    for _ in range(ROUNDS):
        for size in sizes:
            found[size].append(night_after(folder, kind, size))
    told = {
        str(size): {**medians(found[size]), **asked(night_after(folder, kind, size, counted=True))}
        for size in sizes
    }
    for size in sizes:
        shutil.rmtree(folder / f"{size}")
    return told


def merging(folder: Path, size: int) -> dict[str, Any]:
    """Plan nights at whose end shards are merged, in turns with one after the shortest history."""
    told = {}
    write_history(Storage(str(folder / f"{SHORTEST}")), "cameras", SHORTEST, folder)
    for name, smaller in MERGES.items():
        history = folder / f"{size}"
        write_history(Storage(str(history)), "cameras", size, folder, smaller=smaller)
        found, usual = [], []
        for _ in range(ROUNDS):
            usual.append(night_after(folder, "cameras", SHORTEST))
            found.append(night_after(folder, "cameras", size))
        told[name] = {
            "rows_merged": sum(smaller),
            **medians(found, *_TOLD_OF_MERGING),
            "after_the_shortest": medians(usual),
        }
        shutil.rmtree(history)
    shutil.rmtree(folder / f"{SHORTEST}")
    return told


def night_after(folder: Path, kind: str, size: int, *, counted: bool = False) -> dict[str, Any]:
    """Plan a night on a copy of an output, whose files nobody changes in place."""
    output = folder / "output"
    shutil.copytree(folder / f"{size}", output, copy_function=os.link)
    os.sync()  # else the disk is still at what was written before
    measured = in_own_process(Night(str(output), kind, PAIRS, counted))
    shutil.rmtree(output)
    assert measured["todo"] == PAIRS
    return measured


def first_night(folder: Path, pairs: int) -> dict[str, Any]:
    """Plan an archive that nothing is known of, once."""
    output = folder / "output"
    output.mkdir()
    # Counting takes no time worth it where there is nothing to ask for.
    measured = in_own_process(Night(str(output), "cameras", pairs, counted=True))
    shutil.rmtree(output)
    assert measured["todo"] == pairs
    return {**medians([measured]), **asked(measured)}


def in_own_process(night: Night) -> dict[str, Any]:
    """Plan a night in a process of its own."""
    command = [sys.executable, str(PROGRAM), json.dumps(asdict(night))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def medians(found: list[dict[str, Any]], *more: str) -> dict[str, Any]:
    """Return the medians of what was measured, and the shortest and longest time."""
    names = [*_TOLD, "peak_mb", "peak_mb_before", *more]
    told = {name: round(statistics.median(one[name] for one in found), 3) for name in names}
    seconds = [round(one["seconds"], 3) for one in found]
    return {**told, "rounds": len(found), "seconds_from_to": [min(seconds), max(seconds)]}


def asked(counted: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked of the output, of a night that counted it."""
    names = ("objects_read", "objects_written", "requests", "bytes_read", "bytes_written")
    return {name: counted[name] for name in names}


def bars(results: dict[str, Any], sizes: list[int]) -> dict[str, Any]:
    """Compare what was measured with what it may be."""
    held = {}
    compared = {
        kind: (found[str(sizes[-1])], found[str(SHORTEST)])
        for kind, found in results["night"].items()
    }
    for name, found in results["night_that_merges"].items():
        compared[f"the {name}, which merges"] = (found, found["after_the_shortest"])
    for kind, (longest, shortest) in compared.items():
        for name, most in (("seconds", MOST_SECONDS), ("peak_mb", MOST_MEMORY)):
            ratio = round(longest[name] / shortest[name], 3)
            held[f"night, {kind}, {name}"] = {"ratio": ratio, "most": most, "held": ratio <= most}
    for size, first in results["first_night"].items():
        peak = first["peak_mb"]
        bar = {"mb": peak, "most": MOST_MB, "held": peak < MOST_MB}
        held[f"first night of {size}, peak_mb"] = bar
    return held


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
