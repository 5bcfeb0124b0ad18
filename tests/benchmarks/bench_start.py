"""How long a run by hand takes from its command to the first fused pair."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from record import ratios, spread
from start_run import first_pair

from fusion_core.demo import write_archive

PAIRS = 24


def start(trees: dict[str, Path], rounds: int, pairs: int = PAIRS, **run: Any) -> dict[str, Any]:
    """Start runs of these checkouts in turns, and return what each took, as a part of the table.

    Starts are counted behind the first one, which makes Prefect's database and compiles loops.
    CPU seconds of all processes, by kind, say more where the machine does other things.

    Args:
        trees: Checkouts by name, ``this`` first.
        rounds: How often.
        pairs: Size of the archive.
        **run: As ``first_pair`` takes it.
    """
    starts: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as name:
        home = Path(name, "prefect")
        source = Path(name, "source")
        write_archive(str(source), pairs=pairs, seed=7)
        for path in trees.values():
            first_pair(source, path, home=home, **run)
        for _ in range(rounds):
            for tree, path in trees.items():
                starts[tree].append(first_pair(source, path, home=home, **run))
    row: dict[str, Any] = {"seconds": spread(_column(starts["this"], "seconds"))}
    if "before" in starts:
        new, old = (_column(starts[tree], "seconds") for tree in ("this", "before"))
        row["new_over_old"] = round(statistics.median(ratios(new, old)), 3)
    cpu = {
        tree: {
            kind: round(statistics.median(one["cpu_seconds_of"].get(kind, 0.0) for one in found), 2)
            for kind in sorted({kind for one in found for kind in one["cpu_seconds_of"]})
        }
        for tree, found in starts.items()
    }
    case = f"run of {pairs} pairs to the first fused one"
    return {"cases": {case: row}, "rounds": rounds, "cpu_seconds": cpu}


def _column(found: list[dict[str, Any]], name: str) -> list[float]:
    values = [float(one[name]) for one in found]
    return values if len(values) > 1 else values * 2
