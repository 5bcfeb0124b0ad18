"""Removes from an output what nobody needs any more: first told, then done under the lease."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from fusion_core.archive.keeping.disposable import (
    DEFAULT_KINDS,
    KINDS,
    SUPERSEDED,
    SUPERSEDED_SCHEMA,
    Looked,
    superseded_rows,
)
from fusion_core.archive.keeping.inventory import Inventory, take_inventory
from fusion_core.archive.spill import Spill, SpillWriter, engine, show, spill
from fusion_core.errors import ManifestError, SettingsError, StorageError
from fusion_core.storage.store import Storage

PLAN_SCHEMA = pa.schema([("kind", pa.string()), ("path", pa.string()), ("bytes", pa.int64())])

FIRST = 10
"""So many objects of a kind are told."""

_REMOVERS = 16
_AT_ONCE = 256

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Removal:
    """What may go, of one kind.

    Attributes:
        kind: Names it.
        count: Number of objects.
        bytes: Their size together.
        first: Paths of the first of them.
    """

    kind: str
    count: int
    bytes: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class CleanPlan:
    """What may go from an output.

    Attributes:
        objects: All of it, of ``PLAN_SCHEMA``.
        removals: The same by kind, without those of which there is nothing.
        superseded: The rows that have to be taken out first, of ``SUPERSEDED_SCHEMA``, sorted by
            their files; none where the kind isn't wanted.
        before: The time up to which something was superseded.
        found: What lies in the output.
    """

    objects: Spill
    removals: tuple[Removal, ...]
    superseded: Spill
    before: dt.datetime
    found: Inventory


def plan_clean(
    output: Storage,
    folder: Path,
    *,
    kinds: Sequence[str] = (),
    days: float = 30.0,
    now: dt.datetime,
    settled: int = 0,
    needed_from: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> CleanPlan:
    """Find what may go. What a run that is at work is about to name may be among it.

    Args:
        output: The output.
        folder: A scratch folder.
        kinds: Of ``KINDS``. Default: ``DEFAULT_KINDS``.
        days: Folders of runs, and commits, stay for so long, and images since they were
            superseded.
        now: The time.
        settled: A generation of the lease up to which none can commit anything any more. What the
            records of the lease say comes on top.
        needed_from: A generation from which on somebody goes on to read. Default: nobody.
        tell: Is told how far it is.

    Raises:
        SettingsError: There is no such kind.
        ManifestError: Something can't be read, so that nobody knows what it names.
        StorageError: The store failed.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise SettingsError(f"found the kinds {unknown}; expected some of {', '.join(KINDS)}")
    found = take_inventory(output, folder, tell)
    if found.unreadable:
        raise ManifestError(
            f"{len(found.unreadable)} files of {output.url('')} can't be read, so nothing is known "
            f"of what they name, and nothing is removed. The first: {found.unreadable[0]}"
        )
    settled = max([settled, *(record.settled for record in found.leases.values())])
    needed_from = max(found.leases, default=0) if needed_from is None else needed_from
    before = now - dt.timedelta(days=days)
    with engine(folder) as connection, SpillWriter(folder, PLAN_SCHEMA) as writer:
        found.show(connection)
        wanted = kinds or DEFAULT_KINDS
        superseded = (
            superseded_rows(connection, folder, before)
            if SUPERSEDED in wanted
            else spill(folder, SUPERSEDED_SCHEMA, [])
        )
        show(connection, superseded=superseded)
        looked = Looked(output, found, connection, before, now, settled, needed_from)
        removals = [_written(kind, KINDS[kind](looked), writer) for kind in KINDS if kind in wanted]
    objects, told = Spill(writer.path), tuple(one for one in removals if one.count)
    return CleanPlan(objects, told, superseded, before, found)


def clean(
    output: Storage,
    plan: CleanPlan,
    check: Callable[[], None],
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Remove the objects that were planned, while the output's lease is held.

    Killed at any moment it leaves an output that is sound, and less to be removed.

    Args:
        output: The output.
        plan: What was found after the lease was taken. Rows that name any of its objects are taken
            out already, see ``take_superseded_out``.
        check: Raises where the lease was lost; it is asked right before each object goes, for one
            that slept in between would remove what its successor's rows name.
        tell: Is told how far it is.

    Raises:
        LeaseLostError: Another run has taken over.
        StorageError: The store failed, or refuses to remove.
    """
    remove_all(output, _paths(plan.objects), check, tell)


def remove_all(
    output: Storage,
    paths: Iterable[str],
    check: Callable[[], None],
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Remove objects by many threads; arguments and errors as for ``clean``.

    What isn't there counts as removed.
    """
    refused: list[str] = []
    count = 0

    def is_left(path: str) -> bool:
        check()
        return not output.remove(path) and output.exists(path)

    with ThreadPoolExecutor(_REMOVERS, "clean") as removers:
        for some in _batches(paths):
            left = removers.map(is_left, some)
            refused += [path for path, there in zip(some, left, strict=True) if there]
            count += len(some)
            tell(f"{count - len(refused)} objects removed, {len(refused)} refused")
    if refused:
        raise StorageError(
            f"{len(refused)} of {count} objects could not be removed, the first {refused[0]!r} of "
            f"{output.url('')}; expected the right to remove (s3:DeleteObject on S3). Grant it to "
            "whoever cleans, and clean again"
        )


def _written(kind: str, objects: Iterator[tuple[str, int]], writer: SpillWriter) -> Removal:
    count, size = 0, 0
    first: list[str] = []
    for some in _batches(objects):
        rows = [{"kind": kind, "path": path, "bytes": number} for path, number in some]
        writer.write(pa.Table.from_pylist(rows, schema=PLAN_SCHEMA))
        count, size = count + len(some), size + sum(number for _, number in some)
        first += [path for path, _ in some[: FIRST - len(first)]]
    return Removal(kind, count, size, tuple(first))


def _paths(objects: Spill) -> Iterator[str]:
    for batch in objects.to_batches(columns=["path"]):
        yield from batch.column("path").to_pylist()


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    waiting: list[_Item] = []
    for one in items:
        waiting.append(one)
        if len(waiting) == _AT_ONCE:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
