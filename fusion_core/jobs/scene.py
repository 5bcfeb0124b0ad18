"""One scene from its two files to a fused, scored, described and stored one."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter

from fusion_core.archive.layout import fused_path
from fusion_core.errors import OverlapError, StorageError, WriteError
from fusion_core.jobs.failure import SceneDeadline
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.scene_row import SceneRecord
from fusion_core.jobs.scratch import scratch_folder
from fusion_core.jobs.worker import RunIdentity
from fusion_core.metrics.greyscale import unit_to_grey255
from fusion_core.models.fuser import Fuser
from fusion_core.models.memory import first_that_fits, tile_sizes, tiles_remark
from fusion_core.models.tiling.grid import Tile, cut_tiles
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
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.local import file_sha256
from fusion_core.storage.store import Storage

log = logging.getLogger(__name__)
_PROGRESS_SECONDS = 15.0
_PROBE = 1 << 16


class SceneWork:
    """Fuses scenes, one at a time, in memory bounded by a tile.

    Args:
        source: Where the pairs are.
        output: Where fused scenes go.
        fuser: What fuses.
        settings: The run's settings.
        run: What the rows of the run share.
    """

    def __init__(
        self,
        source: Storage,
        output: Storage,
        fuser: Fuser,
        settings: FuseArchiveSettings,
        run: RunIdentity,
    ):
        self.source, self.output = source, output
        self.fuser, self.settings, self.run = fuser, settings, run

    def fuse(self, pair: PairState) -> dict[str, Any]:
        """Fuse, write and score a scene.

        Returns:
            The columns of the manifest that describe the fused scene and its scores.

        Raises:
            PairError: What can't be read, decoded, paired, fused, encoded, written or scored.
        """
        ref, settings = pair.ref, self.settings
        path = fused_path(ref, self.run.settings_hash, self.fuser.model_hash, "tiff")
        with _scratch_with_room() as folder, gdal_settings(max(64, settings.memory_mb // 4)):
            work, greys, cog = (folder / name for name in ("work.tif", "greys.tif", "fused.tif"))
            with ExitStack() as opened:
                with pair.timed("read"):
                    scene = opened.enter_context(open_scene(self.source, ref, settings))
                with pair.timed("fuse"):
                    tile_size, counts = self._fuse_in_room(pair, scene, work, greys)
                record = SceneRecord.of(scene, ref, counts)
                if tile_size < settings.tile_size:
                    parts = (record.columns["remark"], tiles_remark(tile_size))
                    record.columns["remark"] = "; ".join(filter(None, parts))
                scaling = scene.vi_scaling
            with pair.timed("encode"):
                make_cog(work, cog, settings.compression)
                work.unlink()
            with pair.timed("write"):
                self._store(path, cog)
            with pair.timed("score"):
                scores = score_scene(greys, cog, scaling, self.fuser.device)
            with pair.timed("encode"), rasterio.open(cog) as fused:
                record.describe(fused, *make_quicklook(fused, scaling))
            with pair.timed("write"):
                size, digest = cog.stat().st_size, file_sha256(cog)
                started = pair.started or dt.datetime.now(dt.UTC)
                return {**scores, **record.write(self, path, size, digest, scores, started)}

    def _fuse_in_room(
        self, pair: PairState, scene: ScenePair, work: Path, greys: Path
    ) -> tuple[int, tuple[int, int]]:
        """Fuse in the largest tiles that memory holds; return their size, then the counts."""
        height, width = scene.size
        deadline = SceneDeadline(self.settings.pair_deadline, scene.size, pair.seconds)

        def fuse(size: int) -> tuple[int, int]:
            for begun_before in (work, greys):  # in tiles that were too large
                begun_before.unlink(missing_ok=True)
            tiles = cut_tiles(height, width, size, self.fuser.receptive_radius)
            return self._fuse_tiles(pair, scene, tiles, work, greys, deadline)

        what = f"a scene of {width}x{height} pixels in tiles"
        sizes = tile_sizes(self.settings.tile_size)
        return first_that_fits(sizes, fuse, what, self.fuser.device)

    def _fuse_tiles(
        self,
        pair: PairState,
        scene: ScenePair,
        tiles: Sequence[Tile],
        work: Path,
        greys: Path,
        deadline: SceneDeadline,
    ) -> tuple[int, int]:
        """Fuse into the working files; return the numbers of fused and of visible pixels."""
        vi = scene.vi
        check_room(work.parent, vi.raster.dataset, scene.grid)
        with (
            create_work(work, vi.raster.dataset, scene.grid, vi.nodata) as fused,
            create_greys(greys, scene.grid) as grey,
        ):
            writer = _TileWriter(scene, fused, grey, len(tiles), pair.ref.pair_id, deadline)
            fuse_tiles(scene, self.fuser, tiles, writer.write)
            if not writer.fused:
                pair.stage = "pair"
                raise OverlapError(
                    f"{pair.ref.ir_path} and {pair.ref.vi_path} hold data at no common pixel; "
                    "expected some. Check the nodata values, and which files were paired"
                )
            with writing("the fused scene"):
                fused.close()
                grey.close()
        return writer.fused, writer.visible

    def _store(self, path: str, cog: Path) -> None:
        """Create the fused scene; where one lies there already that one stays, and is fetched."""
        try:
            if self.output.create_file(path, cog):
                return
            stored = cog.with_name("stored.tif")
            self.output.download(path, stored)
            if _same_grid(stored, cog):
                stored.replace(cog)
            else:
                self.output.write_file(path, cog)
        except (StorageError, FileNotFoundError) as error:
            raise WriteError(f"{error}") from error


class _TileWriter:
    """Writes blended tiles into the working files, and counts pixels."""

    def __init__(
        self,
        scene: ScenePair,
        fused: DatasetWriter,
        grey: DatasetWriter,
        tiles: int,
        pair_id: str,
        deadline: SceneDeadline,
    ):
        self.scene, self.target, self.grey = scene, fused, grey
        self.tiles, self.pair_id, self.deadline = tiles, pair_id, deadline
        self.masked = has_mask_band(scene.vi.raster.dataset)
        self.written = self.fused = self.visible = 0
        self._told = time.monotonic()

    def write(self, tile: Tile, pixels: ScenePixels, fused: NDArray[np.float32]) -> None:
        """Write what a tile completes; ``fused`` is its luminance in [0, 1], (h, w)."""
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
        self._tell()

    def _tell(self) -> None:
        """Say now and then how far a large scene is."""
        if time.monotonic() - self._told > _PROGRESS_SECONDS:
            self._told = time.monotonic()
            log.info("scene %s: %d of %d tiles", self.pair_id, self.written, self.tiles)


@contextmanager
def _scratch_with_room() -> Iterator[Path]:
    """Give a temporary folder that can be written to, or a full one would look like bad sources.

    Raises:
        EncodeError: It can't be.
    """
    with ExitStack() as held:
        with writing("what a scene needs while it is fused"):
            folder = held.enter_context(scratch_folder())
            probe = folder / "probe"
            probe.write_bytes(bytes(_PROBE))
            probe.unlink()
        yield folder


def _same_grid(stored: Path, cog: Path) -> bool:
    """Tell whether a stored file is a whole raster like ours."""
    try:
        with rasterio.open(stored) as a, rasterio.open(cog) as b:
            names = ("shape", "count", "dtypes", "crs", "transform")
            alike = all(getattr(a, name) == getattr(b, name) for name in names)
            a.read(1, window=window_of((slice(0, 1), slice(0, 1))))
            return alike
    except RasterioError:
        return False
