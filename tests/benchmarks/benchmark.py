"""The table of what the project costs: each figure as a ratio of things that were run in turn.

    python tests/benchmarks/benchmark.py [--against WORKTREE] [--smoke] [--parts NAME ... --go-on]

writes results/benchmark.json and prints the table. With ``--against`` each part is measured of that
checkout as well, in turns with this one, and the last column is this one over that.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench_start import start
from record import RESULTS, ratios, spread, write

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TURNS = {"engines": 2, "metrics": 2, "flow": 1, "scenes": 1, "growth": 1}
"""How often a part is measured of each checkout; those that run once have their turns inside."""
STARTS = 2
OVER = {
    "metrics": {"seven metrics": "float64 reference"},
    "growth": {
        "from 300 to 10000 pairs": "from 300 to 600 pairs",
        "from 2 to 6 pairs": "from 2 to 4 pairs",
    },
}
"""Which case is told as a ratio of which, by part; see ``_base`` for the others."""


def measured(part: str, tree: Path, *, smoke: bool) -> dict[str, Any]:
    """Measure a part of a checkout in a process of its own."""
    command = [sys.executable, str(HERE / "parts.py"), part, *["--smoke"][: int(smoke)]]
    path = os.pathsep.join([str(tree), str(ROOT / "tests/support")])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def part_of_table(part: str, trees: dict[str, Path], *, smoke: bool) -> dict[str, Any]:
    """Measure a part of all checkouts in turns; return seconds, ratios, and peaks of memory."""
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
    for _ in range(1 if smoke else TURNS[part]):
        for name, tree in trees.items():
            rounds[name].append(measured(part, tree, smoke=smoke))
    seconds = {
        name: {
            case: [one for turn in turns for one in turn["seconds"].get(case, [])]
            for case in turns[0]["seconds"]
        }
        for name, turns in rounds.items()
    }
    mine = seconds["this"]
    rows = {}
    for case, values in mine.items():
        row: dict[str, Any] = {"seconds": _spread(values)}
        if (base := _base(part, case)) in mine and base != case:
            row |= {"over": base, "ratio": _ratio(values, mine[base])}
        before = seconds.get("before", {}).get(case)
        if before:
            row["new_over_old"] = round(statistics.median(values) / statistics.median(before), 3)
        rows[case] = row
    return {"cases": rows, "peaks_mb": {name: _peaks(turns) for name, turns in rounds.items()}}


def _peaks(turns: list[dict[str, Any]]) -> dict[str, int]:
    """Return the most memory that a checkout held in any turn, by case."""
    cases = turns[0]["peaks_mb"]
    return {case: max(turn["peaks_mb"][case] for turn in turns) for case in cases}


def _base(part: str, case: str) -> str | None:
    if part == "engines":
        return f"refinefuse, eager fp32, {case.rpartition(', ')[2]}"
    if part in ("flow", "scenes"):
        other = "bare loop" if part == "flow" else "network"
        return f"{case.partition(', ')[0]}, {other}"
    return OVER[part].get(case)


def _ratio(over: list[float], under: list[float]) -> dict[str, float]:
    """Divide turn by turn; a run of the whole flow is one turn, beside several of a loop."""
    if len(over) == len(under):
        return _spread(ratios(over, under))
    return _spread([statistics.median(over) / statistics.median(under)])


def _spread(values: list[float]) -> dict[str, float]:
    return spread(values if len(values) > 1 else values * 2, 4)


def table(parts: dict[str, Any]) -> str:
    """Return the markdown table of what was measured."""
    lines = ["| part | case | seconds | ratio | of | new over old |", "|" + " --- |" * 6]
    for part, found in parts.items():
        for case, row in found["cases"].items():
            ratio = f"{row['ratio']['median']:.3f}" if "ratio" in row else ""
            cells = [part, case, f"{row['seconds']['median']:.4f}", ratio, row.get("over", "")]
            lines.append("| " + " | ".join([*cells, str(row.get("new_over_old", ""))]) + " |")
        mine, before = (found.get("peaks_mb", {}).get(tree, {}) for tree in ("this", "before"))
        for case, peak in mine.items():
            share = f"{peak / before[case]:.3f}" if case in before else ""
            cells = [part, f"{case}, at most {peak} MB of memory", "", "", "", share]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, write the record, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--against", type=Path)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--into", type=Path, default=RESULTS)
    parser.add_argument("--parts", nargs="+", default=["start", *TURNS])
    parser.add_argument("--go-on", action="store_true", help="keep the record's other parts")
    options = parser.parse_args()
    trees = {"this": ROOT} | ({"before": options.against} if options.against else {})
    record = options.into / "benchmark.json"
    parts = json.loads(record.read_text())["results"] if options.go_on else {}
    for part in options.parts:
        print(f"{part} ...", file=sys.stderr, flush=True)
        if part == "start":
            parts[part] = start(trees, 1 if options.smoke else STARTS)
        else:
            parts[part] = part_of_table(part, trees, smoke=options.smoke)
        write("benchmark", "make benchmark", parts, options.into)  # by part: the next may fail
    print(table(parts))


if __name__ == "__main__":
    main()
