"""Writes a whole catalogue from the manifest, in bounded memory, and goes on where it was ended.

It shows the manifest of one moment. A run that goes on with what another began reads that moment's
rows again, and not what came since, which is taken in afterwards.
"""

from __future__ import annotations

import datetime as dt
import re
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from fusion_core.archive.layout import STAC_FOLDER
from fusion_core.archive.published_rows import (
    Mark,
    RowGroups,
    VersionBeforeError,
    last_mark,
    published_since,
    read_before,
)
from fusion_core.scenes.stac_day import write_day
from fusion_core.scenes.stac_root import CatalogKind, Root, read_root, write_root
from fusion_core.scenes.stac_rows import CATALOG_COLUMNS, SCENE_SCHEMA, by_day, newest_scenes
from fusion_core.storage.store import Storage

PROGRESS_PATH = f"{STAC_FOLDER}/progress.json"

_DAYS = 50
"""Days after which it is noted how far the catalogue is."""

_LARGEST = 4096  # bytes
_FOLDER = re.compile(rf"{STAC_FOLDER}/date=([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})/[a-z.]+")


class _Progress(BaseModel):
    """How far the writing of a whole catalogue is.

    Attributes:
        kind: Kind of its root.
        mark: The moment whose manifest it shows.
        until: The days until this one are written.
        done: Whether it is finished, with its root.
        empty: Whether there was no scene, and so no root.
    """

    model_config = ConfigDict(frozen=True)

    kind: CatalogKind
    mark: Mark
    until: dt.date | None = None
    done: bool = False
    empty: bool = False


def begun_catalog(output: Storage, kind: CatalogKind) -> Root | None:
    """Return the root that a run goes on from; None where all has to be written.

    Raises:
        StorageError: The store failed.
    """
    progress = _read_progress(output)
    if progress is None or progress.kind != kind or not progress.done:
        return None
    return Root(kind=kind, mark=progress.mark) if progress.empty else read_root(output, kind)


def finish_catalog(output: Storage, root: Root) -> str | None:
    """Write the root, the last of all, and return its URL; None where there is no scene.

    Raises:
        StorageError: The store failed.
    """
    if not root.days:
        progress = _Progress(kind=root.kind, mark=root.mark, done=True, empty=True)
        if progress != _read_progress(output):
            _write_progress(output, progress)
        return None
    url = write_root(output, root)
    before = _read_progress(output)
    if before is None or before.empty or not before.done:
        _write_progress(output, _Progress(kind=root.kind, mark=root.mark, done=True))
    return url


def write_days(output: Storage, kind: CatalogKind, folder: Path) -> Root:
    """Write the catalogues of all days; return their root, which is still to be written.

    Args:
        output: The output.
        kind: Kind of the root.
        folder: A scratch folder.

    Raises:
        ManifestError: The manifest can't be read.
        StorageError: The store failed.
    """
    progress, since = _moment(output, kind)
    _write_progress(output, progress)  # from now on no root of before is gone on with
    scenes = newest_scenes(read_before(output, since, CATALOG_COLUMNS), folder)
    root = Root(kind=kind, mark=progress.mark)
    for day, found in by_day(scenes):
        root = root.with_day(day, found)
        if progress.until is None or day > progress.until:
            write_day(output, day, found, root=root.path, collection_id=root.collection_id)
            if len(root.days) % _DAYS == 0:
                _write_progress(output, progress.model_copy(update={"until": day}))
    for day in _listed_days(output):  # tables are read by folder, whatever the root names
        if day not in root.days:
            none = SCENE_SCHEMA.empty_table()
            write_day(output, day, none, root=root.path, collection_id=root.collection_id)
    return root


def _moment(output: Storage, kind: CatalogKind) -> tuple[_Progress, RowGroups]:
    """Return the moment whose manifest is shown, and what was published since."""
    begun = _read_progress(output)
    if begun is not None and begun.kind == kind and not begun.done:
        with suppress(VersionBeforeError):
            return begun, published_since(output, begun.mark)[0]
    return _Progress(kind=kind, mark=last_mark(output)), {}


def _listed_days(output: Storage) -> list[dt.date]:
    days = set()
    for path in output.list(f"{STAC_FOLDER}/")["path"].to_pylist():
        if found := _FOLDER.fullmatch(path):
            with suppress(ValueError):  # the 31st of February
                days.add(dt.date.fromisoformat(found[1]))
    return sorted(days)


def _read_progress(output: Storage) -> _Progress | None:
    try:
        return _Progress.model_validate_json(output.read(PROGRESS_PATH, most=_LARGEST))
    except (FileNotFoundError, ValidationError):
        return None


def _write_progress(output: Storage, progress: _Progress) -> None:
    output.write(PROGRESS_PATH, progress.model_dump_json().encode())
