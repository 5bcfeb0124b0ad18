"""Runs the flow where Ray ends workers beyond so many bytes, and tells what the workers took.

    python tests/benchmarks/memory_run.py FOLDER CASE

with a case as JSON, see ``Case``, prints a JSON line of what was found. A Ray of its own reads its
threshold when it starts, so that each case has a process of its own.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from generated_scenes import texture
from memory_group import GROUPS
from numpy.typing import NDArray
from prefect_database import api_with_database
from tiny import png

from flows.fuse_archive import fuse_archive
from flows.summaries.run import RunSummary
from fusion_core.archive.manifest import read_manifest
from fusion_core.settings.fuse import FuseArchiveSettings

_PIECE = (500, 600)
_GIB = 1 << 30


@dataclass(frozen=True)
class Case:
    """A run, and the memory that it is given.

    Attributes:
        gib: What all workers may take together, beside what the node uses before Ray starts; the
            processes of Ray are paid for by it as well.
        workers: Number of workers, of one CPU each.
        pairs: Number of pairs by size (width x height), such as ``{"640x480": 20}``.
        chunk_pairs: Pairs that a worker has at once.
    """

    gib: float
    workers: int
    pairs: dict[str, int]
    chunk_pairs: int = 8


def main(folder: Path, case: Case) -> dict[str, Any]:
    """Run the flow once, and return what became of its pairs and what its workers took."""
    for size, count in case.pairs.items():
        width, height = map(int, size.split("x"))
        for k in range(count):
            write_pair(folder / "in", f"{size}-{k:02}", (height, width), seed=k)
    settings = FuseArchiveSettings(
        source=str(folder / "in"),
        output=str(folder / "out"),
        precision="fp32",
        worker="cpu:1",
        max_workers=case.workers,
        contact_sheet=0,
        chunk_pairs=case.chunk_pairs,
    )
    with api_with_database():
        total, before = node_memory()
        threshold = (before + case.gib * _GIB) / total
        os.environ.update(RAY_memory_usage_threshold=f"{threshold:.6f}")
        ray.init(
            address="local",
            num_cpus=case.workers,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=128 << 20,
        )
        _, idle = node_memory()
        with sampled() as seen:
            begin = time.monotonic()
            summary = fuse_archive(settings)
            seconds = time.monotonic() - begin
        ray.shutdown()
    assert isinstance(summary, RunSummary)
    rows = read_manifest(f"{settings.output}/manifest", latest=False).to_pylist()
    return {
        **asdict(case),
        "threshold": round(threshold, 4),
        "node_gib": round(total / _GIB, 2),
        "node_gib_before": round(before / _GIB, 2),
        "ray_gib": round((idle - before) / _GIB, 2),
        "ok": summary.fused,
        "failed": summary.failed,
        "remarks": {row["pair_id"]: row["remark"] for row in rows if row["remark"]},
        "worker_processes": len(seen.workers),
        "worker_peak_gib": [round(peak / _GIB, 2) for peak in seen.workers.values()],
        "node_peak_gib_beside": round((seen.node - before) / _GIB, 2),
        "seconds": round(seconds, 1),
        "longest_pair_seconds": round(max(row["seconds_fuse"] for row in rows), 1),
    }


def write_pair(folder: Path, name: str, size: tuple[int, int], seed: int) -> None:
    """Write a grey infrared and an RGB visible image, (height, width), with detail throughout."""
    ground, warmth = (_spread(texture(part, _PIECE), size) for part in (seed, 1000 + seed))
    visible = np.stack([255 * ground * tint for tint in (1.0, 0.9, 0.8)], -1, dtype=np.float32)
    for side, pixels in (("ir", 255 * warmth), ("vi", visible)):
        path = folder / side / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(pixels.astype(np.uint8)))


def _spread(piece: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float32]:
    """Mirror a piece into all directions until it is as large as an image (height, width)."""
    edges = [(0, max(0, side - have)) for side, have in zip(size, piece.shape, strict=True)]
    spread = np.pad(piece.astype(np.float32), edges, mode="symmetric")
    return np.asarray(spread[: size[0], : size[1]])


@dataclass
class Seen:
    """What was seen while a run went on.

    Attributes:
        workers: The most bytes that each worker held, by its process id.
        node: The most bytes that were used on the node.
    """

    workers: dict[int, int]
    node: int = 0


@contextmanager
def sampled() -> Iterator[Seen]:
    """Look at the workers' memory ten times a second meanwhile."""
    seen, over = Seen({}), threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            seen.node = max(seen.node, node_memory()[1])
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    name = (process / "cmdline").read_bytes()
                    # Neither another run's, nor a fork of a worker's.
                    if name.startswith(b"ray::FusionActor") and is_grandchild(process):
                        seen.workers[int(process.name)] = status(process, "VmHWM") << 10
                except (OSError, StopIteration):
                    continue  # it has ended meanwhile

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def is_grandchild(process: Path) -> bool:
    """Tell whether a process was started by the Ray that this one has started."""
    raylet = process.parent / str(status(process, "PPid"))
    return status(raylet, "PPid") == os.getpid()


def status(process: Path, name: str) -> int:
    """Return a number that the kernel tells of a process; VmHWM is the most that it held, in kB."""
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def node_memory() -> tuple[int, int]:
    """Return the total and the used bytes of the container, or of the machine, as Ray has them."""
    machine = numbers(Path("/proc/meminfo"))
    total = machine["MemTotal"] << 10
    if (GROUPS / "memory.limit_in_bytes").exists():
        limit, used = (
            int((GROUPS / f"memory.{name}_in_bytes").read_text()) for name in ("limit", "usage")
        )
        if limit < total:
            stat = numbers(GROUPS / "memory.stat")
            return limit, used - stat["total_inactive_file"] - stat["total_active_file"]
    return total, total - (machine["MemAvailable"] << 10)


def numbers(file: Path) -> dict[str, int]:
    """Return the numbers of one of the kernel's files by their names."""
    words = (line.replace(":", " ").split() for line in file.read_text().splitlines())
    return {name: int(number) for name, number, *_ in words if number.isdigit()}


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    print(json.dumps(main(Path(sys.argv[1]), Case(**json.loads(sys.argv[2])))))
