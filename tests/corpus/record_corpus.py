"""Records what becomes of every hostile file: its outcome, stage and reason, and the peak memory.

    python tests/corpus/record_corpus.py

writes tests/benchmarks/results/corpus.json. It takes half a minute on two cores.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from corpus_archive import Entry, listed
from record import write
from run_corpus import MEMORY_BOUND_MIB, Found, difference, neighbours_lost, run_corpus


def main() -> None:
    """Run the corpus, write the record, and fail where it isn't as expected."""
    with tempfile.TemporaryDirectory() as folder:
        found = run_corpus(Path(folder))
        outcomes = [_outcome(entry, found, folder) for entry in found.entries]
    kinds = Counter(_kind(outcome) for outcome in outcomes)
    differences = [text for entry in found.entries if (text := difference(entry, found))]
    results = {
        "cases": len({entry.case for entry in found.entries}),
        "hostile_pairs": len(outcomes),
        "outcomes": dict(sorted(kinds.items())),
        "not_as_expected": differences,
        "neighbours_lost": neighbours_lost(found),
        "written_outside_the_output": sorted(ascii(path) for path in found.outside),
        "memory_bound_mib": MEMORY_BOUND_MIB,
        **{name: value for name, value in found.work.items() if not isinstance(value, list)},
        "pairs": outcomes,
    }
    path = write("corpus", "python tests/corpus/record_corpus.py", results)
    print(f"{path}: {len(outcomes)} hostile pairs, {dict(kinds)}")
    lost = results["neighbours_lost"] or results["written_outside_the_output"]
    if differences or lost or found.work["peak_above_baseline_mib"] > MEMORY_BOUND_MIB:
        print("\n".join([*differences, str(lost or "")]), file=sys.stderr)
        raise SystemExit(1)


def _outcome(entry: Entry, found: Found, folder: str) -> dict[str, Any]:
    row = found.rows.get(listed(entry.pair_id), {})
    message = row.get("error_message")
    return {
        "case": entry.case,
        "how": entry.how,
        "hostile": entry.side,
        "outcome": "fused" if row.get("status") == "ok" else row.get("status", "lost"),
        "stage": row.get("stage"),
        "error": row.get("error_type"),
        "reason": None if message is None else message.replace(folder, "ARCHIVE"),
        "size": [row.get("height"), row.get("width")],
        "seconds": row.get("seconds"),
    }


def _kind(outcome: dict[str, Any]) -> str:
    return "fused" if outcome["outcome"] == "fused" else f"{outcome['outcome']}: {outcome['stage']}"


if __name__ == "__main__":
    main()
