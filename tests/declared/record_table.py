"""Records what becomes of every cell of the table of declared properties.

    python tests/declared/record_table.py [PROPERTY ...]

writes tests/benchmarks/results/declared.json, in less than a minute; with properties given it only
prints what is wrong with these.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from declared_judge import WRONG, Verdict, judge
from declared_run import fuse_cells
from declared_table import CONTAINERS, KINDS, PROPERTIES, SIDES, Key, keys
from record import write


def main() -> None:
    """Judge the table, write the record, and fail where a cell is wrong."""
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # every refusal is one
    chosen = sys.argv[1:] or list(PROPERTIES)
    begin = time.process_time()
    verdicts = {name: _judged(name) for name in chosen}
    every = {key: verdict for found in verdicts.values() for key, verdict in found.items()}
    states = Counter(verdict.state for verdict in every.values())
    results = {
        "cells": len(every),
        "states": dict(sorted(states.items())),
        "containers": list(CONTAINERS),
        "sides": list(SIDES),
        "other_file": list(KINDS),
        "cpu_seconds": round(time.process_time() - begin, 1),
        "table": {name: _values(found) for name, found in verdicts.items()},
    }
    wrong = [f"{key}: {verdict}" for key, verdict in every.items() if verdict.state == WRONG]
    if not sys.argv[1:]:
        print(write("declared", "python tests/declared/record_table.py", results))
    print(f"{dict(states)} in {results['cpu_seconds']} s")
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        raise SystemExit(1)


def _judged(name: str) -> dict[Key, Verdict]:
    cells = list(keys(name))
    with tempfile.TemporaryDirectory() as folder:
        found = fuse_cells(cells, Path(folder))
        return {key: judge(key, found.get(key)) for key in cells}


def _values(verdicts: Mapping[Key, Verdict]) -> dict[str, dict[str, Any]]:
    """Return states by value and container: one where the four are equal, else by side and kind."""
    table: dict[str, dict[str, Any]] = {}
    for key, verdict in verdicts.items():
        row = table.setdefault(key.value, {})
        row.setdefault(key.container, {})[f"{key.side}, {key.kind}"] = f"{verdict}"
    return {
        value: {
            container: states if len(set(states.values())) > 1 else next(iter(states.values()))
            for container, states in row.items()
        }
        for value, row in table.items()
    }


if __name__ == "__main__":
    main()
