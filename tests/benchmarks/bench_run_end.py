"""What the end of a run of a million pairs takes: its rows read, its lists written, summed up.

    python tests/benchmarks/bench_run_end.py

writes results/run_end.json, in some minutes; it takes 10 GB of the temporary folder. It fails where
the driver takes 500 MB more than before, or a night on which everything failed, each for a long
reason, takes more than that. And of a first night of ten million pairs, whose parts it publishes
before as they would come, the driver may take 2 GB in all.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from generated_rows import run_pairs, run_rows
from manifest_rows import DAY
from published_rows import as_part
from record import write

from fusion_core.archive.found_pairs import PATHS_SCHEMA
from fusion_core.archive.layout import part_path
from fusion_core.archive.spill import spill

PROGRAM = Path(__file__).with_name("run_end.py")
PAIRS = 1_000_000
MOST_MB = 500
MOST_PAIRS, MOST_MB_OF_ALL = 10_000_000, 2000
NIGHTS: dict[str, dict[str, Any]] = {
    "one in a hundred failed, and one is undone": {"vain": 0.01},
    "45 % failed, 45 % are undone, for reasons of 2,000 letters": {"vain": 0.45, "long": 25},
}


def generate(folder: Path, pairs: int, *, whole: bool = False, **night: Any) -> None:
    """Write the parts of a run, a thousand rows each, its pairs, and half as many files in none.

    Args:
        folder: Where to.
        pairs: Number of pairs.
        whole: Whether parts have all columns, and not only those that the end of a run reads.
        **night: As ``run_rows`` takes it.
    """
    number = 0
    for rows in run_rows(pairs, **night):
        rows = as_part(rows) if whole else rows
        for start in range(0, len(rows), 1000):
            path = folder / "out" / part_path(DAY, f"{number:06}")
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(rows.slice(start, 1000), path, compression="zstd")
            number += 1
    for name in ("pairs", "unpaired", "none"):
        (folder / name).mkdir()
    spill(folder / "pairs", next(run_pairs(1)).schema, run_pairs(pairs))
    paths = (pairs.select(["ir_path"]).rename_columns(["path"]) for pairs in run_pairs(pairs // 2))
    spill(folder / "unpaired", PATHS_SCHEMA, paths)
    spill(folder / "none", PATHS_SCHEMA, [])


def measured(pairs: int, *, publish: bool = False, **night: Any) -> dict[str, Any]:
    """End a generated run in a process of its own, and return what it found and took."""
    with tempfile.TemporaryDirectory() as name:
        generate(Path(name), pairs, whole=publish, **night)
        command = [sys.executable, str(PROGRAM), name, str(pairs), *["publish"][: int(publish)]]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and write the record."""
    nights = {name: measured(PAIRS, **night) for name, night in NIGHTS.items()}
    largest = measured(MOST_PAIRS, publish=True, vain=0.01)
    left_out = "Prefect's artifacts and the drawing of the sheet; parts are local, of 1,000 rows"
    results = {
        "end of a run, 10^6 pairs": nights,
        "published and ended, 10^7 pairs": largest,
        "left_out": left_out,
    }
    print(write("run_end", "make benchmark-run-end", results).read_text())
    late = any(found["driver_mb_more"] > MOST_MB for found in nights.values())
    sys.exit(late or largest["driver_mb_before"] + largest["driver_mb_more"] > MOST_MB_OF_ALL)


if __name__ == "__main__":
    main()
