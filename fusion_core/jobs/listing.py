"""Finds what an archive holds: its pairs, and the fused images that others made of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.fused_images import FusedImages, match_fused, without_matches
from fusion_core.archive.index_file import read_index
from fusion_core.archive.index_paths import source_roots
from fusion_core.archive.layout import RESULT_FOLDERS
from fusion_core.archive.pairing import Pairing, pair_by_index, pair_by_templates
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
        date: The run's date, the last one that the prefix is filled with.
        storage_options: Options of the store that holds the index, see ``Storage``.

    Raises:
        SettingsError: Templates or index can't be used, or find files and no whole pair.
        StorageError: There is no such archive, or it can't be listed.
    """
    listing = _list_source(settings, source, date)
    listing = _without_results(listing, source, output)
    return _pair(settings, listing, source, date=date, options=storage_options)


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
        date: The run's date, the last one that the prefix is filled with.
        storage_options: Options of the stores that hold the index and the fused images.

    Raises:
        SettingsError: Templates or index can't be used, or find files and no whole pair.
        StorageError: There is no such archive, or a store can't be listed.
    """
    listing = _list_source(settings, source, date)
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


def _list_source(settings: ArchiveSettings, source: Storage, date: dt.date) -> pa.Table:
    if source.is_local and not os.path.isdir(source.root):
        raise StorageError(f"there is no folder {source.root}; expected the archive there")
    return pa.concat_tables(map(source.list, settings.expanded_prefixes(date)))


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
        _check_templates(settings, pairing)
        return pairing
    try:
        body = Storage(settings.index, input_options(settings, settings.index, options)).read("")
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no index {settings.index}; expected CSV or Parquet"
        ) from error
    index = read_index(settings.index, body)
    roots = source_roots(source, settings.source)
    pairing = pair_by_index(listing, index, roots, settings.expanded_prefixes(date))
    _check_index(settings, pairing)
    return pairing


def _check_templates(settings: ArchiveSettings, pairing: Pairing) -> None:
    """Raise SettingsError where templates match files and make no pair of them.

    An archive that holds nothing yet, or nothing that is meant, is in order.
    """
    alone = [*pairing.unpaired, *pairing.ambiguous]
    if alone and not len(pairing.pairs):
        raise SettingsError(
            f"{len(alone)} files of {settings.source} match the templates {settings.ir!r} and "
            f"{settings.vi!r} and make no pair: {_counted(pairing)}; expected an infrared and a "
            f"visible file with the same fields. {_other_files(pairing)}Check both templates, and "
            "whether the other side has come in"
        )


def _check_index(settings: ArchiveSettings, pairing: Pairing) -> None:
    """Raise SettingsError where an index has rows of which none is a pair."""
    if pairing.index_rows and not len(pairing.pairs):
        below = f"{settings.source}, of which paths that start with {settings.prefix!r} are looked "
        below = f"{below}at" if settings.prefix else settings.source
        raise SettingsError(
            f"the index {settings.index} has {pairing.index_rows} rows and none is a whole pair of "
            f"files in {below}: {_counted(pairing)}; expected rows whose files are both there. "
            f"{_other_files(pairing)}Check index and source"
        )


def _counted(pairing: Pairing) -> str:
    """Return how many files make no pair, why, and the first of them."""
    kinds = (
        (pairing.unpaired, "are missing or have no counterpart"),
        (pairing.ambiguous, "claim a pair that another file claims too"),
    )
    return ", ".join(
        f"{len(paths)} {why}, such as {', '.join(map(repr, paths[:3]))}"
        for paths, why in kinds
        if paths
    )


def _other_files(pairing: Pairing) -> str:
    if not pairing.unmatched:
        return ""
    return f"There are {len(pairing.unmatched)} others, such as {pairing.unmatched[0]!r}. "


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
