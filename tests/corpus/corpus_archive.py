"""Lays the corpus out as an archive in which good pairs lie beside the hostile ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from hostile_case import IR, VI, Expected, Fused
from hostile_files import files
from hostile_names import names
from hostile_places import Trap, traps
from raw_images import raw_png, raw_tiff

GOOD = {"ir": raw_png(IR), "vi": raw_png(VI)}
GOOD_TIFF = {"ir": raw_tiff(IR), "vi": raw_tiff(VI)}

Bodies = Callable[[], dict[str, bytes]]
"""Makes the two files of a pair: some take seconds, and those who want names alone don't wait."""


@dataclass(frozen=True)
class Entry:
    """One hostile pair of the archive.

    Attributes:
        case: Name of its case.
        how: How the case is made.
        pair_id: Its pair's id.
        side: The side that is hostile; "both" where it is the name.
        expected: What must become of it.
    """

    case: str
    how: str
    pair_id: str
    side: str
    expected: Expected


def entries() -> Iterator[tuple[Entry, Bodies]]:
    """Every hostile pair with what makes the bytes of its two files."""
    for case in files():
        body = cache(case.body)
        good = GOOD_TIFF if case.suffix == ".tif" else GOOD
        for side in ("ir", "vi") if case.side is None else (case.side,):
            expected = case.expected
            if side == "ir" and isinstance(expected, Fused):
                expected = Fused()  # the infrared is scaled to the visible image
            pair_id = f"{case.name}.{side}{case.suffix}"
            entry = Entry(case.name, case.how, pair_id, side, expected)
            yield entry, partial(_with, good, side, body)
    for trap in traps():
        good = GOOD_TIFF if trap.suffix == ".tif" else GOOD
        yield Entry(trap.name, trap.how, trap_id(trap), "vi", trap.expected), partial(dict, good)
    for named in names():
        name = os.fsdecode(named.file)
        entry = Entry(named.name, ascii(name)[1:-1], name, "both", named.expected)
        yield entry, partial(dict, GOOD)


def _with(good: Mapping[str, bytes], side: str, body: Callable[[], bytes]) -> dict[str, bytes]:
    return {**good, side: body()}


def trap_id(trap: Trap) -> str:
    return f"{trap.name}.vi{trap.suffix}"


def listed(pair_id: str) -> str:
    """Return a pair's id as a listing has it, which is in UTF-8."""
    return pair_id.encode("utf-8", "backslashreplace").decode()


def neighbour(entry: Entry) -> str:
    """Id of the good pair that is listed beside a hostile one."""
    return f"{entry.case}.good.png"


def lay_out(source: Path) -> list[Entry]:
    """Write the archive below a folder and spring the traps that lie there before it is listed."""
    for side in GOOD:
        (source / side).mkdir(parents=True)
    laid = []
    for entry, bodies in entries():
        _write(source, entry.pair_id, bodies())
        _write(source, neighbour(entry), GOOD)
        laid.append(entry)
    for trap in traps():
        if trap.before is not None:
            trap.before(source / "vi" / trap_id(trap))
    return laid


def spring(source: Path) -> None:
    """Do what happens between list and read."""
    for trap in traps():
        if trap.after is not None:
            trap.after(source / "vi" / trap_id(trap))


def walk(folder: Path) -> set[bytes]:
    """Return everything below a folder, by name."""
    found = set()
    for top, folders, inside in os.walk(os.fsencode(folder)):
        found |= {os.path.join(top, name) for name in folders + inside}
    return found


def _write(source: Path, pair_id: str, bodies: Mapping[str, bytes]) -> None:
    for side, body in bodies.items():
        (source / side / pair_id).write_bytes(body)
