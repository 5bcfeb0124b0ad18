"""What is measured of the tiles of a scene: how they meet, and how far they are from the whole."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tiny import listed_pair

from fusion_core.models.fuser import Fuser
from fusion_core.models.tiling.grid import BLEND, Blender, Tile
from fusion_core.scenes.fusing import fuse_tiles
from fusion_core.scenes.pair import ScenePair, ScenePixels, open_scene
from fusion_core.scenes.raster import gdal_settings
from fusion_core.settings.scenes import SceneSettings
from fusion_core.storage.store import Storage

Image = NDArray[np.float32]


@contextmanager
def scene_in(folder: Path, name: str = "a", **settings: Any) -> Iterator[ScenePair]:
    storage = Storage(str(folder))
    listing = {row["path"]: row for row in storage.list().to_pylist()}
    ir, vi = (listing[f"{side}/{name}.tif"] for side in ("ir", "vi"))
    ref = listed_pair(name, ir, vi)
    with (
        gdal_settings(64),
        tempfile.TemporaryDirectory() as copies,
        open_scene(
            storage, ref, SceneSettings(**settings), folder=Path(copies), max_megapixels=100
        ) as pair,
    ):
        yield pair


def whole_scene(pair: ScenePair) -> ScenePixels:
    height, width = pair.size
    return pair.read((slice(0, height), slice(0, width)))


def alone(fuser: Fuser, pixels: ScenePixels) -> Image:
    """What a fuser makes of pixels that belong to no scene."""
    ir, vi = (torch.from_numpy(side)[None, None] for side in (pixels.ir, pixels.vi))
    return np.asarray(fuser(ir, vi)[0, 0].numpy())


def fused_scene(pair: ScenePair, fuser: Fuser, tiles: list[Tile]) -> Image:
    result = np.full(pair.size, np.nan, np.float32)

    def write(tile: Tile, _: ScenePixels, fused: Image) -> None:
        result[tile.final] = fused

    fuse_tiles(pair, fuser, tiles, write)
    return result


# How tiles meet


@dataclass
class Meeting:
    """What tiles look like where they meet.

    Attributes:
        blended: The scene as it is written.
        abutted: The same without blending, each tile up to its borders.
        apart: Mean absolute difference of neighbours where they overlap, in grey levels.
        tiles: The tiles.
    """

    blended: Image
    abutted: Image
    apart: float
    tiles: list[Tile]


def meet(pair: ScenePair, tiles: list[Tile], fuse: Callable[[Tile, ScenePixels], Image]) -> Meeting:
    blended, abutted = np.zeros(pair.size, np.float32), np.zeros(pair.size, np.float32)
    blender, seen, differences = Blender(pair.size[1]), np.full(pair.size, np.nan, np.float32), []
    for tile in tiles:
        pixels = pair.read(tile.read)
        fused = fuse(tile, pixels)
        blended[tile.final] = blender.add(tile, fused)
        zone = tile.rows.zone, tile.columns.zone
        core = tuple(
            slice(
                span.zone.start + (0 if span.first else BLEND),
                span.zone.stop - (0 if span.last else BLEND),
            )
            for span in (tile.rows, tile.columns)
        )
        abutted[core] = tile.cut(fused, (core[0], core[1]))
        before, now = seen[zone], tile.cut(fused, zone)
        differences.append(np.abs(before - now)[np.isfinite(before)])
        seen[zone] = now
    return Meeting(blended, abutted, 255 * float(np.concatenate(differences).mean()), tiles)


def seam_ratio(image: Image, tiles: list[Tile]) -> float:
    """Mean absolute step across the borders between tiles, over that 2 to 4 pixels beside them."""
    across, beside = [], []
    for turned, spans in (
        (image, [tile.rows for tile in tiles]),
        (image.T, [tile.columns for tile in tiles]),
    ):
        steps = np.abs(np.diff(turned, axis=0))
        for border in {span.zone.start + BLEND for span in spans if not span.first}:
            across.append(steps[border - 1])
            beside += [steps[border - 1 + side * k] for k in (2, 3, 4) for side in (-1, 1)]
    return float(np.concatenate(across).mean() / np.concatenate(beside).mean())
