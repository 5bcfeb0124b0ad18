"""How long a run by hand takes from its command to the first fused pair.

    python tests/benchmarks/bench_start.py [--against WORKTREE] [--rounds 3]

writes results/start.json: seconds, and CPU seconds of all processes by kind, which say more where
the machine does other things. With ``--against`` the same of another checkout, in turns. It counts
starts behind the first one, which makes Prefect's database.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from record import ratios, spread, write
from start_run import first_pair

from fusion_core.demo import write_archive

ROOT = Path(__file__).resolve().parents[2]
PAIRS = 24
WHAT = ("seconds", "cpu_seconds")


def measured(trees: dict[str, Path], rounds: int, pairs: int = PAIRS, **run: Any) -> dict[str, Any]:
    """Start runs of these checkouts in turns, and return what each took.

    Args:
        trees: Checkouts by name, the one that counts first.
        rounds: How often.
        pairs: Size of the archive.
        **run: As ``first_pair`` takes it.
    """
    starts: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as name:
        os.environ["PREFECT_HOME"] = f"{name}/prefect"
        os.environ.pop("PREFECT_API_URL", None)
        source = Path(name, "source")
        write_archive(str(source), pairs=pairs, seed=7)
        first_pair(source, next(iter(trees.values())), **run)
        for _ in range(rounds):
            for tree, path in trees.items():
                starts[tree].append(first_pair(source, path, **run))
    found: dict[str, Any] = {"pairs": pairs, "rounds": rounds}
    for tree, all_of_it in starts.items():
        kinds = {kind for one in all_of_it for kind in one["cpu_seconds_of"]}
        found[tree] = {
            **{what: spread([one[what] for one in all_of_it]) for what in WHAT},
            "cpu_seconds_of": {
                kind: round(
                    statistics.median(one["cpu_seconds_of"].get(kind, 0.0) for one in all_of_it), 2
                )
                for kind in sorted(kinds)
            },
        }
    if len(trees) == 2:
        new, old = starts.values()
        found["new_over_old"] = {
            what: spread(ratios([one[what] for one in new], [one[what] for one in old]))
            for what in WHAT
        }
    return found


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    trees = {"this": ROOT} | ({"before": options.against} if options.against else {})
    results = measured(trees, options.rounds)
    print(write("start", "python tests/benchmarks/bench_start.py", results).read_text())


if __name__ == "__main__":
    main()
