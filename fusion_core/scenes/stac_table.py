"""Scenes as a GeoParquet table of STAC items, and back.

The columns are those of the stac-geoparquet specification: an item's own fields, and its properties
beside them. It is made of rows of the manifest; a geometry is the outline that stands there and in
the item, or a box for rows of versions that wrote none. Hrefs are relative to the file.
"""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pystac
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension

from fusion_core.metrics import METRIC_NAMES
from fusion_core.scenes.stac_item import COG, PNG, PROCESSING, SHA2_256
from fusion_core.scenes.stac_places import CORNERS
from fusion_core.scenes.stac_rows import SCENE_SCHEMA, check_scenes, item_path, moments

GEOPARQUET = "application/vnd.apache.parquet"

COLLECTION_PATH = "collection.json"
"""Where a collection lies below the output."""

UP = "../../"
"""From the file to the output, both as STAC has relative hrefs."""

_ROW_GROUP = 16_384
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_EXTENSIONS = [ProjectionExtension.get_schema_uri(), FileExtension.get_schema_uri(), PROCESSING]
_CODE = re.compile(r"[A-Za-z0-9_]+:[A-Za-z0-9_]+")

_PLAIN = (
    *("pair_id", "run_id", "model_hash", "settings_hash", "overlap", "metric_version"),
    *METRIC_NAMES,
    *("acquired", "ended", "attempt", "ir_version", "vi_version"),
    *("device", "precision", "engine", "fused_format"),
)
_PROPERTIES = {"fuse-archive:model": "method", **{f"fuse-archive:{name}": name for name in _PLAIN}}
"""Columns that are a scene's own, by the name of the item's property."""

# Those that queries skip row groups by; a footer is read of every file.
_STATISTICS = ["id", "datetime", "created", "fuse-archive:pair_id", "fuse-archive:model"]
_STATISTICS += [f"bbox.{edge}" for edge in _EDGES]

_GEO = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {
        "geometry": {
            "encoding": "WKB",
            "geometry_types": ["Polygon", "MultiPolygon"],
            "covering": {"bbox": {edge: ["bbox", edge] for edge in _EDGES}},
        }
    },
}
_METADATA = {"geo": json.dumps(_GEO), "stac-geoparquet": json.dumps({"version": "1.0.0"})}


def write_items(scenes: pa.Table, collection_id: str | None) -> bytes:
    """Return a GeoParquet file of the items of scenes.

    Args:
        scenes: Rows of ``SCENE_SCHEMA``.
        collection_id: Id of the collection that they are in, if they are in one.
    """
    sink = io.BytesIO()
    table = _items(scenes, collection_id)
    with pq.ParquetWriter(
        sink, table.schema, compression="zstd", write_statistics=_STATISTICS, store_schema=False
    ) as writer:
        writer.write_table(table, row_group_size=_ROW_GROUP)
        writer.add_key_value_metadata(_METADATA)
    return sink.getvalue()


def columns_for(names: list[str]) -> list[str]:
    """Return the columns of a file that hold these columns of scenes, of plain properties."""
    places = {column: name for name, column in _PROPERTIES.items()}
    return [places[name] for name in names]


def read_scenes(items: pa.Table) -> pa.Table:
    """Return the scenes that a file was written from.

    Raises:
        ValueError: It isn't as ``write_items`` writes it.
        pa.ArrowException: Likewise.
        KeyError: Likewise.
    """
    fused = pc.struct_field(items["assets"], "fused")
    href = pc.struct_field(fused, "href")
    found = {
        **{column: items[name] for name, column in _PROPERTIES.items()},
        **{
            corner: pc.struct_field(items["bbox"], edge)
            for corner, edge in zip(CORNERS, _EDGES, strict=True)
        },
        "outline": items["geometry"],
        "started": items["created"],
        "height": pc.list_element(items["proj:shape"], 0),
        "width": pc.list_element(items["proj:shape"], 1),
        "crs": items["proj:code"],
        "software_version": pc.struct_field(items["processing:software"], "fuse-archive"),
        "fused_sha256": pc.utf8_slice_codeunits(
            pc.struct_field(fused, "file:checksum"), len(SHA2_256)
        ),
        "fused_bytes": pc.struct_field(fused, "file:size"),
        "fused_path": pc.utf8_slice_codeunits(href, len(UP)),
        "quicklook": pc.is_valid(pc.struct_field(items["assets"], ["quicklook", "href"])),
    }
    scenes = pa.table({name: found[name] for name in SCENE_SCHEMA.names})
    return check_scenes(scenes.cast(SCENE_SCHEMA))


def _items(scenes: pa.Table, collection_id: str | None) -> pa.Table:
    count = len(scenes)
    paths = scenes["fused_path"].to_pylist()
    hashes = scenes["settings_hash"].to_pylist()
    placed = pc.is_null(scenes["west"]).combine_chunks()
    edges = [scenes[name].combine_chunks() for name in CORNERS]
    codes = [crs if crs and _CODE.fullmatch(crs) else None for crs in scenes["crs"].to_pylist()]
    shapes = zip(scenes["height"].to_pylist(), scenes["width"].to_pylist(), strict=True)
    version = scenes["software_version"].combine_chunks()
    own = {} if collection_id is None else {"collection": _same(collection_id, count)}
    columns = {
        "type": _same("Feature", count),
        "stac_version": _same(pystac.get_stac_version(), count),
        "stac_extensions": pa.array([_EXTENSIONS] * count, pa.list_(pa.string())),
        "id": pa.array(map(item_id, paths, hashes), pa.string()),
        "geometry": scenes["outline"],
        "bbox": pa.StructArray.from_arrays(edges, list(_EDGES), mask=placed),
        "links": _links(paths, collection_id),
        "assets": _assets(scenes, paths),
        **own,
        "datetime": moments(scenes),
        "created": scenes["started"],
        "title": scenes["pair_id"],
        "proj:code": pa.array(codes, pa.string()),
        "proj:shape": pa.array(map(_shape, shapes), pa.list_(pa.int32())),
        "processing:software": pa.StructArray.from_arrays([version], ["fuse-archive"]),
        **{name: scenes[column] for name, column in _PROPERTIES.items()},
    }
    return pa.table(columns)


def item_id(fused_path: str, settings_hash: str) -> str:
    """Return the id of a scene's item."""
    return f"{fused_path.rpartition('/')[2].rpartition('.')[0]}-{settings_hash[:8]}"


def _links(paths: list[str], collection_id: str | None) -> pa.Array:
    kind = pa.struct([(name, pa.string()) for name in ("rel", "href", "type")])
    json_type, geojson = str(pystac.MediaType.JSON), str(pystac.MediaType.GEOJSON)
    above = {"rel": "collection", "href": f"{UP}{COLLECTION_PATH}", "type": json_type}
    common = [] if collection_id is None else [above]
    links = [
        [{"rel": "canonical", "href": f"{UP}{item_path(path)}", "type": geojson}, *common]
        for path in paths
    ]
    return pa.array(links, pa.list_(kind))


def _assets(scenes: pa.Table, paths: list[str]) -> pa.StructArray:
    count = len(paths)
    pictures = scenes["quicklook"].to_pylist()
    checksums = [SHA2_256 + sha256 for sha256 in scenes["fused_sha256"].to_pylist()]
    roles = pa.list_(pa.string())
    fused = {
        "href": pa.array([UP + path for path in paths], pa.string()),
        "type": _same(COG, count),
        "roles": pa.array([["data"]] * count, roles),
        "file:size": scenes["fused_bytes"].combine_chunks(),
        "file:checksum": pa.array(checksums, pa.string()),
    }
    stems = [path.rpartition(".")[0] for path in paths]
    quicklook = {
        "href": pa.array([f"{UP}{stem}.quicklook.png" for stem in stems], pa.string()),
        "type": _same(PNG, count),
        "roles": pa.array([["thumbnail"]] * count, roles),
    }
    none = pa.array([not one for one in pictures], pa.bool_())
    both = [
        pa.StructArray.from_arrays(list(fused.values()), list(fused)),
        pa.StructArray.from_arrays(list(quicklook.values()), list(quicklook), mask=none),
    ]
    return pa.StructArray.from_arrays(both, ["fused", "quicklook"])


def _same(text: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), count)


def _shape(sides: tuple[int | None, int | None]) -> list[Any] | None:
    return None if None in sides else list(sides)
