"""Fuses a scene tile by tile; reading, fusing and writing go on at the same time.

One thread reads, one writes, and the calling thread computes. At most two tiles wait for each of
them, so that memory is bounded by the size of a tile, whatever that of the scene.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fusion_core.models.fuser import Fuser
from fusion_core.models.tiling.grid import Blender, Tile
from fusion_core.models.tiling.room import Room
from fusion_core.models.tiling.tile_fuser import tile_fuser
from fusion_core.scenes.pair import ScenePair, ScenePixels

_WAITING = 2
Result = TypeVar("Result")
Write = Callable[[Tile, ScenePixels, NDArray[np.float32]], None]


def fuse_tiles(
    pair: ScenePair,
    fuser: Fuser,
    tiles: Sequence[Tile],
    write: Write,
    *,
    room: Room | None = None,
    careful: bool = False,
) -> None:
    """Fuse a scene tile by tile.

    Args:
        pair: The scene; read by one thread from here on.
        fuser: The method of fusing.
        tiles: All tiles of the scene, in reading order.
        write: Called in that order, by one thread, with each tile, the pixels that were read for
            it, and the fused luminance in [0, 1] at ``tile.final``, (h, w).
        room: What fits of what a network pools over. Default: everything, until memory runs out.
        careful: Whether it pools over smaller patches in any case.

    Raises:
        PairError: Reading, fusing or writing failed; the first error.
        MemoryExhaustedError: Memory doesn't hold what a network pools over.
    """
    fuse = tile_fuser(pair, fuser, room, careful=careful)
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
