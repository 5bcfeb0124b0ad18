"""Keeps a run that lost its lease from committing anything more, whatever it believes.

A part is created exclusively, so nobody commits one that is there already. Whoever takes an output
over ends its predecessors' publishing, and writes a tombstone, a part without rows that says so, at
every write intent that they declared and never committed, before it plans. What they committed and
did not publish is found on the way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from fusion_core.archive.layout import COMMITS_FOLDER, half_paths, is_part_path
from fusion_core.archive.lease import Lease
from fusion_core.archive.lease_record import LeaseRecord, declared_intents, read_record
from fusion_core.archive.parts import commit_part, read_part_or_tombstone
from fusion_core.archive.plan import Chunk
from fusion_core.archive.publications import end_publishing, publications
from fusion_core.archive.unwritten import write_promised
from fusion_core.storage.store import Storage

_THREADS = 16
_AT_ONCE = 64
"""Chunks whose intents are declared at once: a crash is followed by about as many tombstones."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Closed:
    """What was left open by the runs before.

    Attributes:
        tombstones: How many were written, at intents that were not committed.
        unpublished: Paths of the parts that were committed, and are in no file yet.
    """

    tombstones: int
    unpublished: tuple[str, ...]


def close_predecessors(storage: Storage, lease: Lease) -> Closed:
    """See to it that no earlier generation can commit or publish anything any more.

    It costs what they left open. ``Publisher.take_over`` publishes what it returns.

    Raises:
        ManifestError: A part or a record can't be read.
        StorageError: The store failed.
    """
    tombstones, unpublished = 0, dict[str, None]()
    unsettled = _unsettled(storage, lease)
    with ThreadPoolExecutor(_THREADS) as threads:
        for generation, record in unsettled:
            published: set[str] = set()
            for listed in _open_intents(storage, generation, record, lease.run_id, published):
                parts = _only_parts(listed, generation)
                for closed in threads.map(lambda part: _close(storage, part, lease.run_id), parts):
                    tombstones += closed.tombstones
                    found = (one for one in closed.unpublished if one not in published)
                    unpublished.update(dict.fromkeys(found))
    # One that took over from another, and came to no good end, has published what that one left.
    for generation in range(unsettled[0][0] + 1, lease.generation) if unpublished else ():
        for _, publication in publications(storage, generation):
            for part in publication.parts:
                unpublished.pop(part, None)
    lease.tails = _tails(storage, lease.generation - 1)
    return Closed(tombstones, tuple(unpublished))


def with_intents(
    chunks: Iterable[Chunk],
    declare: Callable[[Sequence[str]], None],
    path_of: Callable[[Chunk], str],
) -> Iterator[Chunk]:
    """Pass chunks on, some at a time, after their write intents were declared.

    Args:
        chunks: The chunks that are going to be run.
        declare: Declares the intent to write parts.
        path_of: Gives the path of a chunk's part.

    Raises:
        LeaseLostError: Another run has taken over.
    """
    source = iter(chunks)
    while batch := list(islice(source, _AT_ONCE)):
        declare([path_of(chunk) for chunk in batch])
        yield from batch


def _unsettled(storage: Storage, lease: Lease) -> list[tuple[int, LeaseRecord]]:
    """Return the earlier generations that may still commit something, the first one first."""
    found: list[tuple[int, LeaseRecord]] = []
    for number in range(lease.generation - 1, 0, -1):
        record = read_record(storage, number)
        if record is None:  # versions before removed what was settled
            break
        if not (record.released and record.complete):
            found.append((number, record))
        if record.settled:
            found = [one for one in found if one[0] > record.settled]
            break
    return found[::-1]


def _open_intents(
    storage: Storage, generation: int, record: LeaseRecord, run_id: str, published: set[str]
) -> Iterator[list[str]]:
    """End a generation's publishing, and yield lists of the intents that it may have left open.

    Args:
        storage: The output.
        generation: The generation.
        record: Its record.
        run_id: The run that takes over.
        published: Takes in the parts of these that are published.
    """
    seen = 0
    if record.publishes and (last := end_publishing(storage, generation, run_id)) is not None:
        number, publication = last
        write_promised(storage, generation, number)
        published.update(publication.halves)
        seen = publication.lists
        yield list(publication.open)
    yield from declared_intents(storage, generation, after=seen)


def _tails(storage: Storage, generation: int) -> dict[str, tuple[str, int]]:
    """Return the files that may go on growing: those of a run that has ended in order."""
    record = read_record(storage, generation) if generation else None
    if record is None or not record.released:
        return {}
    return {path.rpartition("/")[0]: (path, row_groups) for path, row_groups in record.tails}


def _only_parts(listed: list[str], generation: int) -> list[str]:
    """Return what is the path of a part; nothing may be written anywhere else."""
    parts = [path for path in listed if is_part_path(path)]
    if len(parts) < len(listed):
        first = next(path for path in listed if not is_part_path(path))
        log.warning(
            "%d write intents of generation %d are no parts' paths and left alone; found %.100r, "
            "expected one such as commits/manifest/date=2026-01-31/part-0123abcd.parquet",
            *(len(listed) - len(parts), generation, first),
        )
    return parts


def _close(storage: Storage, path: str, run_id: str) -> Closed:
    """Write a tombstone where nothing lies; where a chunk was split, at its halves.

    Returns:
        How many were written, and the parts with rows, which need be published.
    """
    if not is_part_path(path):  # halves of halves, until the name is too long for any chunk's
        return Closed(0, ())
    # A store without conditional writes would overwrite, hence the look before.
    if not storage.exists(path) and commit_part(storage, path, [], closed_by=run_id):
        return Closed(1, ())
    rows, closed_by = read_part_or_tombstone(storage, path, ["status"])
    if len(rows):
        # Versions before committed where people read.
        return Closed(0, (path,) if path.startswith(f"{COMMITS_FOLDER}/") else ())
    if closed_by is not None:
        return Closed(0, ())
    halves = [_close(storage, half, run_id) for half in half_paths(path)]
    return Closed(
        sum(half.tombstones for half in halves),
        tuple(part for half in halves for part in half.unpublished),
    )
