"""The catalogue of one day's scenes: links to their items, and all of them as one GeoParquet file.

The day is that of the items' ``datetime``, in UTC. So a scene that is fused anew stays where it is,
and one that comes late changes its own day alone.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pystac

from fusion_core.archive.layout import STAC_FOLDER, day_catalog_path
from fusion_core.archive.part_checks import check_count, check_size
from fusion_core.errors import ManifestError
from fusion_core.scenes.stac_rows import SCENE_SCHEMA, item_path
from fusion_core.scenes.stac_table import (
    GEOPARQUET,
    UP,
    columns_for,
    item_id,
    read_scenes,
    write_items,
)
from fusion_core.storage.store import Storage

KEY = ("pair_id", "method")


class CatalogError(ManifestError):
    """A file of a catalogue can't be read; it can be written anew from the manifest."""


def items_path(day: dt.date) -> str:
    """Return the path of the GeoParquet file of a day's items below the output."""
    return f"{STAC_FOLDER}/date={day.isoformat()}/items.parquet"


def read_day(output: Storage, day: dt.date) -> pa.Table:
    """Return the scenes of a day's catalogue as rows of ``SCENE_SCHEMA``; none where it isn't.

    Raises:
        CatalogError: Something else lies there.
        StorageError: The store failed.
    """
    table = _read(output, day, None)
    try:
        return SCENE_SCHEMA.empty_table() if table is None else read_scenes(table)
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise _unreadable(output, day, error) from error


def read_keys(output: Storage, day: dt.date) -> set[tuple[str, str]]:
    """Return pair id and method of a day's scenes; raises as ``read_day``."""
    table = _read(output, day, columns_for(list(KEY)))
    if table is None:
        return set()
    first, second = (table[name].to_pylist() for name in columns_for(list(KEY)))
    return set(zip(first, second, strict=True))


def write_day(
    output: Storage, day: dt.date, scenes: pa.Table, *, root: str, collection_id: str | None
) -> None:
    """Write or replace the catalogue of a day.

    Args:
        output: The output.
        day: The day.
        scenes: All its scenes, rows of ``SCENE_SCHEMA``.
        root: Path of the root.
        collection_id: Id of the root where that is a collection.

    Raises:
        StorageError: The store failed.
    """
    catalog = {
        "type": "Catalog",
        "stac_version": pystac.get_stac_version(),
        "id": f"fuse-archive-{day.isoformat()}",
        "title": day.isoformat(),
        "description": f"Fused scenes of {day.isoformat()}, in UTC.",
        "links": _links(scenes, root),
    }
    output.write(day_catalog_path(day), json.dumps(catalog, indent=1).encode())
    # Last, for the next run tells from it what was done.
    output.write(items_path(day), write_items(scenes, collection_id))


def _links(scenes: pa.Table, root: str) -> list[dict[str, Any]]:
    above = [{"rel": rel, "href": f"{UP}{root}", "type": _JSON} for rel in ("root", "parent")]
    table = {"rel": "items", "href": "./items.parquet", "type": GEOPARQUET}
    paths, hashes = (scenes[name].to_pylist() for name in ("fused_path", "settings_hash"))
    items = [
        {
            "rel": "item",
            "href": f"{UP}{item_path(path)}",
            "type": str(pystac.MediaType.GEOJSON),
            "title": item_id(path, settings_hash),
        }
        for path, settings_hash in zip(paths, hashes, strict=True)
    ]
    return [*above, table, *sorted(items, key=lambda link: link["href"])]


_JSON = str(pystac.MediaType.JSON)


def _read(output: Storage, day: dt.date, columns: Sequence[str] | None) -> pa.Table | None:
    path = items_path(day)
    try:
        size = int(output.info(path)["size"])
        check_size(size)
        body = io.BytesIO(output.read(path, size))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _unreadable(output, day, error) from error
    try:
        with pq.ParquetFile(body, pre_buffer=False) as file:
            check_count(file.metadata.num_rows)
            table = file.read(None if columns is None else list(columns), use_threads=False)
        if columns is not None:
            table = table.select(list(columns))
        table.validate(full=True)
    except (pa.ArrowException, ValueError, KeyError, OSError) as error:
        raise _unreadable(output, day, error) from error
    return table


def _unreadable(output: Storage, day: dt.date, error: Exception) -> CatalogError:
    return CatalogError(
        f"{output.url(items_path(day))} is no table of a catalogue: {error}. Expected GeoParquet "
        "as runs write it"
    )
