"""Fuses photographs in what memory there is: in batches, one by one, or in tiles."""

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
    Shortage,
    first_that_fits,
    in_room,
    smaller_tile,
    tile_sizes,
    tiles_remark,
)
from fusion_core.models.tiling.grid import Blender, Slices, Tile, cut_tiles
from fusion_core.models.tiling.patches import sample_patches
from fusion_core.models.tiling.room import Room
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
    """Fuses batches of photographs, in pieces as small as memory asks for.

    No more is fused at once than is expected to fit, and less where memory runs out all the same: a
    batch that didn't fit is halved, and later ones are no larger, which changes no pixel. What
    doesn't fit alone is fused in tiles, and the next photograph is looked at afresh, since its
    pixels would be others by some grey levels.

    Attributes:
        batch_size: At most so many pairs are fused at once; goes down.
    """

    def __init__(
        self, fuser: Fuser, batch_size: int, tile_size: int, room: Room | None = None
    ) -> None:
        """Take a fuser, the first ``batch_size``, and the largest side of a tile in pixels.

        Args:
            fuser: What fuses.
            batch_size: At most so many pairs are fused at once.
            tile_size: Largest side of a tile in pixels.
            room: What fits. Default: everything does, until memory runs out.
        """
        self.batch_size = batch_size
        self._fuser, self._tile_size = fuser, tile_size
        self._room = room or Room(fuser)

    def fuse(
        self, ir: Plane, vi: Plane, *, in_tiles: bool = False
    ) -> list[tuple[Plane, str | None]]:
        """Fuse aligned pairs.

        Args:
            ir: Infrared luminance in [0, 1], (B, H, W).
            vi: Visible luminance, likewise.
            in_tiles: Whether to fuse in tiles of half the usual size at most, because memory ran
                out for these pairs in another worker.

        Returns:
            For each pair the fused luminance in [0, 1], (H, W), and a remark where it was fused in
            tiles; None where it was fused whole.

        Raises:
            MemoryExhaustedError: A pair doesn't fit in the smallest tiles either.
            GpuFaultError: Nor is that for want of memory.
        """
        done: list[tuple[Plane, str | None]] = []
        while len(done) < len(ir):
            first = len(done)
            pair = LuminancePair(ir[first], vi[first])
            count = min(self.batch_size, len(ir) - first)
            if in_tiles:
                done.append(self._tiled(pair, "ran out in another worker"))
            elif not (count := self._room.most(count, pair.ir.size)):
                done.append(self._tiled(pair, "was expected to run out"))
            else:
                done += self._at_once(ir[first : first + count], vi[first : first + count])
        return done

    def _at_once(self, ir: Plane, vi: Plane) -> list[tuple[Plane, str | None]]:
        """Fuse a batch; nothing is done where memory holds fewer at once, see ``batch_size``."""
        count = len(ir)
        what = f"{count} of {ir.shape[2]}x{ir.shape[1]} pixels"
        fused = in_room(partial(self._whole, ir, vi), what, self._fuser.device)
        if not isinstance(fused, NoRoom):
            return [(image, None) for image in fused]
        if count == 1:
            return [self._tiled(LuminancePair(ir[0], vi[0]), "ran out")]
        self.batch_size = count // 2
        log.warning("batches have %d pairs from here on", self.batch_size)
        return []

    def _whole(self, ir: Plane, vi: Plane) -> Plane:
        sides = (torch.from_numpy(side)[:, None] for side in (ir, vi))
        fused: Plane = self._fuser(*sides)[:, 0].numpy()
        return fused

    def _tiled(self, pair: LuminancePair, memory: Shortage) -> tuple[Plane, str]:
        height, width = pair.size
        careful = memory == "ran out in another worker"
        fuse = tile_fuser(pair, self._fuser, self._room, careful=careful)
        largest = smaller_tile(self._tile_size) if careful else self._tile_size
        # One tile that holds all of the image is what has failed already.
        sizes = [size for size in tile_sizes(largest) if size < max(pair.size)]
        fitting = self._room.tile_sizes(sizes or [SMALLEST_TILE], height, width)
        size, fused = first_that_fits(
            fitting,
            lambda size: fuse_in_tiles(
                pair, fuse, cut_tiles(height, width, size, self._fuser.receptive_radius)
            ),
            f"a pair of {width}x{height} pixels in tiles",
            self._fuser.device,
        )
        return fused, tiles_remark(size, memory if size == fitting[0] else "ran out")


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
