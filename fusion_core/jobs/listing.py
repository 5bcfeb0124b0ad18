"""Finds what an archive holds: its pairs, and the fused images that others made of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.found_by_index import find_by_index
from fusion_core.archive.found_pairs import FoundPairs, find_by_templates
from fusion_core.archive.fused_images import FusedImages, match_fused, without_matches
from fusion_core.archive.index_file import index_batches, read_index
from fusion_core.archive.index_paths import source_roots
from fusion_core.archive.layout import RESULT_FOLDERS
from fusion_core.archive.pairing import Pairing, pair_by_index, pair_by_templates
from fusion_core.errors import SettingsError
from fusion_core.jobs.fused_settings import FusedSettings
from fusion_core.jobs.pairing_checks import check_pairs
from fusion_core.settings.run import ArchiveSettings
from fusion_core.storage.file_system import StorageOptions
from fusion_core.storage.inventory import inventory_batches
from fusion_core.storage.listing import LISTING_SCHEMA
from fusion_core.storage.reach import require_folder
from fusion_core.storage.source import input_options
from fusion_core.storage.store import Storage

Progress: TypeAlias = Callable[[int], None]
"""Is told how many objects were listed."""


def _nobody(count: int) -> None:
    """Take note of nothing."""


def list_pairs(
    settings: ArchiveSettings,
    source: Storage,
    output: Storage,
    date: dt.date,
    storage_options: StorageOptions,
    *,
    progress: Progress = _nobody,
) -> Pairing:
    """List the archive and pair its files.

    Args:
        settings: Templates or index, and prefix.
        source: The archive.
        output: Where results go; left out of the listing if it lies inside the archive.
        date: The run's date, the last one that the prefix is filled with.
        storage_options: Options of the store that holds the index, see ``Storage``.
        progress: Called with the number of objects that were listed, again and again.

    Raises:
        SettingsError: Templates or index can't be used.
        ExpectationError: There are files and not one pair, see ``check_pairs``.
        StorageError: There is no such archive, or it can't be listed.
    """
    listing = _whole(_batches(settings, source, output, date, storage_options, progress))
    return _pair(settings, listing, source, date=date, options=storage_options)


def find_pairs(
    settings: ArchiveSettings,
    source: Storage,
    output: Storage,
    date: dt.date,
    storage_options: StorageOptions,
    *,
    folder: Path,
    progress: Progress = _nobody,
) -> FoundPairs:
    """List the archive and pair its files, as ``list_pairs`` does, in bounded memory.

    Args:
        settings: Templates or index, and prefix.
        source: The archive.
        output: Where results go; left out of the listing if it lies inside the archive.
        date: The run's date, the last one that the prefix is filled with.
        storage_options: Options of the store that holds the index, see ``Storage``.
        folder: A scratch folder, where the pairs will lie.
        progress: Called with the number of objects that were listed, again and again.

    Raises:
        SettingsError: Templates or index can't be used.
        ExpectationError: There are files and not one pair, see ``check_pairs``.
        StorageError: There is no such archive, or it can't be listed.
    """
    listing = _batches(settings, source, output, date, storage_options, progress)
    return pair_batches(
        settings, listing, source, date=date, storage_options=storage_options, folder=folder
    )


def pair_batches(
    settings: ArchiveSettings,
    listing: Iterable[pa.Table],
    source: Storage,
    *,
    date: dt.date,
    storage_options: StorageOptions,
    folder: Path,
) -> FoundPairs:
    """Pair the files of a listing, whose tables of ``LISTING_SCHEMA`` come one after the other.

    The other arguments and the errors are those of ``find_pairs``.
    """
    if settings.index is None:
        found = find_by_templates(listing, settings.ir, settings.vi, folder)
        check_pairs(settings, found)
        return found
    copy = folder / "index"
    try:
        _index_store(settings, settings.index, storage_options).download("", copy)
    except FileNotFoundError as error:
        raise _no_index(settings.index) from error
    found = find_by_index(
        listing,
        index_batches(settings.index, copy),
        folder,
        roots=source_roots(source, settings.source),
        prefixes=settings.expanded_prefixes(date),
    )
    check_pairs(settings, found)
    return found


def list_fused(
    settings: FusedSettings,
    source: Storage,
    output: Storage,
    date: dt.date,
    storage_options: StorageOptions,
) -> tuple[Pairing, FusedImages]:
    """List the archive's pairs and the fused images of every method.

    Args:
        settings: As for ``list_pairs``, and where the fused images are.
        source: The archive.
        output: Where results go; left out of the listing if it lies inside the archive.
        date: The run's date, the last one that the prefix is filled with.
        storage_options: Options of the stores that hold the index and the fused images.

    Raises:
        SettingsError: Templates or index can't be used.
        ExpectationError: There are files and not one pair, see ``check_pairs``.
        StorageError: There is no such archive, or a store can't be listed.
    """
    listing = _whole(_list_source(settings, source, date, storage_options))
    own = _without_results(listing, source, output)
    pairing = _pair(settings, own, source, date=date, options=storage_options)
    locations = settings.locations()
    listings = {None: listing} | {
        url: Storage(url, storage_options).list()
        for url in {location.url for location in locations.values() if location.url is not None}
    }
    found = {
        name: (listings[location.url], location.template) for name, location in locations.items()
    }
    images = match_fused(pairing.pairs, found, settings.pair_fields())
    below = [location.template for location in locations.values() if location.url is None]
    unmatched = without_matches(pairing.unmatched, below)
    return dataclasses.replace(pairing, unmatched=unmatched), images


def _batches(
    settings: ArchiveSettings,
    source: Storage,
    output: Storage,
    date: dt.date,
    options: StorageOptions,
    progress: Progress = _nobody,
) -> Iterator[pa.Table]:
    """Yield the listing of the source, without what earlier runs wrote into it."""
    count = 0
    for batch in _list_source(settings, source, date, options):
        count += len(batch)
        progress(count)
        yield _without_results(batch, source, output)


def _list_source(
    settings: ArchiveSettings, source: Storage, date: dt.date, options: StorageOptions
) -> Iterator[pa.Table]:
    require_folder(source)
    prefixes = settings.expanded_prefixes(date)
    if settings.inventory is not None:
        own = input_options(settings, settings.inventory, options)
        yield from inventory_batches(settings.inventory, source, own, prefixes)
        return
    for prefix in prefixes:
        yield from source.list_batches(prefix)


def _whole(batches: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables([LISTING_SCHEMA.empty_table(), *batches]).sort_by("path")


def _index_store(settings: ArchiveSettings, index: str, options: StorageOptions) -> Storage:
    return Storage(index, input_options(settings, index, options))


def _no_index(index: str) -> SettingsError:
    return SettingsError(f"there is no index {index}; expected CSV or Parquet")


def _pair(
    settings: ArchiveSettings,
    listing: pa.Table,
    source: Storage,
    *,
    date: dt.date,
    options: StorageOptions,
) -> Pairing:
    if settings.index is None:
        pairing = pair_by_templates(listing, settings.ir, settings.vi)
        check_pairs(settings, pairing)
        return pairing
    try:
        body = _index_store(settings, settings.index, options).read("")
    except FileNotFoundError as error:
        raise _no_index(settings.index) from error
    index = read_index(settings.index, body)
    roots = source_roots(source, settings.source)
    pairing = pair_by_index(listing, index, roots, settings.expanded_prefixes(date))
    check_pairs(settings, pairing)
    return pairing


def _without_results(listing: pa.Table, source: Storage, output: Storage) -> pa.Table:
    """Leave out what earlier runs wrote, where the output lies inside the source."""
    # By the start of the URLs below them, which ends in one slash also at a root.
    archive, results = source.url("x")[:-1], output.url("x")[:-1]
    if results == archive:
        folders = [f"{name}/" for name in RESULT_FOLDERS]
    elif results.startswith(archive):
        folders = [results.removeprefix(archive)]
    else:
        folders = []
    for folder in folders:
        listing = listing.filter(pc.invert(pc.starts_with(listing["path"], folder)))
    return listing
