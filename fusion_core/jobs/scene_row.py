"""The manifest row and the STAC item of a fused scene, from facts gathered at its files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.io import DatasetReader

from fusion_core import __version__
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.remarks import join_remarks
from fusion_core.metrics import METRIC_NAMES, METRIC_VERSION
from fusion_core.metrics.scaling import Scaling
from fusion_core.models.fuser import Fuser
from fusion_core.scenes.acquisition import Acquisition, acquired
from fusion_core.scenes.footprint import footprint
from fusion_core.scenes.pair import ScenePair
from fusion_core.scenes.place import place_of
from fusion_core.scenes.raster import Raster
from fusion_core.scenes.stac_item import (
    Bands,
    Grid,
    SceneFacts,
    SourceImage,
    WrittenFile,
    make_item,
    relative_href,
)
from fusion_core.scenes.stac_root import CATALOG_PATHS, COLLECTION_ID, CatalogKind
from fusion_core.scenes.undeclared_fill import UndeclaredFill
from fusion_core.storage.store import Storage


@dataclass(frozen=True)
class PixelCounts:
    """How many pixels of a scene were fused, how many hold visible values, and where those lie."""

    fused: int
    visible: int
    area: shapely.MultiPolygon


@dataclass(frozen=True)
class SourceFacts:
    """Facts about the sources of a scene, gathered while they are open, and its overlap.

    Attributes:
        ir: The infrared image.
        vi: The visible image.
        scaling_names: The scaling of the infrared and of the visible image.
        scalings: The same, in numbers.
        overlap: Share of the visible scene that was fused, 0 to 1.
        area: Where the fused scene holds data, in its pixels.
        remark: What a reader of the fused scene should know, if anything.
    """

    ir: SourceImage
    vi: SourceImage
    scaling_names: tuple[str, str]
    scalings: tuple[Scaling, Scaling]
    overlap: float
    area: shapely.MultiPolygon
    remark: str | None


@dataclass(frozen=True)
class FusedFacts:
    """Facts about a fused scene, from its finished file.

    Attributes:
        grid: Where its pixels lie.
        bands: Its bands.
        crs: Its coordinate system: authority and code, or WKT; None where it has none.
        bbox: West, south, east and north end of its grid; None where that isn't known.
        outline: Outline of what holds data in it, as WKB; None likewise.
    """

    grid: Grid
    bands: Bands
    crs: str | None
    bbox: tuple[float, ...] | None
    outline: bytes | None


@dataclass(frozen=True)
class FusedScene:
    """All that the row and the item of a fused scene are made of.

    Attributes:
        pair_id: Its pair.
        sources: What its sources tell.
        facts: What its own file tells.
        file: That file, below the output.
        quicklook: Its picture.
        item_path: Where its item lies or will lie below the output; None where there is none.
        scores: Its metrics, as columns of the manifest.
    """

    pair_id: str
    sources: SourceFacts
    facts: FusedFacts
    file: WrittenFile
    quicklook: WrittenFile
    item_path: str | None
    scores: Mapping[str, Any]


def source_facts(
    scene: ScenePair, source: Storage, counts: PixelCounts, *, remark: str | None = None
) -> SourceFacts:
    """Gather what the open sources of a scene tell.

    Args:
        scene: The scene.
        source: Where its files are.
        counts: How much of it was fused.
        remark: What else a reader of the fused scene should know, if anything.
    """
    covered = scene.grid.covers(scene.vi.raster.dataset)
    alone = _overlap_remark(scene, covered, counts.visible - counts.fused)
    fill = _fill_remark(scene.undeclared_fill)
    return SourceFacts(
        ir=_source_image(scene.ir.raster, source),
        vi=_source_image(scene.vi.raster, source),
        scaling_names=scene.scaling_names,
        scalings=scene.scalings,
        overlap=covered * counts.fused / counts.visible,
        area=counts.area,
        remark=join_remarks(scene.grid.remark, alone, fill, remark),
    )


def fused_facts(fused: DatasetReader, area: shapely.MultiPolygon) -> FusedFacts:
    """Gather what the finished file of a scene tells.

    Args:
        fused: The file.
        area: Where it holds data, in its pixels.
    """
    place = place_of(fused)
    transform = place.transform if place else None
    crs = place.crs if place and transform else None
    wkt = crs.to_wkt() if crs else None
    point = fused.tags().get("AREA_OR_POINT") == "Point"
    grid = Grid(
        crs_wkt=wkt,
        transform=tuple(transform or fused.transform)[:6],
        width=fused.width,
        height=fused.height,
        pixel_is_point=point,
    )
    bands = Bands(
        descriptions=fused.descriptions,
        data_type=fused.dtypes[0],
        nodata=fused.nodata,
        scales=fused.scales,
        offsets=fused.offsets,
    )
    _, bbox = footprint(wkt, grid.transform, grid.width, grid.height)
    geometry, _ = footprint(wkt, grid.transform, grid.width, grid.height, area)
    return FusedFacts(
        grid,
        bands,
        _crs_name(crs),
        None if bbox is None else tuple(bbox),
        None if geometry is None else shapely.to_wkb(shapely.geometry.shape(geometry)),
    )


def scene_columns(scene: FusedScene, output: Storage) -> dict[str, Any]:
    """Return the columns of the manifest that describe a fused scene and its scores."""
    sources, facts = scene.sources, scene.facts
    grid, bands = facts.grid, facts.bands
    taken = sources.vi.acquired or sources.ir.acquired
    scalings = {
        f"{side}_{name}": value
        for side, kind, scaling in zip(
            ("ir", "vi"), sources.scaling_names, sources.scalings, strict=True
        )
        for name, value in (("scaling", kind), ("low", scaling.low), ("high", scaling.high))
    }
    corners = facts.bbox or (None,) * 4
    return {
        **scene.scores,
        **scalings,
        "overlap": sources.overlap,
        "remark": sources.remark,
        "acquired": taken.moment if taken else None,
        "fused_format": "cog",
        "height": grid.height,
        "width": grid.width,
        "bands": len(bands.descriptions),
        "data_type": bands.data_type,
        "bit_depth": 8 * np.dtype(bands.data_type).itemsize,
        "crs": facts.crs,
        **dict(zip(("west", "south", "east", "north"), corners, strict=True)),
        "outline": facts.outline,
        "fused_url": output.url(scene.file.path),
        "fused_sha256": scene.file.sha256,
        "fused_bytes": scene.file.size,
        "quicklook_url": output.url(scene.quicklook.path),
        "item_url": None if scene.item_path is None else output.url(scene.item_path),
    }


def scene_item(
    scene: FusedScene,
    item_path: str,
    *,
    fuser: Fuser,
    run: RunIdentity,
    catalog: CatalogKind | None,
    created: dt.datetime,
) -> dict[str, Any]:
    """Return the STAC item of a fused scene.

    Args:
        scene: The scene.
        item_path: Where the item will lie below the output.
        fuser: What fused it.
        run: The run that it was fused in.
        catalog: What lies at the output's root and links to the item, if anything.
        created: When work on the scene began.
    """
    sources, scaling = scene.sources, scene.sources.scalings[1]
    name = scene.file.path.rpartition("/")[2].rpartition(".")[0]
    facts = SceneFacts(
        item_id=f"{name}-{run.settings_hash[:8]}",
        pair_id=scene.pair_id,
        item_path=item_path,
        grid=scene.facts.grid,
        area=sources.area,
        ir=sources.ir,
        vi=sources.vi,
        fused=scene.file,
        quicklook=scene.quicklook,
        bands=scene.facts.bands,
        model=fuser.name,
        model_hash=fuser.model_hash,
        settings_hash=run.settings_hash,
        run_id=run.run_id,
        software_version=__version__,
        overlap=sources.overlap,
        metrics={metric: scene.scores[metric] for metric in METRIC_NAMES},
        metric_version=METRIC_VERSION,
        scaling=sources.scaling_names[1],
        scaling_low=scaling.low,
        scaling_high=scaling.high,
        created=created,
        catalog_href=relative_href(CATALOG_PATHS[catalog], item_path) if catalog else None,
        collection_id=COLLECTION_ID if catalog == "collection" else None,
    )
    return make_item(facts)


def _source_image(raster: Raster, source: Storage) -> SourceImage:
    return SourceImage(source.url(raster.path), _acquired(raster))


def _acquired(raster: Raster) -> Acquisition | None:
    dataset = raster.dataset
    return acquired({"": dataset.tags(), "IMAGERY": dataset.tags(ns="IMAGERY")}, raster.path)


def _overlap_remark(scene: ScenePair, covered: float, alone: int) -> str | None:
    """Say what of the visible scene was not fused.

    Args:
        scene: The scene.
        covered: Share of the visible scene that the infrared one covers, 0 to 1.
        alone: Number of covered pixels that hold visible values alone.
    """
    parts = []
    if covered < 1:
        grid, dataset = scene.grid, scene.vi.raster.dataset
        parts.append(
            f"the infrared covers {covered:.1%} of the visible scene's {dataset.width}x"
            f"{dataset.height} pixels; fused are the {grid.width}x{grid.height} from column "
            f"{grid.left}, row {grid.top}"
        )
    if alone:
        parts.append(f"{alone} pixels without infrared keep the visible values")
    return "; ".join(parts) or None


def _fill_remark(found: UndeclaredFill | None) -> str | None:
    """Say what was taken for no data without being declared."""
    if found is None:
        return None
    sides = (("the infrared", found.ir), ("the visible", found.vi))
    around = [(name, f"{value:.0f}") for name, value in sides if value is not None]
    images = " and ".join(
        name if k and value == around[0][1] else f"{value} around {name}"
        for k, (name, value) in enumerate(around)
    )
    declares = "declares" if len(around) == 1 else "declare"
    return (
        f"{images} image, which {declares} no nodata value, was taken for no data "
        f"({found.share:.1%} of the scene)"
    )


def _crs_name(crs: CRS | None) -> str | None:
    if crs is None:
        return None
    authority = crs.to_authority(confidence_threshold=100)
    return ":".join(authority) if authority else str(crs.to_wkt())
