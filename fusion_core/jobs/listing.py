"""Finds what an archive holds: its pairs, and the fused images that others made of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.fused_images import FusedImages, match_fused, without_matches
from fusion_core.archive.layout import RESULT_FOLDERS
from fusion_core.archive.pairing import Pairing, pair_by_index, pair_by_templates, read_index
from fusion_core.errors import SettingsError, StorageError
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.settings.run import ArchiveSettings
from fusion_core.storage.file_system import StorageOptions
from fusion_core.storage.source import input_options
from fusion_core.storage.store import Storage


def list_pairs(
    settings: ArchiveSettings,
    source: Storage,
    output: Storage,
    date: dt.date,
    storage_options: StorageOptions,
) -> Pairing:
    """List the archive and pair its files.

    Args:
        settings: Templates or index, and prefix.
        source: The archive.
        output: Where results go; left out of the listing if it lies inside the archive.
        date: The run's date, for the prefix.
        storage_options: Options of the store that holds the index, see ``Storage``.

    Raises:
        SettingsError: Templates or index can't be used.
        StorageError: There is no such archive, or it can't be listed.
    """
    listing = _list_source(settings, source, date)
    return _pair(settings, _without_results(listing, source, output), storage_options)


def list_fused(
    settings: ScoreArchiveSettings,
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
        date: The run's date, for the prefix.
        storage_options: Options of the stores that hold the index and the fused images.

    Raises:
        SettingsError: Templates or index can't be used.
        StorageError: There is no such archive, or a store can't be listed.
    """
    listing = _list_source(settings, source, date)
    pairing = _pair(settings, _without_results(listing, source, output), storage_options)
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


def _list_source(settings: ArchiveSettings, source: Storage, date: dt.date) -> pa.Table:
    if source.is_local and not os.path.isdir(source.root):
        raise StorageError(f"there is no folder {source.root}; expected the archive there")
    return source.list(settings.expanded_prefix(date))


def _pair(settings: ArchiveSettings, listing: pa.Table, options: StorageOptions) -> Pairing:
    if settings.index is None:
        return pair_by_templates(listing, settings.ir, settings.vi)
    try:
        body = Storage(settings.index, input_options(settings, settings.index, options)).read("")
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no index {settings.index}; expected CSV or Parquet"
        ) from error
    return pair_by_index(listing, read_index(settings.index, body))


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
