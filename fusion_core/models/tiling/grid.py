"""Cuts a scene into tiles that overlap, and blends the fused tiles, in fp32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLEND = 16
"""Pixels on either side of a border between tiles over which one passes into the other."""

Slices = tuple[slice, slice]
"""Rows and columns of an image."""

ALIGNMENT = 16
"""Tiles start at multiples of it, so that networks and pyramids halve all of them in step."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """The rows or the columns of a tile, in pixels of the scene; ends are exclusive.

    Attributes:
        zone: What the tile contributes to: from ``BLEND`` before its first border to ``BLEND``
            after its last; the scene's edge where there is no neighbour.
        final: The part of the zone that is complete once the tile is added.
        read: The zone and what surrounds it, as far as it is needed and the scene reaches.
        first: Whether there is no tile before.
        last: Whether there is none after.
    """

    zone: slice
    final: slice
    read: slice
    first: bool
    last: bool

    def weights(self) -> NDArray[np.float32]:
        """Return the tile's weight along the zone: a raised cosine at each border, else 1."""
        weights = np.ones(self.zone.stop - self.zone.start, np.float32)
        ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * BLEND) + 0.5) / (2 * BLEND))).astype(
            np.float32
        )
        if not self.first:
            weights[: 2 * BLEND] = ramp
        if not self.last:
            weights[-2 * BLEND :] = 1 - ramp
        return weights


@dataclass(frozen=True)
class Tile:
    """A tile of a scene: its rows and its columns."""

    rows: Span
    columns: Span

    @property
    def read(self) -> Slices:
        """Rows and columns to be read."""
        return self.rows.read, self.columns.read

    @property
    def final(self) -> Slices:
        """Rows and columns that are complete once the tile is added."""
        return self.rows.final, self.columns.final

    def cut(self, image: NDArray[Any], part: Slices) -> NDArray[Any]:
        """Take a part of the scene out of an array (…, H, W) that holds what was read."""
        top, left = self.rows.read.start, self.columns.read.start
        rows, columns = part
        return image[
            ..., rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]


def cut_tiles(
    height: int, width: int, size: int, receptive_radius: int, *, shift: int = 0
) -> list[Tile]:
    """Cut a scene into tiles, in reading order.

    Args:
        height: Rows of the scene.
        width: Its columns.
        size: At most so many pixels between two borders, a multiple of ``ALIGNMENT``.
        receptive_radius: Around a pixel that counts, so many pixels are read, to the scene's edge
            at most.
        shift: Moves all borders by so many pixels, a multiple of ``ALIGNMENT``.
    """
    columns = list(_spans(width, size, receptive_radius, shift))
    return [
        Tile(rows, column)
        for rows in _spans(height, size, receptive_radius, shift)
        for column in columns
    ]


def _spans(total: int, size: int, receptive_radius: int, shift: int) -> Iterator[Span]:
    count = -(-total // size)
    step = -(-total // (count * ALIGNMENT)) * ALIGNMENT
    borders = list(range(shift or step, total - 2 * BLEND, step))
    margin = -(-(receptive_radius + BLEND) // ALIGNMENT) * ALIGNMENT
    for start, stop in zip([0, *borders], [*borders, total], strict=True):
        first, last = start == 0, stop == total
        zone = slice(0 if first else start - BLEND, total if last else stop + BLEND)
        final = slice(zone.start, total if last else stop - BLEND)
        read = slice(max(start - margin, 0), min(stop + margin, total))
        yield Span(zone=zone, final=final, read=read, first=first, last=last)


class Blender:
    """Adds tiles up where they overlap; holds two strips of the scene's width and one tile.

    Args:
        width: Columns of the scene.
    """

    def __init__(self, width: int):
        self._above = np.zeros((2 * BLEND, width), np.float32)
        self._below = np.zeros((2 * BLEND, width), np.float32)
        self._beside = np.zeros((0, 0), np.float32)

    def add(self, tile: Tile, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add a tile; tiles come in reading order.

        Args:
            tile: The tile.
            image: What was made of the pixels read for it, (h, w).

        Returns:
            The blended scene at ``tile.final``.
        """
        rows, columns = tile.rows, tile.columns
        zone = (rows.zone, columns.zone)
        sums = tile.cut(image, zone) * rows.weights()[:, None] * columns.weights()
        both = 2 * BLEND
        fresh = 0 if columns.first else both  # columns before it were begun by the tile beside
        if not columns.first:
            sums[:, :both] += self._beside
        if not rows.first:
            left = columns.zone.start + fresh
            sums[:both, fresh:] += self._above[:, left : columns.zone.stop]
        if not columns.last:
            self._beside = sums[:, -both:].copy()
        done = columns.final.stop - columns.final.start
        if not rows.last:
            self._below[:, columns.final] = sums[-both:, :done]
        if columns.last:
            self._above, self._below = self._below, self._above
        return sums[: rows.final.stop - rows.final.start, :done]
