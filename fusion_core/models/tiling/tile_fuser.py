"""Fuses one tile at a time, so that tiles of one image agree where they meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.models.fuser import Fuser
from fusion_core.models.memory import first_that_fits
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.pooling import ScenePooling
from fusion_core.models.tiling.grid import Tile
from fusion_core.models.tiling.patches import Luminances
from fusion_core.models.tiling.room import Room

PATCH = 64
"""Side of the full-resolution patches, one a cell, over which a scene pools, in pixels.

Pooling over a decimated scene is what first comes to mind, and moved the pixels of a Landsat scene
by 1.1 to 3.4 grey levels of 255 in the mean, since features of a shrunken image are others. Patches
of 16, 32 and 64 pixels moved them by 0.17, 0.23 and 0.11, those of a rougher scene of 2000x2000
pixels by 1.9, 0.9 and 0.2. Pooling over 64 takes the memory of one tile of 768.
"""


class Tileable(Protocol):
    """A pair of images that is fused in tiles."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        ...

    def patches(self, cells: int, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return samples as ``sample_patches`` does."""
        ...


def tile_fuser(
    pair: Tileable, fuser: Fuser, room: Room | None = None, *, careful: bool = False
) -> Callable[[Tile, Luminances], NDArray[np.float32]]:
    """Return a function that fuses a tile: to (h, w) in [0, 1], of the pixels read for it.

    A network that pools over whole images first pools over patches from all over the scene; over
    smaller ones where memory doesn't hold them, or isn't expected to.

    Args:
        pair: The pair.
        fuser: What fuses.
        room: What fits. Default: everything does, until memory runs out.
        careful: Whether to begin with patches of half the side.

    Raises:
        MemoryExhaustedError: Memory doesn't hold the smallest patches.
    """
    if not (isinstance(fuser, NetworkFuser) and fuser.cells):
        return lambda _, pixels: _fused(fuser, pixels.ir, pixels.vi)
    network = fuser
    height, width = pair.size

    def pool(side: int) -> ScenePooling:
        ir, vi = (
            torch.from_numpy(plane)[None, None] for plane in pair.patches(network.cells, side)
        )
        return network.pool(ir, vi, height, width)

    def fits(side: int) -> bool:
        rows, columns = (min(total, network.cells * side) for total in (height, width))
        return room is None or room.holds(rows * columns, network.pool_bytes_per_pixel)

    what = f"what {width}x{height} pixels share, in patches"
    sides = [PATCH // 2, PATCH // 4] if careful else [PATCH, PATCH // 2, PATCH // 4]
    while len(sides) > 1 and not fits(sides[0]):
        del sides[0]
    _, scene = first_that_fits(sides, pool, what, network.device)

    def fuse(tile: Tile, pixels: Luminances) -> NDArray[np.float32]:
        return _fused(network, pixels.ir, pixels.vi, scene.tile(*tile.read))

    return fuse


def _fused(
    fuser: Any, ir: NDArray[np.float32], vi: NDArray[np.float32], *pooling: Any
) -> NDArray[np.float32]:
    sides = (torch.from_numpy(side)[None, None] for side in (ir, vi))
    fused: NDArray[np.float32] = fuser(*sides, *pooling)[0, 0].numpy()
    return fused
