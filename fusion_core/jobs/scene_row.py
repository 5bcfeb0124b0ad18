"""What is told of a fused scene: the columns of its row, its quicklook and its STAC item."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.io import DatasetReader

from fusion_core.archive.plan import PairRef
from fusion_core.errors import WriteError
from fusion_core.metrics import METRIC_NAMES, METRIC_VERSION
from fusion_core.scenes.acquisition import Acquisition, acquired
from fusion_core.scenes.footprint import footprint
from fusion_core.scenes.pair import ScenePair
from fusion_core.scenes.raster import Raster
from fusion_core.scenes.stac_catalog import CATALOG_PATHS, COLLECTION_ID
from fusion_core.scenes.stac_item import (
    COG,
    PNG,
    Bands,
    Grid,
    SceneFacts,
    SourceImage,
    WrittenFile,
    make_item,
    relative_href,
)
from fusion_core.storage.errors import as_pair_error

if TYPE_CHECKING:
    from fusion_core.jobs.scene import SceneWork


@dataclass
class SceneRecord:
    """Facts about a scene, gathered while its files are open.

    Attributes:
        ref: Its pair.
        columns: Columns of the manifest.
        times: When the infrared and the visible image were taken, None where that isn't known.
        grid: Of the fused scene; set by ``describe``, as is what follows.
        bands: Its bands.
        quicklook: Bytes of its picture.
        quicklook_shape: Height and width of that.
    """

    ref: PairRef
    columns: dict[str, Any]
    times: tuple[Acquisition | None, Acquisition | None]
    grid: Grid | None = None
    bands: Bands | None = None
    quicklook: bytes = b""
    quicklook_shape: tuple[int, int] = field(default=(0, 0))

    @classmethod
    def of(cls, scene: ScenePair, ref: PairRef, counts: tuple[int, int]) -> SceneRecord:
        """Gather what the sources tell; ``counts`` are the fused and the visible pixels."""
        fused, visible = counts
        share = scene.grid.covers(scene.vi.raster.dataset)
        overlap = share * fused / visible
        scalings = {
            f"{side}_{name}": value
            for side, kind, scaling in zip(
                ("ir", "vi"), scene.scaling_names, scene.scalings, strict=True
            )
            for name, value in (("scaling", kind), ("low", scaling.low), ("high", scaling.high))
        }
        times = _acquired(scene.ir.raster), _acquired(scene.vi.raster)
        taken = times[1] or times[0]
        return cls(
            ref,
            {
                **scalings,
                "overlap": overlap,
                "remark": _remark(scene, share, visible - fused),
                "acquired": taken.moment if taken else None,
            },
            times,
        )

    def describe(self, fused: DatasetReader, quicklook: bytes, shape: tuple[int, int]) -> None:
        """Take in what the finished file tells."""
        wkt = fused.crs.to_wkt() if fused.crs else None
        point = fused.tags().get("AREA_OR_POINT") == "Point"
        self.grid = Grid(wkt, tuple(fused.transform)[:6], fused.width, fused.height, point)
        self.bands = Bands(
            fused.descriptions, fused.dtypes[0], fused.nodata, fused.scales, fused.offsets
        )
        self.quicklook, self.quicklook_shape = quicklook, shape
        _, bbox = footprint(wkt, self.grid.transform, fused.width, fused.height)
        self.columns |= {
            "fused_format": "cog",
            "height": fused.height,
            "width": fused.width,
            "bands": fused.count,
            "data_type": fused.dtypes[0],
            "bit_depth": 8 * np.dtype(fused.dtypes[0]).itemsize,
            "crs": _crs_name(fused),
            **dict(zip(("west", "south", "east", "north"), bbox or (None,) * 4, strict=True)),
        }

    def write(
        self,
        work: SceneWork,
        path: str,
        size: int,
        digest: str,
        scores: dict[str, Any],
        started: dt.datetime,
    ) -> dict[str, Any]:
        """Write quicklook and item beside the fused scene, and return the row's columns.

        Args:
            work: Where to write, and by which settings.
            path: Of the fused scene, below the output.
            size: Its size in bytes.
            digest: Its sha256.
            scores: Its metrics.
            started: When work on it began.

        Raises:
            WriteError: The store failed.
        """
        stem = path.rpartition(".")[0]
        output, stac = work.output, work.settings.stac
        picture = f"{stem}.quicklook.png"
        item = None if stac == "none" else f"{stem}.json"
        with as_pair_error(WriteError):
            output.write(picture, self.quicklook)
            if item is not None:
                facts = self._facts(work, path, size, digest, picture, item, scores, started)
                output.write(item, json.dumps(make_item(facts), indent=1).encode())
        return {
            **self.columns,
            "fused_url": output.url(path),
            "fused_sha256": digest,
            "fused_bytes": size,
            "quicklook_url": output.url(picture),
            "item_url": None if item is None else output.url(item),
        }

    def _facts(
        self,
        work: SceneWork,
        path: str,
        size: int,
        digest: str,
        picture: str,
        item: str,
        scores: dict[str, Any],
        started: dt.datetime,
    ) -> SceneFacts:
        assert self.grid is not None
        assert self.bands is not None
        kind = work.settings.stac
        name = path.rpartition("/")[2].rpartition(".")[0]
        ir, vi = (
            SourceImage(work.source.url(source), time)
            for source, time in zip((self.ref.ir_path, self.ref.vi_path), self.times, strict=True)
        )
        root = CATALOG_PATHS[kind] if kind in ("catalog", "collection") else None
        return SceneFacts(
            item_id=f"{name}-{work.run.settings_hash[:8]}",
            pair_id=self.ref.pair_id,
            item_path=item,
            grid=self.grid,
            ir=ir,
            vi=vi,
            fused=WrittenFile(path, digest, size, COG),
            quicklook=WrittenFile(
                picture,
                hashlib.sha256(self.quicklook).hexdigest(),
                len(self.quicklook),
                PNG,
                self.quicklook_shape,
            ),
            bands=self.bands,
            model=work.fuser.name,
            model_hash=work.fuser.model_hash,
            settings_hash=work.run.settings_hash,
            run_id=work.run.run_id,
            software_version=importlib.metadata.version("fuse-archive"),
            overlap=self.columns["overlap"],
            metrics={metric: scores[metric] for metric in METRIC_NAMES},
            metric_version=METRIC_VERSION,
            scaling=self.columns["vi_scaling"],
            scaling_low=self.columns["vi_low"],
            scaling_high=self.columns["vi_high"],
            created=started,
            catalog_href=relative_href(root, item) if root else None,
            collection_id=COLLECTION_ID if kind == "collection" else None,
        )


def _acquired(raster: Raster) -> Acquisition | None:
    dataset = raster.dataset
    return acquired({"": dataset.tags(), "IMAGERY": dataset.tags(ns="IMAGERY")}, raster.path)


def _remark(scene: ScenePair, share: float, alone: int) -> str | None:
    """Say what of the visible scene was not fused."""
    parts = []
    if share < 1:
        grid, dataset = scene.grid, scene.vi.raster.dataset
        parts.append(
            f"the infrared covers {share:.1%} of the visible scene's {dataset.width}x"
            f"{dataset.height} pixels; fused are the {grid.width}x{grid.height} from column "
            f"{grid.left}, row {grid.top}"
        )
    if alone:
        parts.append(f"{alone} pixels without infrared keep the visible values")
    return "; ".join(parts) or None


def _crs_name(fused: DatasetReader) -> str | None:
    if not fused.crs:
        return None
    authority = fused.crs.to_authority(confidence_threshold=100)
    return ":".join(authority) if authority else str(fused.crs.to_wkt())
