"""Fuses a scene tile by tile; reading, fusing and writing go on at the same time.

One thread reads, one writes, and the calling thread computes. At most two tiles wait for each of
them, so that memory is bounded by the size of a tile, whatever that of the scene.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.models.fuser import Fuser
from fusion_core.models.memory import first_that_fits
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.pooling import ScenePooling
from fusion_core.models.tiling.grid import Blender, Tile
from fusion_core.models.tiling.patches import Luminances
from fusion_core.scenes.pair import ScenePair, ScenePixels

PATCH = 64
"""Side of the full-resolution patches, one a cell, over which a scene pools, in pixels.

Pooling over a decimated scene is what first comes to mind, and moved the pixels of a Landsat scene
by 1.1 to 3.4 grey levels of 255 in the mean, since features of a shrunken image are others. Patches
of 16, 32 and 64 pixels moved them by 0.17, 0.23 and 0.11, those of a rougher scene of 2000x2000
pixels by 1.9, 0.9 and 0.2. Pooling over 64 takes the memory of one tile of 768.
"""

_WAITING = 2
Result = TypeVar("Result")


class Tileable(Protocol):
    """A pair of images that is fused in tiles."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        ...

    def patches(self, cells: int, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return samples as ``sample_patches`` does."""
        ...


Write = Callable[[Tile, ScenePixels, NDArray[np.float32]], None]


def fuse_tiles(pair: ScenePair, fuser: Fuser, tiles: Sequence[Tile], write: Write) -> None:
    """Fuse a scene.

    Args:
        pair: The scene; read by one thread from here on.
        fuser: What fuses.
        tiles: All tiles of the scene, in reading order.
        write: Called in that order, by one thread, with each tile, what was read for it, and the
            fused luminance in [0, 1] at ``tile.final``, (h, w).

    Raises:
        PairError: What reading, fusing or writing raised first.
        MemoryExhaustedError: Memory doesn't hold what a network pools over.
    """
    fuse = tile_fuser(pair, fuser)
    blender = Blender(pair.size[1])

    def finish(tile: Tile, pixels: ScenePixels, fused: NDArray[np.float32]) -> None:
        write(tile, pixels, blender.add(tile, fused))

    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        writing: deque[Future[None]] = deque()
        try:
            for tile, pixels in _ahead(reader, lambda tile: pair.read(tile.read), tiles):
                fused = fuse(tile, pixels)
                while len(writing) >= _WAITING:
                    writing.popleft().result()
                writing.append(writer.submit(finish, tile, pixels, fused))
            while writing:
                writing.popleft().result()
        except BaseException:
            reader.shutdown(wait=False, cancel_futures=True)
            writer.shutdown(wait=False, cancel_futures=True)
            raise


def tile_fuser(pair: Tileable, fuser: Fuser) -> Callable[[Tile, Luminances], NDArray[np.float32]]:
    """Return what fuses the tiles of a scene: (h, w) of what was read for the tile, in [0, 1].

    A network that pools over whole images first pools over patches from all over the scene; over
    smaller ones where memory doesn't hold them.

    Raises:
        MemoryExhaustedError: It doesn't hold the smallest.
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

    what = f"what {width}x{height} pixels share, in patches"
    _, scene = first_that_fits((PATCH, PATCH // 2, PATCH // 4), pool, what, network.device)

    def fuse(tile: Tile, pixels: Luminances) -> NDArray[np.float32]:
        return _fused(network, pixels.ir, pixels.vi, scene.tile(*tile.read))

    return fuse


def _fused(
    fuser: Any, ir: NDArray[np.float32], vi: NDArray[np.float32], *pooling: Any
) -> NDArray[np.float32]:
    sides = (torch.from_numpy(side)[None, None] for side in (ir, vi))
    fused: NDArray[np.float32] = fuser(*sides, *pooling)[0, 0].numpy()
    return fused


def _ahead(
    reader: ThreadPoolExecutor, read: Callable[[Tile], Result], tiles: Sequence[Tile]
) -> Iterator[tuple[Tile, Result]]:
    """Read tiles ahead of their use."""
    reading: deque[tuple[Tile, Future[Result]]] = deque()
    for tile in tiles:
        reading.append((tile, reader.submit(read, tile)))
        if len(reading) > _WAITING:
            done, future = reading.popleft()
            yield done, future.result()
    while reading:
        done, future = reading.popleft()
        yield done, future.result()
