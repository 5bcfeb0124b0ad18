"""Finds an archive's pairs: lists the source and pairs what it holds, as the settings say."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.errors import SettingsError, StorageError
from fusion_core.keys import FUSED_FOLDER
from fusion_core.manifest import MANIFEST_FOLDER
from fusion_core.pairing import Pairing, pair_by_index, pair_by_templates, read_index
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import Storage

RUNS_FOLDER = "runs"
"""Below the output: a folder per run with its summary and contact sheet."""


def list_pairs(
    settings: FuseArchiveSettings,
    source: Storage,
    output: Storage,
    date: dt.date,
    storage_options: Mapping[str, Any],
) -> Pairing:
    """List the archive and pair its files.

    Args:
        settings: Templates or index, and prefix.
        source: The archive.
        output: Where results go; left out of the listing if it lies inside the archive.
        date: The run's date, for the prefix.
        storage_options: fsspec options of the store that holds the index.

    Raises:
        SettingsError: Templates or index can't be used.
        StorageError: There is no such archive, or it can't be listed.
    """
    if source.is_local and not os.path.isdir(source.root):
        raise StorageError(f"there is no folder {source.root}; expected the archive there")
    listing = source.list(settings.expanded_prefix(date))
    listing = _without_results(listing, source, output)
    if settings.index is None:
        return pair_by_templates(listing, settings.ir, settings.vi)
    try:
        body = Storage(settings.index, storage_options).read("")
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
        folders = [f"{name}/" for name in (FUSED_FOLDER, MANIFEST_FOLDER, RUNS_FOLDER)]
    elif results.startswith(archive):
        folders = [results.removeprefix(archive)]
    else:
        folders = []
    for folder in folders:
        listing = listing.filter(pc.invert(pc.starts_with(listing["path"], folder)))
    return listing
