"""Runs the corpus: lays it out, works it off in a process of its own, and sets the two together."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus_archive import Entry, lay_out, listed, neighbour, walk
from hostile_case import Expected, Failed

HERE = Path(__file__).resolve().parent
MEMORY_BOUND_MIB = 600
"""Above what the process holds when it has fused its first pairs."""

_LONGEST_SECONDS = 240
_DROP_FROM_BOUNDING_SET = 24  # of prctl
_OVERRIDES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@dataclass(frozen=True)
class Found:
    """What became of the corpus.

    Attributes:
        entries: The hostile pairs.
        rows: The manifest's rows by pair id.
        work: What the process that worked it off says of itself.
        outside: What was written outside the output.
        errors: What that process wrote to its standard error.
    """

    entries: list[Entry]
    rows: dict[str, dict[str, Any]]
    work: dict[str, Any]
    outside: set[bytes]
    errors: str


def run_corpus(folder: Path) -> Found:
    """Work the corpus off below an empty folder."""
    laid = lay_out(folder / "source")
    before = walk(folder)
    done = subprocess.run(
        [sys.executable, str(HERE / "work_corpus.py"), str(folder)],
        capture_output=True,
        text=True,
        timeout=_LONGEST_SECONDS,
        check=False,
        cwd=folder,
        preexec_fn=obey_permissions,
    )
    if done.returncode:
        raise RuntimeError(f"the corpus ended its process ({done.returncode}):\n{done.stderr}")
    output = bytes(folder / "output")
    outside = {path for path in walk(folder) - before if not path.startswith(output)}
    work = json.loads(done.stdout)
    rows = {row["pair_id"]: row for row in work.pop("rows")}
    return Found(laid, rows, work, outside, done.stderr)


def obey_permissions() -> None:
    """Give up root's right to read what nobody may, for the program that is started next."""
    libc = ctypes.CDLL(None)
    for right in _OVERRIDES:
        libc.prctl(_DROP_FROM_BOUNDING_SET, right, 0, 0, 0)


def difference(entry: Entry, found: Found) -> str | None:
    """Say how what became of a pair differs from what must; None where it doesn't."""
    row = found.rows.get(listed(entry.pair_id))
    if row is None:
        return f"it has no row; expected {entry.expected}"
    return _row_difference(row, entry.expected)


def neighbours_lost(found: Found) -> list[str]:
    """Name the good pairs that weren't fused."""
    names = {neighbour(entry) for entry in found.entries}
    return sorted(name for name in names if found.rows.get(name, {}).get("status") != "ok")


def _row_difference(row: dict[str, Any], expected: Expected) -> str | None:
    if isinstance(expected, Failed):
        says = (row["status"], row["stage"], row["error_type"])
        wanted = (expected.status, expected.stage, expected.error)
        message = row["error_message"] or ""
        missing = [word for word in expected.words if word.lower() not in message.lower()]
        return None if says == wanted and not missing else f"{row}; expected {expected}"
    size = (row["height"], row["width"])
    return None if row["status"] == "ok" and size == expected.size else f"{row}; {expected}"
