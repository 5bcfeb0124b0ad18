"""Fuses a scene: from two files to a stored GeoTIFF with its scores, quicklook and STAC item."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import DatasetWriter

from fusion_core.archive.layout import fused_path
from fusion_core.archive.plan import PairRef
from fusion_core.errors import OverlapError, WriteError
from fusion_core.jobs.failure import SceneDeadline
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.pair import PairState, create_image_file
from fusion_core.jobs.registering import register_scene
from fusion_core.jobs.remarks import join_remarks, unused_percentiles, unused_settings
from fusion_core.jobs.scene_row import (
    FusedScene,
    PixelCounts,
    SourceFacts,
    fused_facts,
    scene_columns,
    scene_item,
    source_facts,
)
from fusion_core.jobs.scratch import ScratchFiles, scene_scratch
from fusion_core.metrics.greyscale import unit_to_grey255
from fusion_core.models.arithmetic import arithmetic_of
from fusion_core.models.memory import (
    Shortage,
    first_that_fits,
    smaller_tile,
    tile_sizes,
    tiles_remark,
)
from fusion_core.models.tiling.grid import Tile, cut_tiles
from fusion_core.models.tiling.room import Room
from fusion_core.scenes.cog import (
    check_room,
    create_greys,
    create_work,
    has_mask_band,
    make_cog,
    window_of,
    writing,
)
from fusion_core.scenes.fusing import fuse_tiles
from fusion_core.scenes.pair import ScenePair, ScenePixels, open_scene
from fusion_core.scenes.quicklook import make_quicklook
from fusion_core.scenes.raster import gdal_settings
from fusion_core.scenes.scores import score_scene
from fusion_core.scenes.stac_item import COG, PNG, WrittenFile
from fusion_core.scenes.valid_area import ValidArea
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.errors import as_pair_error
from fusion_core.storage.local import file_sha256
from fusion_core.storage.store import Storage

log = logging.getLogger(__name__)
_PROGRESS_SECONDS = 15.0


@dataclass(frozen=True)
class _OpenScene:
    """A scene that is being fused.

    Attributes:
        ref: Its pair.
        pair: The same, open.
        files: Where it is fused.
        deadline: When it has to be.
        careful: Whether its tiles are smaller than others'.
    """

    ref: PairRef
    pair: ScenePair
    files: ScratchFiles
    deadline: SceneDeadline
    careful: bool


class SceneWork:
    """Fuses scenes, one at a time, in memory bounded by a tile.

    Args:
        source: Where the pairs are.
        output: Where fused scenes go.
        room: What fuses, and what of it fits into memory.
        settings: The run's settings.
        run: The run's identity.
    """

    def __init__(
        self,
        source: Storage,
        output: Storage,
        *,
        room: Room,
        settings: FuseArchiveSettings,
        run: RunIdentity,
    ):
        self.source, self.output, self.run = source, output, run
        self.fuser, self.room, self.settings = room.fuser, room, settings

    def fuse(self, pair: PairState, *, in_tiles: bool = False) -> dict[str, Any]:
        """Fuse, write and score a scene.

        Args:
            pair: Which scene.
            in_tiles: Whether to begin with tiles of half the usual size, because memory ran out for
                it in another worker.

        Returns:
            The columns of the manifest that describe the fused scene and its scores.

        Raises:
            PairError: The scene can't be read, decoded, paired, fused, encoded, written or scored.
            UnreachableError: A store gives no answer.
        """
        ref, settings = pair.ref, self.settings
        path = fused_path(
            ref,
            self.run.settings_hash,
            self.fuser.model_hash,
            "tiff",
            arithmetic=arithmetic_of(self.fuser).key,
        )
        with scene_scratch() as files, gdal_settings(max(64, settings.memory_mb // 4)):
            with ExitStack() as opened:
                with pair.timed("read"):
                    scene = opened.enter_context(self._open(ref, files))
                    pair.registered = register_scene(scene, settings)
                    pair.registered.check()
                with pair.timed("fuse"):
                    deadline = SceneDeadline(settings.pair_deadline, scene.size, pair.seconds)
                    pair.allowed = deadline.allowed
                    work = _OpenScene(ref, scene, files, deadline, in_tiles)
                    sources = self._fuse_in_room(work, pair.registered.remark)
            with pair.timed("encode"):
                make_cog(files.work, files.cog, settings.compression)
                files.work.unlink()
            with pair.timed("write"):
                path = create_image_file(self.output, path, files.cog)
            with pair.timed("score"):
                scores = score_scene(files.greys, files.cog, scene.vi_scaling, self.fuser.device)
            with pair.timed("encode"), rasterio.open(files.cog) as fused:
                facts = fused_facts(fused, sources.area)
                picture, shape = make_quicklook(fused, scene.vi_scaling)
            with pair.timed("write"):
                stem = path.rpartition(".")[0]
                digest, size = file_sha256(files.cog), files.cog.stat().st_size
                written = FusedScene(
                    pair_id=ref.pair_id,
                    sources=sources,
                    facts=facts,
                    file=WrittenFile(path, sha256=digest, size=size, media_type=COG),
                    quicklook=_png_file(f"{stem}.quicklook.png", picture, shape),
                    item_path=None if settings.stac == "none" else f"{stem}.json",
                    scores=scores,
                )
                self._describe(written, picture, pair.started or dt.datetime.now(dt.UTC))
        return scene_columns(written, self.output)

    def _open(self, ref: PairRef, files: ScratchFiles) -> AbstractContextManager[ScenePair]:
        return open_scene(
            self.source,
            ref,
            self.settings,
            folder=files.work.parent,
            max_megapixels=self.settings.max_megapixels,
        )

    def _fuse_in_room(self, scene: _OpenScene, registered: str | None) -> SourceFacts:
        """Fuse in the largest tiles that memory holds; return what the sources then tell."""
        height, width = scene.pair.size

        def fuse(size: int) -> PixelCounts:
            for begun_before in (scene.files.work, scene.files.greys):  # in tiles too large
                begun_before.unlink(missing_ok=True)
            tiles = cut_tiles(height, width, size, self.fuser.receptive_radius)
            return self._fuse_tiles(scene, tiles)

        what = f"a scene of {width}x{height} pixels in tiles"
        largest = self.settings.tile_size
        first = smaller_tile(largest) if scene.careful else largest
        sizes = self.room.tile_sizes(tile_sizes(first), height, width)
        size, counts = first_that_fits(sizes, fuse, what, self.fuser.device)
        memory: Shortage = "was expected to run out"
        if scene.careful:
            memory = "ran out in another worker"
        if size < sizes[0]:
            memory = "ran out"
        remark = join_remarks(
            scene.pair.remark(),
            registered,
            unused_settings(self.settings, "a scene"),
            unused_percentiles(self.settings, scene.pair.scaling_names),
            tiles_remark(size, memory) if size < largest else None,
        )
        return source_facts(scene.pair, self.source, counts, remark=remark)

    def _fuse_tiles(self, scene: _OpenScene, tiles: Sequence[Tile]) -> PixelCounts:
        """Fuse into the working files; return how many pixels were fused."""
        vi, grid, files = scene.pair.vi, scene.pair.grid, scene.files
        check_room(files.work.parent, vi.raster.dataset, grid)
        with (
            create_work(files.work, vi.raster.dataset, grid, vi.nodata) as fused,
            create_greys(files.greys, grid) as grey,
        ):
            writer = _TileWriter(scene, fused, grey, len(tiles))
            fuse_tiles(
                scene.pair, self.fuser, tiles, writer.write, room=self.room, careful=scene.careful
            )
            if not writer.fused:
                raise OverlapError(
                    f"{scene.ref.ir_path} and {scene.ref.vi_path} hold data at no common pixel; "
                    "expected some. Check the nodata values, and which files were paired"
                )
            with writing("the fused scene"):
                fused.close()
                grey.close()
        return PixelCounts(writer.fused, writer.visible, writer.area.outline())

    def _describe(self, scene: FusedScene, picture: bytes, created: dt.datetime) -> None:
        """Write quicklook and item beside a fused scene."""
        stac = self.settings.stac
        with as_pair_error(WriteError):
            self.output.write(scene.quicklook.path, picture)
            if scene.item_path is not None:
                item = scene_item(
                    scene,
                    scene.item_path,
                    fuser=self.fuser,
                    run=self.run,
                    catalog=stac if stac in ("catalog", "collection") else None,
                    created=created,
                )
                self.output.write(scene.item_path, json.dumps(item, indent=1).encode())


class _TileWriter:
    """Writes blended tiles into the working files, and counts pixels."""

    def __init__(self, scene: _OpenScene, fused: DatasetWriter, grey: DatasetWriter, tiles: int):
        self.scene, self.deadline, self.pair_id = scene.pair, scene.deadline, scene.ref.pair_id
        self.target, self.grey, self.tiles = fused, grey, tiles
        self.masked = has_mask_band(self.scene.vi.raster.dataset)
        self.written = self.fused = self.visible = 0
        self.area = ValidArea(*self.scene.size)
        self._told = time.monotonic()

    def write(self, tile: Tile, pixels: ScenePixels, fused: NDArray[np.float32]) -> None:
        """Write the part of the scene that a tile completes.

        Args:
            tile: The tile.
            pixels: What was read for it.
            fused: The fused luminance in [0, 1] of that part, (h, w).
        """
        self.deadline.check()
        ir, vi, old, valid, vi_valid = (
            tile.cut(plane, tile.final)
            for plane in (pixels.ir, pixels.vi, pixels.luminance, pixels.valid, pixels.vi_valid)
        )
        bands = tile.cut(pixels.bands, tile.final)
        scaling, side = self.scene.vi_scaling, self.scene.vi
        new = scaling.changed(old, vi, fused)
        result = side.layout.replaced(bands, old, new, where=valid, nodata=side.nodata)
        window = window_of(tile.final)
        greys = (unit_to_grey255(plane) for plane in (ir, vi))
        planes = np.stack([*greys, 255 * valid.astype("u1")])
        with writing("the fused scene"):
            self.target.write(result, window=window)
            self.grey.write(planes, window=window)
            if self.masked:
                # GDAL's settings hold for the thread that made them.
                with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                    self.target.write_mask(vi_valid, window=window)
        self.written += 1
        self.fused += int(valid.sum())
        self.visible += int(vi_valid.sum())
        self.area.add(vi_valid, tile.final)
        self._tell()

    def _tell(self) -> None:
        """Log now and then how far a large scene is."""
        if time.monotonic() - self._told > _PROGRESS_SECONDS:
            self._told = time.monotonic()
            log.info("scene %s: %d of %d tiles", self.pair_id, self.written, self.tiles)


def _png_file(path: str, body: bytes, shape: tuple[int, int]) -> WrittenFile:
    digest = hashlib.sha256(body).hexdigest()
    return WrittenFile(path, sha256=digest, size=len(body), media_type=PNG, shape=shape)
