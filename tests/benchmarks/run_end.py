"""Ends a run of so many pairs as a flow does, and tells what it took.

    python tests/benchmarks/run_end.py FOLDER PAIRS [publish]

prints a JSON line. FOLDER holds what ``bench_run_end`` generates: an output with the run's parts,
and the plan's pairs. With ``publish`` it goes before that through all that the driver does while
workers commit those parts: intents, records, files of rows. What is left out is Prefect's
artifacts, which show the same texts and lists, and the drawing of the sheet, which is a worker's.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from generated_rows import MODEL, SETTINGS
from peak_memory import peak_bytes
from tiny import settings_for

from flows.chunks import Worked, count_results
from flows.contact_sheet import fused_pairs
from flows.details import files_without_pair, remarks, unsuccessful, write_details
from flows.report_page import FOOTPRINTS, REASONS, SAMPLE, WORST
from flows.run import Run
from flows.summaries.run import RunSummary
from fusion_core.archive.found_pairs import FoundPairs
from fusion_core.archive.lease import acquire
from fusion_core.archive.publisher import Publisher
from fusion_core.archive.run_figures import (
    choose_pairs,
    footprints,
    metric_histograms,
    seconds_by_stage,
)
from fusion_core.archive.run_rows import RunRows, collect_rows
from fusion_core.archive.spill import Spill
from fusion_core.storage.scratch import scratch_folder
from fusion_core.storage.store import Storage

SHOWN = 12
AT_ONCE = 64  # parts that are declared together, as a run does


def main(folder: Path, pairs: int, *, published: bool) -> dict[str, Any]:
    """End the run, and return what its summary says, how long it took, and the memory."""
    before = _peak()
    seconds = publish(folder) if published else 0.0
    published_mb = _peak() - before
    begin = time.monotonic()
    settings = settings_for(folder / "in", folder / "out", "mean")
    run = Run.begin(settings, settings_hash=SETTINGS, model_hash=MODEL)
    output, plan = run.output(), Spill(next((folder / "pairs").glob("*.parquet")))
    unpaired, none = (
        Spill(next((folder / name).glob("*.parquet"))) for name in ("unpaired", "none")
    )
    pairing = FoundPairs(plan, unpaired, none, none)
    parts = _parts(folder)
    with scratch_folder() as scratch:
        rows = RunRows(collect_rows(output, parts, scratch), scratch)
        read = time.monotonic() - begin
        listings = [*unsuccessful(rows, "pair_id"), remarks(rows), *files_without_pair(pairing)]
        details = write_details(run, output, listings, scratch)
        shown = fused_pairs(run, plan, rows, SHOWN)
        figures = time.monotonic()
        chosen = choose_pairs(
            rows, plan, worst=WORST, sample=SAMPLE, model_hash=MODEL, settings_hash=SETTINGS
        )
        scenes, reasons = footprints(rows, FOOTPRINTS), rows.reasons(REASONS)
        pages = {"histograms": metric_histograms(rows), "stage_seconds": seconds_by_stage(rows)}
        figures = time.monotonic() - figures
        worked = Worked(failed=details.counts["failures"])
        worked.ok = pairs - worked.failed - rows.undone()
        summary = RunSummary(
            run_id=run.identity.run_id,
            output=output.url(""),
            manifest=output.url("manifest"),
            contact_sheet=None,
            found=pairs,
            **dict.fromkeys(("done_before", "known_failed", "over_limit"), 0),
            fused=worked.ok,
            metrics=rows.metric_statistics(),
            **pages,
            retries=rows.retries(),
            stages=rows.stages(),
            seconds=time.monotonic() - begin,
            **count_results(pairs, [worked], rows.undone()),
            **details.fields,
        )
    written = summary.model_dump_json(indent=2)
    output.write(f"{run.folder}/summary.json", written.encode())
    output.write(f"{run.folder}/summary.md", summary.markdown().encode())
    return {
        "pairs": pairs,
        "parts": len(parts),
        "seconds": round(time.monotonic() - begin, 1),
        "seconds_of_publishing": round(seconds, 1),
        "driver_mb_more_by_publishing": round(published_mb),
        "seconds_of_reading_parts": round(read, 1),
        "seconds_of_the_reports_figures": round(figures, 1),
        "pairs_in_the_report": len(chosen.rows),
        "reasons_in_the_report": len(reasons),
        "scenes_in_the_report": scenes[0],
        "driver_mb_before": round(before),
        "driver_mb_more": round(_peak() - before),
        "summary_kb": round(len(written) / 1e3),
        "details_rows": sum(details.counts.values()),
        "counts": details.counts,
        "shown": [pair.pair_id for pair in shown],
        "retries": summary.retries,
    }


def publish(folder: Path) -> float:
    """Declare, note and publish all parts as they would come; return how long that took."""
    begin = time.monotonic()
    output, parts = Storage(str(folder / "out")), _parts(folder)
    lease = acquire(lambda: output, "run", seconds=60, wait=False)
    publisher = Publisher(lambda: output, lease)
    for start in range(0, len(parts), AT_ONCE):
        publisher.declare(parts[start : start + AT_ONCE])
        publisher.committed(parts[start : start + AT_ONCE])
        publisher.publish()
    publisher.finish()
    assert publisher.all_published
    lease.release()
    return time.monotonic() - begin


def _parts(folder: Path) -> list[str]:
    found = folder.glob("out/commits/manifest/**/part-*")
    return sorted(str(path.relative_to(folder / "out")) for path in found)


def _peak() -> float:
    """Return the most that this process has held so far, in MB."""
    return peak_bytes() / 1e6


if __name__ == "__main__":
    wanted = {"published": "publish" in sys.argv[3:]}
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), **wanted)))
