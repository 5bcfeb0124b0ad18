"""Works the laid out corpus off in a process of its own, and measures the memory that it takes.

    python tests/corpus/work_corpus.py FOLDER

reads FOLDER/source, writes FOLDER/output, and prints what became of each pair as one JSON object.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet
import torch
from corpus_archive import spring
from peak_memory import forget_peak
from tiny import tiny_fuser

from fusion_core.archive.plan import cut_chunks
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.listing import list_pairs
from fusion_core.models.memory_budget import give_back_freed
from fusion_core.scenes.large_files import add_pixels, may_be_scenes
from fusion_core.scenes.probe import count_pixels
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

CHUNK_PAIRS = 8
COLUMNS = ("pair_id", "status", "stage", "error_type", "error_message", "height", "width")


def main() -> None:
    """Work a folder off."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    settings = FuseArchiveSettings(
        source=f"{folder}/source",
        output=f"{folder}/output",
        ir="ir/{pair}",
        vi="vi/{pair}",
        precision="fp32",
        io_threads=2,
        size_mismatch="resize_ir",
    )
    source, output = Storage(settings.source), Storage(settings.output)
    today = dt.date(2026, 7, 19)
    pairing = list_pairs(settings, source, output, today, {})
    spring(folder / "source")
    fuser = tiny_fuser()
    digest = settings.image_settings().settings_hash()
    run = RunIdentity("corpus", today, fuser.model_hash, digest)
    worker = FusionWorker(source, output, fuser, settings, run)
    (pairs,) = pairing.pairs.combine_chunks().to_batches()
    large = may_be_scenes(pairs)
    counts = dict(zip(large, count_pixels(source, list(large.values())), strict=True))
    chunks = list(cut_chunks([add_pixels(pairs, counts)], "corpus", CHUNK_PAIRS))
    worker.run(chunks[0])  # so that what is loaded once counts as the baseline
    baseline = _status("VmRSS")
    forget_peak()
    begin = time.perf_counter()
    seconds = {}
    for chunk in chunks[1:]:
        started = time.perf_counter()
        worker.run(chunk)
        seconds[chunk.part_id] = time.perf_counter() - started
    peak, held = _status("VmHWM"), _status("VmRSS")
    give_back_freed()
    parts = sorted((folder / "output" / "commits" / "manifest").rglob("part-*.parquet"))
    found = {
        "seconds": round(time.perf_counter() - begin, 2),
        "slowest_chunk_seconds": round(max(seconds.values()), 2),
        "baseline_mib": baseline >> 10,
        "peak_above_baseline_mib": (peak - baseline) >> 10,
        "kept_of_freed_mib": (held - _status("VmRSS")) >> 10,
        "chunks": len(chunks),
        "unmatched": list(pairing.unmatched),
        "unpaired": list(pairing.unpaired),
        "ambiguous": list(pairing.ambiguous),
        "rows": [row for part in parts for row in _rows(part)],
    }
    print(json.dumps(found))


def _rows(part: Path) -> list[dict[str, Any]]:
    table = pyarrow.parquet.read_table(part)
    timed = [name for name in table.column_names if name.startswith("seconds_")]
    rows = table.select([*COLUMNS, *timed]).to_pylist()
    return [
        {name: row[name] for name in COLUMNS}
        | {"seconds": round(sum(row[name] or 0 for name in timed), 3)}
        for row in rows
    ]


def _status(name: str) -> int:
    """Return a number of KiB that the kernel keeps about this process."""
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


if __name__ == "__main__":
    main()
