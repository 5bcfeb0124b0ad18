"""What a run takes where its workers may take little: a large photograph, and two workers at once.

    python tests/benchmarks/bench_memory.py

writes results/memory.json, in about ten minutes on two cores and 16 GiB of memory. It fails where a
pair does, or Ray ends a worker.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from memory_group import memory_group
from record import write

PROGRAM = Path(__file__).with_name("memory_run.py")
CONTAINER = 12 << 30
"""Memory of the container, in bytes: so that what else goes on on the machine takes none of it."""

CASES: dict[str, dict[str, Any]] = {
    "24 megapixels among twenty small ones, one worker, 4 GiB": {
        "gib": 4,
        "workers": 1,
        "pairs": {"640x480": 20, "6000x4000": 1},
    },
    "Full HD, two workers, 8 GiB": {
        "gib": 8,
        "workers": 2,
        "pairs": {"1920x1080": 8},
        "chunk_pairs": 1,
    },
}


def measured(case: dict[str, Any]) -> dict[str, Any]:
    """Run one case in a process of its own, and in a container where this user may make one."""
    with tempfile.TemporaryDirectory() as folder, memory_group(CONTAINER) as contained:
        command = [*contained, sys.executable, str(PROGRAM), folder, json.dumps(case)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and write the record."""
    results = {name: measured(case) for name, case in CASES.items()}
    print(write("memory", "make benchmark-memory", results).read_text())
    whole = all(
        found["failed"] == 0 and found["worker_processes"] == found["workers"]
        for found in results.values()
    )
    sys.exit(not whole)


if __name__ == "__main__":
    main()
