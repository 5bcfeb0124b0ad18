"""Keeps the catalogue of an output's scenes: a night writes the days that it touched, and the root.

What a run published is taken in from the mark in the root on. Days are written first and the root
last, so whatever ends a run leaves a catalogue that is whole, and the next run takes in the rest.
"""

from __future__ import annotations

import bisect
import datetime as dt
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from fusion_core.archive.published_rows import (
    VersionBeforeError,
    published_since,
    read_row_groups,
)
from fusion_core.archive.spill import Spill
from fusion_core.scenes.stac_day import KEY, CatalogError, read_day, read_keys, write_day
from fusion_core.scenes.stac_root import CatalogKind, Root
from fusion_core.scenes.stac_rows import (
    CATALOG_COLUMNS,
    SCENE_SCHEMA,
    by_day,
    merged,
    newest_scenes,
)
from fusion_core.scenes.stac_whole import begun_catalog, finish_catalog, write_days
from fusion_core.storage.scratch import scratch_folder
from fusion_core.storage.store import Storage

log = logging.getLogger(__name__)

_READERS = 16

_Key = tuple[str, str]


def write_scene_catalog(output: Storage, kind: CatalogKind) -> str | None:
    """Bring the catalogue of an output up to date: the newest fused scene of every pair and method.

    What was published since the last time is taken in. Where there is no catalogue of this kind
    yet, or one that can't be gone on with, all of it is written, from the manifest.

    Args:
        output: The run's output, whose lease the run holds.
        kind: Kind of the root, ``catalog`` or ``collection``.

    Returns:
        URL of the root; None where there is no scene with an item.

    Raises:
        ManifestError: The manifest or a record of publication can't be read.
        StorageError: The store failed.
    """
    with scratch_folder() as folder:
        root = begun_catalog(output, kind)
        if root is not None:
            try:
                return finish_catalog(output, _updated(output, root, folder))
            except (CatalogError, VersionBeforeError) as error:
                log.warning("The catalogue is written anew: %s", error)
        root = write_days(output, kind, folder)
        finish_catalog(output, root)
        # Where it was begun by a run before, more was published since.
        return finish_catalog(output, _updated(output, root, folder))


def _updated(output: Storage, root: Root, folder: Path) -> Root:
    groups, mark = published_since(output, root.mark)
    scenes = newest_scenes(read_row_groups(output, groups, CATALOG_COLUMNS), folder)
    root = _without_earlier(output, root, scenes)
    for day, new in by_day(scenes):
        before = [read_day(output, day)] if day in root.days else []
        root = _write(output, root, day, merged([*before, new]))
    return replace(root, mark=mark)


def _write(output: Storage, root: Root, day: dt.date, scenes: pa.Table) -> Root:
    write_day(output, day, scenes, root=root.path, collection_id=root.collection_id)
    return root.with_day(day, scenes)


def _without_earlier(output: Storage, root: Root, scenes: Spill) -> Root:
    """Take scenes out of the days that they don't belong to any more.

    Only few can have been elsewhere: those that were fused before, whose files changed, or that
    bear no date. They go first, so that none is ever found twice.
    """
    moved, unsure = _not_where_they_belong(output, root, scenes)
    if not moved and not unsure:
        return root
    ids = sorted({pair_id for pair_id, _ in unsure})
    wanted = {
        day: moved | (unsure if _may_hold(root.unnumbered.get(day), ids) else set())
        for day in sorted(root.days)
    }
    days, left = [day for day in wanted if wanted[day]], root
    with ThreadPoolExecutor(_READERS, "catalogue") as readers:
        for day, keys in zip(days, readers.map(partial(read_keys, output), days), strict=True):
            if not keys:  # a run before was ended here
                left = left.with_day(day, SCENE_SCHEMA.empty_table())
            elif gone := keys & wanted[day]:
                before = read_day(output, day)
                stays = [key not in gone for key in _keys(before)]
                left = _write(output, left, day, before.filter(pa.array(stays, pa.bool_())))
    if left.days != root.days:  # while they are in no other day yet, by which this is known
        finish_catalog(output, left)
    return left


def _not_where_they_belong(
    output: Storage, root: Root, scenes: Spill
) -> tuple[set[_Key], set[_Key]]:
    """Return the keys of scenes that may be in another day than theirs.

    Returns:
        Those that were attempted before, and those that versions before may have, whose attempts
        have no number.
    """
    moved: set[_Key] = set()
    unsure: set[_Key] = set()
    there: set[_Key] = set()
    last: dt.date | None = None
    for batch in scenes.to_batches(columns=[*KEY, "day", "first"]):
        for *names, day, first in zip(
            *(column.to_pylist() for column in batch.columns), strict=True
        ):
            if first and not root.unnumbered:
                continue
            if day != last:
                there, last = read_keys(output, day) if day in root.days else set(), day
            key = names[0], names[1]
            if key not in there:
                (unsure if first else moved).add(key)
    return moved, unsure


def _may_hold(ends: tuple[str, str] | None, ids: list[str]) -> bool:
    """Tell whether one of sorted pair ids is between these."""
    if ends is None:
        return False
    place = bisect.bisect_left(ids, ends[0])
    return place < len(ids) and ids[place] <= ends[1]


def _keys(scenes: pa.Table) -> Iterable[_Key]:
    return zip(*(scenes[name].to_pylist() for name in KEY), strict=True)
