"""What is measured of tiles: how they meet, and how far they are from the whole."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.fuser import Fuser, load_fuser
from fusion_core.plan import PairRef
from fusion_core.raster_file import gdal_settings
from fusion_core.scene_pair import open_scene
from fusion_core.scene_settings import SceneSettings
from fusion_core.scene_tiles import fuse_tiles, tile_fuser
from fusion_core.storage import Storage
from fusion_core.tile_grid import BLEND, Tile, cut_tiles

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from generated_scenes import write_raster

SIZE = 512


def fused_scene(
    folder: Path, ir: NDArray[Any], vi: NDArray[Any], shift: int = 0, fuser: Fuser | None = None
) -> tuple[NDArray[np.float32], list[Tile]]:
    """Fuse two bands in tiles; return the fused luminance in [0, 1], NaN without data, and tiles.

    Args:
        folder: Where files may be written.
        ir: Infrared band, (H, W), 0 where it holds no data.
        vi: Visible band, likewise.
        shift: Moves the borders of tiles.
        fuser: What fuses, by default the packaged network.
    """
    fuser = fuser or load_fuser()
    fused = np.full(vi.shape, np.nan, np.float32)

    def keep(tile: Tile, pixels: Any, part: NDArray[np.float32]) -> None:
        valid = tile.cut(pixels.valid, tile.final)
        fused[tile.final] = np.where(valid, part, np.nan)

    with gdal_settings(256), _opened(folder, ir, vi) as scene:
        tiles = cut_tiles(*scene.size, SIZE, fuser.reach, shift)
        fuse_tiles(scene, fuser, tiles, keep)
    return fused, tiles


def independent(
    folder: Path, ir: NDArray[Any], vi: NDArray[Any]
) -> tuple[NDArray[np.float32], list[Tile]]:
    """Fuse as :func:`fused_scene` does, but let every tile pool for itself."""
    fuser = load_fuser()
    with mock.patch.object(fuser, "cells", 0):
        return fused_scene(folder, ir, vi, fuser=fuser)


def disagreement(folder: Path, ir: NDArray[Any], vi: NDArray[Any], common: bool = True) -> float:
    """Return how far tiles are apart where two are blended, in grey levels of 255, in the mean.

    Args:
        folder: Where files may be written.
        ir: Infrared band, as of :func:`fused_scene`.
        vi: Visible band, likewise.
        common: Whether the tiles share what the scene pooled, or each pools for itself.
    """
    fuser: Any = load_fuser()
    apart = []
    with (
        mock.patch.object(fuser, "cells", fuser.cells if common else 0),
        gdal_settings(256),
        _opened(folder, ir, vi) as scene,
    ):
        fuse = tile_fuser(scene, fuser)
        before: NDArray[np.float32] | None = None
        for tile in cut_tiles(*scene.size, SIZE, fuser.reach):
            pixels = scene.read(tile.read)
            fused = np.where(pixels.valid, fuse(tile, pixels), np.nan)
            rows, columns = tile.rows.zone, tile.columns.zone
            if before is not None and not tile.columns.first:
                strip = (rows, slice(columns.start, columns.start + 2 * BLEND))
                apart.append(np.abs(tile.cut(fused, strip) - before).ravel())
            before = tile.cut(fused, (rows, slice(columns.stop - 2 * BLEND, columns.stop)))
    return 255 * float(np.nanmean(np.concatenate(apart)))


def fuse_whole(folder: Path, ir: NDArray[Any], vi: NDArray[Any]) -> NDArray[np.float32]:
    """Fuse two bands in one piece; return the fused luminance in [0, 1]."""
    with gdal_settings(256), _opened(folder, ir, vi) as scene:
        pixels = scene.read((slice(0, vi.shape[0]), slice(0, vi.shape[1])))
    a, b = (torch.from_numpy(side)[None, None] for side in (pixels.ir, pixels.vi))
    return np.asarray(load_fuser()(a, b)[0, 0].numpy())


def seam_ratio(fused: NDArray[np.float32], tiles: Sequence[Tile]) -> float:
    """Return the mean absolute step across borders of tiles over that 2 to 4 pixels beside them."""
    across, beside = [], []
    borders = (
        {t.rows.final.stop + BLEND for t in tiles if not t.rows.last},
        {t.columns.final.stop + BLEND for t in tiles if not t.columns.last},
    )
    for axis, places in enumerate(borders):
        steps = np.abs(np.diff(fused, axis=axis))
        for place in places:
            across.append(steps.take(place - 1, axis))
            beside += [steps.take(place - 1 + k, axis) for k in (-4, -3, -2, 2, 3, 4)]
    return float(np.nanmean(np.concatenate(across)) / np.nanmean(np.concatenate(beside)))


def _opened(folder: Path, ir: NDArray[Any], vi: NDArray[Any]) -> Any:
    for name, band in (("ir", ir), ("vi", vi)):
        write_raster(folder / f"{name}.tif", band)
    source = Storage(str(folder))
    files = {row["path"]: row for row in source.list().to_pylist()}
    ref = PairRef("scene", *files["ir.tif"].values(), *files["vi.tif"].values())
    return open_scene(source, ref, SceneSettings(nodata=0))
