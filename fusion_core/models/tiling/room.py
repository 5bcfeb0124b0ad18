"""Predicts which fusions fit into the memory that a worker may take, and which tiles do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fusion_core.models.fuser import Fuser
from fusion_core.models.memory_budget import MemoryBudget
from fusion_core.models.tiling.grid import cut_tiles


@dataclass(frozen=True)
class Room:
    """The memory that there is for fusing.

    Attributes:
        fuser: What fuses.
        budget: What the worker may take; None where all is taken to fit until memory runs out.
        beside: What the worker's other threads may take meanwhile, in bytes.
    """

    fuser: Fuser
    budget: MemoryBudget | None = None
    beside: int = 0

    def holds(self, pixels: int, bytes_per_pixel: int | None = None) -> bool:
        """Tell whether a batch of so many pixels is expected to fit.

        Args:
            pixels: Pixels of the batch.
            bytes_per_pixel: What is taken for each. Default: what the fuser takes.
        """
        if self.budget is None:
            return True
        needed = pixels * (bytes_per_pixel or self.fuser.bytes_per_pixel)
        device = self.fuser.device
        if self.budget.holds(needed, device, beside=self.beside):
            return True
        self.fuser.give_back()
        return self.budget.holds(needed, device, beside=self.beside)

    def most(self, count: int, pixels: int) -> int:
        """Return how many of ``count`` images of so many pixels are expected to fit at once.

        Of ``count`` and its halves the largest; 0 where one alone isn't expected to fit.
        """
        while count and not self.holds(count * pixels):
            count = 0 if count == 1 else (count + 1) // 2
        return count

    def tile_sizes(self, sizes: Iterable[int], height: int, width: int) -> list[int]:
        """Return the sizes of tiles to be tried, from the first that is expected to fit.

        Args:
            sizes: Sizes in pixels, the largest first.
            height: Height of the image in pixels.
            width: Its width.

        Returns:
            The smallest at least, for it may fit after all.
        """
        left = list(sizes)
        while len(left) > 1 and not self.holds(self._largest_tile(left[0], height, width)):
            del left[0]
        return left

    def _largest_tile(self, size: int, height: int, width: int) -> int:
        """Return the pixels that are read for the largest tile."""
        tiles = cut_tiles(height, width, size, self.fuser.receptive_radius)
        rows, columns = (
            max(int(tile.read[side].stop - tile.read[side].start) for tile in tiles)
            for side in (0, 1)
        )
        return rows * columns
