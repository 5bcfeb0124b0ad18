"""The STAC 1.1 Item of a fused scene: its place and time, how it was made, and its scores.

Hrefs are relative to the item and are paths as the store names them, without percent-encoding:
that is how GDAL and pystac open them, and an output may then be copied elsewhere as a whole.
"""

from __future__ import annotations

import datetime as dt
import math
import posixpath
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import pystac
import shapely
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.utils import datetime_to_str
from rasterio.enums import WktVersion

from fusion_core.archive.layout import day_catalog_path
from fusion_core.scenes.acquisition import Acquisition
from fusion_core.scenes.footprint import Affine, footprint, read_crs

COG = str(pystac.MediaType.COG)
PNG = str(pystac.MediaType.PNG)
PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"
"""Schemas of the extensions for which pystac has no class, or one of an older version."""

SHA2_256 = "1220"  # as multihash says it: the function's code, then the length, 32 bytes
_DATA_TYPES = {
    **{f"{kind}int{bits}": f"{kind}int{bits}" for kind in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{"complex_int16": "cint16", "complex64": "cfloat32", "complex128": "cfloat64"},
}


@dataclass(frozen=True)
class Grid:
    """The grid of a scene's pixels; ``transform`` is rasterio's a to f, from corners of pixels."""

    crs_wkt: str | None
    transform: Affine
    width: int
    height: int
    pixel_is_point: bool = False


@dataclass(frozen=True)
class SourceImage:
    """An image that was fused, by its absolute URL, and when it was taken, if that is known."""

    url: str
    acquired: Acquisition | None


@dataclass(frozen=True)
class WrittenFile:
    """A file below the output, its size in bytes; a quicklook's shape is (height, width)."""

    path: str
    _: KW_ONLY
    sha256: str
    size: int
    media_type: str
    shape: tuple[int, int] | None = None


@dataclass(frozen=True)
class Bands:
    """The values of the fused scene; value = pixel * scale + offset, for each band."""

    descriptions: tuple[str | None, ...]
    data_type: str
    nodata: float | None = None
    scales: tuple[float, ...] | None = None
    offsets: tuple[float, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class SceneFacts:
    """The facts about a fused scene that its Item states.

    Attributes:
        item_id: The item's id, unique in the output.
        pair_id: The pair's id.
        item_path: The item's path below the output.
        grid: The fused scene's grid.
        ir: The infrared image.
        vi: The visible image.
        fused: The fused GeoTIFF.
        quicklook: A small picture of it, if there is one.
        bands: The fused scene's bands.
        model: Name of the method of fusing.
        model_hash: The sha256 of its weights; None for methods without any.
        settings_hash: The digest of the settings that decide pixels.
        run_id: Id of the run.
        software_version: Version of fuse-archive.
        overlap: Fraction, 0 to 1, of the visible image's pixels that were fused.
        metrics: The metrics by name; None where one is undefined.
        metric_version: Name of their definitions.
        scaling: Name of how pixel values became the [0, 1] that is fused.
        scaling_low: The value that became 0; None where the scaling has none.
        scaling_high: The value that became 1.
        created: When the scene was fused, with a time zone.
        catalog_href: Href of the root catalogue or collection, relative to the item.
        collection_id: Id of that collection; None for a catalogue.
        area: Where the fused scene holds data, in its pixels; None for all of it.
    """

    item_id: str
    pair_id: str
    item_path: str
    grid: Grid
    ir: SourceImage
    vi: SourceImage
    fused: WrittenFile
    quicklook: WrittenFile | None
    bands: Bands
    model: str
    model_hash: str | None
    settings_hash: str
    run_id: str
    software_version: str
    overlap: float
    metrics: Mapping[str, float | None]
    metric_version: str
    scaling: str
    scaling_low: float | None
    scaling_high: float | None
    created: dt.datetime
    catalog_href: str | None = None
    collection_id: str | None = None
    area: shapely.MultiPolygon | None = None


def make_item(facts: SceneFacts) -> dict[str, Any]:
    """Return the Item, ready for ``json.dumps``; without a known place its geometry is null.

    Its geometry is the outline of what holds data in the fused scene.

    Its ``datetime`` is when the visible image was taken, else the infrared one, else when they
    were fused; the property ``fuse-archive:datetime_from`` says which.
    """
    grid = facts.grid
    moment, origin = _moment(facts)
    geometry, bbox = footprint(grid.crs_wkt, grid.transform, grid.width, grid.height, facts.area)
    properties = _properties(facts, origin)
    item = pystac.Item(facts.item_id, geometry, bbox, moment.astimezone(dt.UTC), properties)
    item.stac_extensions = [PROCESSING, RASTER]
    _add_projection(item, grid)
    fields = _raster(facts.bands, grid)
    _add_asset(item, facts, facts.fused, key="fused", role="data", fields=fields)
    if facts.quicklook is not None:
        # A picture for people lies on no map, though the fields of the item would hold for it.
        shape = {"proj:shape": list(facts.quicklook.shape)} if facts.quicklook.shape else {}
        picture = {"proj:code": None, **shape}
        _add_asset(item, facts, facts.quicklook, key="quicklook", role="thumbnail", fields=picture)
    _add_links(item, facts)
    return item.to_dict(include_self_link=False, transform_hrefs=False)


def utc_text(moment: dt.datetime) -> str:
    """Return a moment with a time zone as STAC has it: RFC 3339, in UTC."""
    return datetime_to_str(moment.astimezone(dt.UTC))


def relative_href(path: str, start: str) -> str:
    """Return the href of ``path`` in the object at ``start``, both below the output."""
    href = posixpath.relpath(path, posixpath.dirname(start) or ".")
    return href if href.startswith("../") else f"./{href}"


def _moment(facts: SceneFacts) -> tuple[dt.datetime, str]:
    for name, source in (("visible", facts.vi), ("infrared", facts.ir)):
        if source.acquired is not None:
            return source.acquired.moment, f"{name} {source.acquired.origin}"
    return facts.created, "processing"


def _properties(facts: SceneFacts, origin: str) -> dict[str, Any]:
    created = utc_text(facts.created)
    weights = f" with weights of sha256 {facts.model_hash}" if facts.model_hash else ""
    own = {
        "pair_id": facts.pair_id,
        "run_id": facts.run_id,
        "datetime_from": origin,
        **{
            f"{name}_datetime": utc_text(source.acquired.moment)
            for name, source in (("infrared", facts.ir), ("visible", facts.vi))
            if source.acquired is not None
        },
        "model": facts.model,
        "model_hash": facts.model_hash,
        "settings_hash": facts.settings_hash,
        "overlap": facts.overlap,
        "scaling": facts.scaling,
        "scaling_low": _finite(facts.scaling_low),
        "scaling_high": _finite(facts.scaling_high),
        "metric_version": facts.metric_version,
        **{name: _finite(value) for name, value in facts.metrics.items()},
    }
    return {
        "title": facts.pair_id,
        "created": created,
        "processing:datetime": created,
        "processing:software": {"fuse-archive": facts.software_version},
        "processing:lineage": f"The infrared and the visible image of the pair {facts.pair_id} "
        f"were fused by {facts.model}{weights}, with the settings {facts.settings_hash}.",
        **{f"fuse-archive:{name}": value for name, value in own.items()},
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _add_projection(item: pystac.Item, grid: Grid) -> None:
    """Add the projection extension: by a code if that is certain, else by the whole definition."""
    projection = ProjectionExtension.ext(item, add_if_missing=True)
    shape = [grid.height, grid.width]
    crs = read_crs(grid.crs_wkt)
    if crs is None:  # coordinates of no known system would only mislead
        projection.apply(code=None, shape=shape)
        return
    a, b, c, d, e, f = grid.transform
    corners = [(i, j) for i in (0, grid.width) for j in (0, grid.height)]
    xs, ys = [a * i + b * j + c for i, j in corners], [d * i + e * j + f for i, j in corners]
    authority = crs.to_authority(confidence_threshold=100)
    projection.apply(
        code=":".join(authority) if authority else None,
        wkt2=None if authority else crs.to_wkt(version=WktVersion.WKT2_2019),
        projjson=None if authority else crs.to_dict(projjson=True),
        bbox=[min(xs), min(ys), max(xs), max(ys)],
        shape=shape,
        transform=list(grid.transform),
    )


def _raster(bands: Bands, grid: Grid) -> dict[str, Any]:
    scales = bands.scales or (1.0,) * len(bands.descriptions)
    offsets = bands.offsets or (0.0,) * len(bands.descriptions)
    scaled = any(scale != 1 for scale in scales) or any(offsets)
    fields: dict[str, Any] = {
        "data_type": _DATA_TYPES.get(bands.data_type, "other"),
        "raster:sampling": "point" if grid.pixel_is_point else "area",
        "bands": [
            {"name": f"b{k}"}
            | ({"description": text} if text else {})
            | ({"raster:scale": scale, "raster:offset": offset} if scaled else {})
            for k, (text, scale, offset) in enumerate(
                zip(bands.descriptions, scales, offsets, strict=True), start=1
            )
        ],
    }
    if bands.nodata is not None:
        fields["nodata"] = _nodata(bands.nodata)
    return fields


def _nodata(value: float) -> float | str:
    """Return a nodata value as STAC has it: JSON knows no NaN and no infinity."""
    if not math.isfinite(value):
        return str(float(value))
    return int(value) if float(value).is_integer() else value


def _add_asset(
    item: pystac.Item,
    facts: SceneFacts,
    file: WrittenFile,
    *,
    key: str,
    role: str,
    fields: dict[str, Any],
) -> None:
    href = relative_href(file.path, facts.item_path)
    asset = pystac.Asset(href, None, None, file.media_type, [role], fields)
    item.add_asset(key, asset)
    FileExtension.ext(asset, add_if_missing=True).apply(
        checksum=SHA2_256 + file.sha256, size=file.size
    )


def _add_links(item: pystac.Item, facts: SceneFacts) -> None:
    for name, source in (("infrared", facts.ir), ("visible", facts.vi)):
        item.add_link(pystac.Link("derived_from", source.url, title=f"{name} image"))
    if facts.catalog_href is None:
        return
    root = facts.catalog_href
    day = _moment(facts)[0].astimezone(dt.UTC).date()
    parent = posixpath.join(posixpath.dirname(root), day_catalog_path(day))
    hrefs = {"root": root, "parent": parent}
    if facts.collection_id is not None:
        hrefs["collection"] = root
        item.collection_id = facts.collection_id
    for relation, href in hrefs.items():
        item.add_link(pystac.Link(relation, href, pystac.MediaType.JSON))
