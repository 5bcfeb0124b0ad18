"""The STAC catalogue or collection at an output's root, made anew from the manifest."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.dataset as ds

from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.schema import MANIFEST_FOLDER
from fusion_core.jobs.scene_row import COLLECTION_ID
from fusion_core.scenes.stac_catalog import CatalogKind, CatalogRow, write_catalog
from fusion_core.storage.store import Storage

_CORNERS = ("west", "south", "east", "north")


def write_scene_catalog(output: Storage, kind: CatalogKind) -> str | None:
    """List the newest fused scene of every pair and method.

    Two runs that end at the same moment write the same list but for each other's last scenes; the
    next run makes it whole.

    Args:
        output: The run's output.
        kind: Catalogue or collection.

    Returns:
        URL of what was written; None where the manifest holds no scene with an item.
    """
    rows = read_manifest(
        output.url(MANIFEST_FOLDER),
        columns=["item_url", *_CORNERS, "acquired", "started", "software_version"],
        filters=(ds.field("status") == "ok") & ds.field("item_url").is_valid(),
        storage_options=output.options,
    )
    if not len(rows):
        return None
    path = write_catalog(
        output,
        _catalog_rows(rows, output),
        kind,
        COLLECTION_ID,
        "Scenes fused from an infrared and a visible image each, with their scores.",
        title="Fused scenes",
        software_versions=sorted(set(rows["software_version"].to_pylist())),
    )
    return output.url(path)


def _catalog_rows(rows: pa.Table, output: Storage) -> list[CatalogRow]:
    start = len(output.url("x")) - 1
    found = []
    for row in rows.to_pylist():
        corners = [row[name] for name in _CORNERS]
        found.append(
            CatalogRow(
                row["item_url"].rpartition("/")[2].removesuffix(".json"),
                f"./{row['item_url'][start:]}",
                None if None in corners else corners,
                row["acquired"] or row["started"],
            )
        )
    return found
