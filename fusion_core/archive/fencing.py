"""Keeps a run that lost its lease from committing anything more, whatever it believes.

A part is created exclusively, so nobody commits one that is there already. Whoever takes an output
over writes a tombstone, a part without rows that says so, at every write intent that its
predecessors declared and never committed, before it reads the manifest for its plan.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from fusion_core.archive.layout import half_paths, is_part_path
from fusion_core.archive.lease import Lease
from fusion_core.archive.lease_record import declared_intents, read_record
from fusion_core.archive.parts import commit_part, read_part_or_tombstone
from fusion_core.archive.plan import Chunk
from fusion_core.storage.store import Storage

_THREADS = 16
_AT_ONCE = 64
"""Chunks whose intents are declared at once: a crash is followed by about as many tombstones."""
log = logging.getLogger(__name__)


def write_tombstones(storage: Storage, lease: Lease) -> int:
    """Write tombstones at the intents that earlier generations didn't commit; return how many.

    Raises:
        ManifestError: A part can't be read.
        StorageError: The store failed.
    """
    written = 0
    with ThreadPoolExecutor(_THREADS) as threads:
        for number in _unsettled(storage, lease):
            for listed in declared_intents(storage, number):
                parts = _only_parts(listed, number)
                written += sum(
                    threads.map(lambda part: _write_tombstone(storage, part, lease.run_id), parts)
                )
    lease.settle(lease.generation - 1)
    return written


def with_intents(
    chunks: Iterable[Chunk], lease: Lease, path_of: Callable[[Chunk], str]
) -> Iterator[Chunk]:
    """Pass chunks on, some at a time, after their write intents were declared.

    Args:
        chunks: The chunks that are going to be run.
        lease: The lease that they are run under.
        path_of: Gives the path of a chunk's part.

    Raises:
        LeaseLostError: Another run has taken over.
    """
    source = iter(chunks)
    while batch := list(islice(source, _AT_ONCE)):
        lease.declare_intents([path_of(chunk) for chunk in batch])
        yield from batch


def _unsettled(storage: Storage, lease: Lease) -> list[int]:
    """Return the numbers of the earlier generations that may still commit something."""
    found: list[int] = []
    for number in range(lease.generation - 1, 0, -1):
        record = read_record(storage, number)
        if record is None:  # versions before removed what was settled
            break
        if not (record.released and record.complete):
            found.append(number)
        if record.settled:
            return [one for one in found if one > record.settled]
    return found


def _only_parts(listed: list[str], generation: int) -> list[str]:
    """Return what is the path of a part; nothing may be written anywhere else."""
    parts = [path for path in listed if is_part_path(path)]
    if len(parts) < len(listed):
        first = next(path for path in listed if not is_part_path(path))
        log.warning(
            "%d write intents of generation %d are no parts' paths and left alone; found %.100r, "
            "expected one such as manifest/date=2026-01-31/part-0123abcd.parquet",
            *(len(listed) - len(parts), generation, first),
        )
    return parts


def _write_tombstone(storage: Storage, path: str, run_id: str) -> int:
    """Write a tombstone where nothing lies; where a chunk was split, at its halves.

    Returns:
        How many were written.
    """
    if not is_part_path(path):  # halves of halves, until the name is too long for any chunk's
        return 0
    # A store without conditional writes would overwrite, hence the look before.
    if not storage.exists(path) and commit_part(storage, path, [], closed_by=run_id):
        return 1
    rows, closed_by = read_part_or_tombstone(storage, path)
    if len(rows) or closed_by is not None:
        return 0
    return sum(_write_tombstone(storage, half, run_id) for half in half_paths(path))
