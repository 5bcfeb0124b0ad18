"""Fuses photographs in what memory there is: in batches, one by one, and in tiles at last."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.models.fuser import Fuser
from fusion_core.models.memory import (
    SMALLEST_TILE,
    NoRoom,
    first_that_fits,
    in_room,
    tile_sizes,
)
from fusion_core.models.tiling.grid import Blender, Slices, Tile, cut_tiles
from fusion_core.models.tiling.patches import sample_patches
from fusion_core.models.tiling.tile_fuser import tile_fuser

log = logging.getLogger(__name__)
Plane = NDArray[np.float32]


@dataclass(frozen=True)
class LuminancePair:
    """A pair in memory, or a window of one: infrared and visible luminance in [0, 1], (H, W)."""

    ir: Plane
    vi: Plane

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.vi.shape
        return int(height), int(width)

    def read(self, window: Slices) -> LuminancePair:
        """Return a window."""
        return LuminancePair(self.ir[window], self.vi[window])

    def patches(self, cells: int, side: int) -> tuple[Plane, Plane]:
        """Return samples as ``sample_patches`` does."""
        return sample_patches(self.read, self.size, cells, side)


class PhotographFuser:
    """Fuses batches of photographs, in ever smaller pieces where memory runs out.

    A batch that didn't fit is halved, and later ones are no larger: that changes no pixel. What
    doesn't fit alone is fused in tiles, and the next photograph is tried whole again, since its
    pixels would be others by some grey levels.

    Attributes:
        batch_size: At most so many pairs are fused at once; goes down.
    """

    def __init__(self, fuser: Fuser, batch_size: int, tile_size: int):
        """Take a fuser, the first ``batch_size``, and the largest side of a tile in pixels."""
        self.batch_size = batch_size
        self._fuser, self._tile_size = fuser, tile_size

    def fuse(self, ir: Plane, vi: Plane, in_tiles: bool = False) -> list[tuple[Plane, int | None]]:
        """Fuse aligned pairs.

        Args:
            ir: Infrared luminance in [0, 1], (B, H, W).
            vi: Visible luminance, likewise.

        Returns:
            For each pair the fused luminance in [0, 1], (H, W), and the size of the tiles that it
            was fused in; None where it was fused whole.

        Raises:
            MemoryExhaustedError: A pair doesn't fit in the smallest tiles either.
        """
        done: list[tuple[Plane, int | None]] = []
        while len(done) < len(ir):
            first = len(done)
            count = min(self.batch_size, len(ir) - first)
            batch = slice(first, first + count)
            what = f"{count} of {ir.shape[2]}x{ir.shape[1]} pixels"
            whole = partial(self._whole, ir[batch], vi[batch])
            fused = in_room(whole, what, self._fuser.device)
            if not isinstance(fused, NoRoom):
                done += [(image, None) for image in fused]
            elif count > 1:
                self.batch_size = count // 2
                log.warning("batches have %d pairs from here on", self.batch_size)
            else:
                done.append(self._tiled(LuminancePair(ir[first], vi[first])))
        return done

    def _whole(self, ir: Plane, vi: Plane) -> Plane:
        sides = (torch.from_numpy(side)[:, None] for side in (ir, vi))
        fused: Plane = self._fuser(*sides)[:, 0].numpy()
        return fused

    def _tiled(self, pair: LuminancePair) -> tuple[Plane, int]:
        height, width = pair.size
        fuse = tile_fuser(pair, self._fuser)
        receptive_radius = self._fuser.receptive_radius
        # One tile that holds all of the image is what has failed already.
        sizes = [size for size in tile_sizes(self._tile_size) if size < max(pair.size)]
        size, fused = first_that_fits(
            sizes or [SMALLEST_TILE],
            lambda size: fuse_in_tiles(
                pair, fuse, cut_tiles(height, width, size, receptive_radius)
            ),
            f"a pair of {width}x{height} pixels in tiles",
            self._fuser.device,
        )
        return fused, size


def fuse_in_tiles(
    pair: LuminancePair, fuse: Callable[[Tile, LuminancePair], Plane], tiles: Sequence[Tile]
) -> Plane:
    """Fuse a pair in memory as scenes are fused.

    Args:
        pair: The pair.
        fuse: The function that ``tile_fuser`` returned for the pair.
        tiles: All tiles of the pair, in reading order.

    Returns:
        Fused luminance in [0, 1], (H, W).
    """
    blender = Blender(pair.size[1])
    fused = np.empty(pair.size, np.float32)
    for tile in tiles:
        fused[tile.final] = blender.add(tile, fuse(tile, pair.read(tile.read)))
    return fused
