"""Keeps a run that lost its lease from committing anything more, whatever it believes.

A part is created exclusively, so a part that somebody else creates empty can't be committed. Who
takes an output over does that to every part that its predecessors announced and never committed,
before it reads the manifest for its plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from fusion_core.archive.layout import half_paths
from fusion_core.archive.lease import Lease
from fusion_core.archive.lease_record import declared_intents, generations, read_record
from fusion_core.archive.parts import commit_part, read_part_or_tombstone
from fusion_core.archive.plan import Chunk
from fusion_core.storage.store import Storage

_THREADS = 16
_AT_ONCE = 64
"""Chunks that are announced at once: a crash leaves at most about as many empty parts."""


def write_tombstones(storage: Storage, lease: Lease) -> int:
    """Close what earlier generations announced and didn't commit; return how many parts.

    Raises:
        ManifestError: A part can't be read.
        StorageError: The store failed.
    """
    earlier = _unsettled(storage, lease)
    parts = [part for number in earlier for part in declared_intents(storage, number)]
    with ThreadPoolExecutor(_THREADS) as threads:
        closed = sum(threads.map(lambda part: _close(storage, part, lease.run_id), parts))
    lease.settle(lease.generation - 1)
    return closed


def with_intents(
    chunks: Iterable[Chunk], lease: Lease, path_of: Callable[[Chunk], str]
) -> Iterator[Chunk]:
    """Pass chunks on, some at a time, after they were announced.

    Args:
        chunks: What is going to be worked off.
        lease: Under which.
        path_of: Gives the path of a chunk's part.

    Raises:
        LeaseLostError: Another run has taken over.
    """
    source = iter(chunks)
    while batch := list(islice(source, _AT_ONCE)):
        lease.declare_intents([path_of(chunk) for chunk in batch])
        yield from batch


def _unsettled(storage: Storage, lease: Lease) -> list[int]:
    """Return the earlier generations that may still commit something."""
    found = []
    for number in reversed([one for one in generations(storage) if one < lease.generation]):
        record = read_record(storage, number)
        if record is not None and not (record.released and record.complete):
            found.append(number)
        if record is not None and record.settled:
            return [one for one in found if one > record.settled]
    return found


def _close(storage: Storage, path: str, run_id: str) -> int:
    """Close a part where it is free, and the halves of one that was split; return how many."""
    # A store without conditional writes would overwrite, hence the look before.
    if not storage.exists(path) and commit_part(storage, path, [], closed_by=run_id):
        return 1
    rows, closed_by = read_part_or_tombstone(storage, path)
    if len(rows) or closed_by is not None:
        return 0
    return sum(_close(storage, half, run_id) for half in half_paths(path))
