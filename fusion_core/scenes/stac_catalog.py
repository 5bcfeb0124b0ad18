"""The STAC Catalog or Collection at an output's root, which links to every item.

An output may hold 100,000 scenes, so it is made of plain rows, not of pystac's objects.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.dataset as ds
import pystac

from fusion_core.archive.layout import MANIFEST_FOLDER
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.stored_images import IMAGE_COLUMNS, image_path
from fusion_core.scenes.stac_item import PROCESSING, utc_text
from fusion_core.storage.store import Storage

CatalogKind = Literal["catalog", "collection"]

CATALOG_PATHS: dict[CatalogKind, str] = {
    "catalog": "catalog.json",
    "collection": "collection.json",
}
"""Where each kind lies below the output."""

COLLECTION_ID = "fuse-archive"
"""Id of the catalogue or collection at an output's root."""

_CORNERS = ("west", "south", "east", "north")
_WORLD = [-180.0, -90.0, 180.0, 90.0]


@dataclass(frozen=True)
class CatalogRow:
    """The entry of an item in a catalogue.

    Attributes:
        item_id: The item's id.
        href: Its path below the output.
        bbox: West, south, east, north in degrees, west > east over the 180th meridian; None
            where its place is unknown.
        moment: Its ``datetime``, with a time zone.
    """

    item_id: str
    href: str
    bbox: Sequence[float] | None
    moment: dt.datetime


def make_catalog(
    rows: Iterable[CatalogRow],
    kind: CatalogKind,
    *,
    catalog_id: str,
    description: str,
    title: str | None = None,
    software_versions: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the root of a STAC output, ready for ``json.dumps``.

    Args:
        rows: Entries of the items in any order; of several with one path the last counts.
        kind: ``catalog``, or ``collection``, which also tells where and when its items are.
        catalog_id: The root's id; the items of a collection name it.
        description: A sentence that describes it; not empty.
        title: A short name.
        software_versions: Versions of fuse-archive that made the items; a collection tells them.

    Returns:
        A valid object also where there are no rows: a collection then covers the world, and time
        without ends.
    """
    unique = {row.href.removeprefix("./"): row for row in rows}
    links = [{"rel": "root", "href": f"./{CATALOG_PATHS[kind]}", "type": "application/json"}]
    links += [
        {
            "rel": "item",
            "href": f"./{path}",
            "type": "application/geo+json",
            "title": unique[path].item_id,
        }
        for path in sorted(unique)
    ]
    root: dict[str, Any] = {
        "type": kind.capitalize(),
        "stac_version": pystac.get_stac_version(),
        "id": catalog_id,
        **({"title": title} if title else {}),
        "description": description,
    }
    if kind == "collection":
        root |= _collection_fields(list(unique.values()), sorted(set(software_versions)))
    return {**root, "links": links}


def write_catalog(
    output: Storage,
    rows: Iterable[CatalogRow],
    kind: CatalogKind,
    *,
    catalog_id: str,
    description: str,
    title: str | None = None,
    software_versions: Iterable[str] = (),
) -> str:
    """Write or replace the root of a STAC output; arguments as for ``make_catalog``.

    Returns:
        Its path below the output.

    Raises:
        StorageError: The store failed.
    """
    root = make_catalog(
        rows,
        kind,
        catalog_id=catalog_id,
        description=description,
        title=title,
        software_versions=software_versions,
    )
    path = CATALOG_PATHS[kind]
    output.write(path, json.dumps(root, indent=1, allow_nan=False).encode())
    return path


def _collection_fields(rows: Sequence[CatalogRow], versions: Sequence[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "license": "other",  # the images' own, which are not ours to know
        "extent": {
            "spatial": {"bbox": [_extent([row.bbox for row in rows if row.bbox is not None])]},
            "temporal": {"interval": [_interval([row.moment for row in rows])]},
        },
    }
    if versions:
        software = [{"fuse-archive": version} for version in versions]
        fields["stac_extensions"] = [PROCESSING]
        fields["summaries"] = {"processing:software": software}
    return fields


def _extent(boxes: Sequence[Sequence[float]]) -> list[float]:
    if not boxes:
        return _WORLD
    wests, souths, easts, norths = zip(*boxes, strict=True)
    west, east = min(wests), max(easts)
    crossing = [box[0] > box[2] for box in boxes]
    # What lies on both sides of the meridian and what doesn't have no common box but the world;
    # neither have boxes over the meridian that meet on the other side of the Earth.
    if any(crossing) and (not all(crossing) or west <= east):
        west, east = -180.0, 180.0
    return [float(west), float(min(souths)), float(east), float(max(norths))]


def _interval(moments: Sequence[dt.datetime]) -> list[str | None]:
    if not moments:
        return [None, None]
    return [utc_text(min(moments)), utc_text(max(moments))]


def write_scene_catalog(output: Storage, kind: CatalogKind) -> str | None:
    """Write the catalogue of an output: the newest fused scene of every pair and method.

    Where items lie is told from what the rows say of their making, and not from their URLs.

    Two runs that end at the same moment write the same list but for each other's last scenes; the
    next run makes it whole.

    Args:
        output: The run's output.
        kind: Kind of the root, ``catalog`` or ``collection``.

    Returns:
        URL of what was written; None where the manifest holds no scene with an item.
    """
    rows = read_manifest(
        output.url(MANIFEST_FOLDER),
        columns=[*IMAGE_COLUMNS, *_CORNERS, "acquired", "started", "software_version"],
        filters=(ds.field("status") == "ok") & ds.field("item_url").is_valid(),
        storage_options=output.given_options,
    )
    if not len(rows):
        return None
    path = write_catalog(
        output,
        _catalog_rows(rows),
        kind,
        catalog_id=COLLECTION_ID,
        description="Scenes fused from an infrared and a visible image each, with their scores.",
        title="Fused scenes",
        software_versions=sorted(set(rows["software_version"].to_pylist())),
    )
    return output.url(path)


def _catalog_rows(rows: pa.Table) -> list[CatalogRow]:
    found = []
    for row in rows.to_pylist():
        path = image_path(row)
        if path is None:
            continue
        stem = path.rpartition(".")[0]
        found.append(
            CatalogRow(
                stem.rpartition("/")[2],
                f"./{stem}.json",
                _box([row[name] for name in _CORNERS]),
                row["acquired"] or row["started"],
            )
        )
    return found


def _box(corners: list[float | None]) -> list[float] | None:
    """Return a row's footprint; None where it has none, or none on Earth."""
    known = [corner for corner in corners if corner is not None and -180 <= corner <= 180]
    return known if len(known) == len(corners) else None
