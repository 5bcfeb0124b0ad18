"""Times a fuser on a tile of a large scene, from which a run's duration is estimated."""

from __future__ import annotations

import time

import torch

from fusion_core.models.fuser import Fuser
from fusion_core.models.tiling.grid import cut_tiles


def seconds_per_pixel(fuser: Fuser, tile_size: int) -> float:
    """Return the seconds that a fuser takes for a pixel of a large scene.

    The tile is one from the scene's middle, which reads most around itself.

    Args:
        fuser: What fuses; it is warmed up first.
        tile_size: At most so many pixels between two borders of tiles.
    """
    middle = cut_tiles(3 * tile_size, 3 * tile_size, tile_size, fuser.receptive_radius)[4]
    height, width = (side.stop - side.start for side in middle.read)
    images = torch.rand(1, 1, height, width), torch.rand(1, 1, height, width)
    fuser(*images)
    begin = time.perf_counter()
    fuser(*images)
    return (time.perf_counter() - begin) / tile_size**2
