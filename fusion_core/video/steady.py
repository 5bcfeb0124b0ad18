"""Fuses the frames of a clip so that it doesn't flicker.

Fused one by one, frames differ where nothing moves, for two reasons. The network pools over all
that it sees, so what moves in one corner changes all others a little; and noise of a grey level or
two is amplified. So what is pooled follows the clip slowly, and where neither source changes the
fused value is mostly the one before. Both begin anew at a cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.models.memory import SMALLEST_TILE, first_that_fits, tile_sizes
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.pooling import PreviewPooling, ScenePooling
from fusion_core.models.tiling.batches import LuminancePair, fuse_in_tiles
from fusion_core.models.tiling.grid import ALIGNMENT, Tile, cut_tiles
from fusion_core.models.tiling.room import Room
from fusion_core.models.tiling.tile_fuser import PATCH

POOL_EVERY = 16
"""Frames after which the network pools anew; each frame follows it by as large a share."""

_STILL, _MOVING = 0.5, 2.0
"""Grey levels of 255. Where both sources change by less than the first, the fused value follows by
``_FOLLOW``; by more than the second, at once. Beyond 2 grey levels VIF and SSIM fall by 2 % and
more, for then real changes are averaged away."""

_FOLLOW = 0.2
_SHARE = 0.25
"""What a held value takes of each source's change, so that it doesn't lag behind a slow one.

Of 27 settings of these four, tried on 20 frames of each of three clips of M3SVD with both packaged
networks, these hold most within about 1 % of the metrics. Over all frames (the guide has the
record) the fused video changes by 0.28 of what it does frame by frame where neither source does,
by 0.47 where neither changes by more than a grey level; no metric's mean falls by more than 0.4 %
for RefineFuse; for the mini network SSIM falls by 1.2 %, the others by 0.5 % at most.
"""

_THUMBNAIL = 32  # pixels along each side
_CUT = 0.1
"""A cut is where either side's thumbnails differ by so much of the range in the mean, and by
``_JUMP`` times what they differed by the frame before."""

_JUMP = 4.0

Plane = NDArray[np.float32]
_Weights = torch.Tensor | None


@dataclass
class SteadyState:
    """What one frame leaves to the next, and a segment to the next.

    Attributes:
        before: The luminances of the frame before and its fused one, infrared first; None at the
            beginning of a segment.
        thumbnails: Of the frame before, infrared first.
        change: By how much the last two frames' thumbnails differed, likewise.
        target: What the network pooled last; None before, and for one that pools nothing.
        carried: What it uses, in fp32.
        age: Frames since it pooled.
    """

    before: tuple[Plane, Plane, Plane] | None = None
    thumbnails: tuple[Plane, Plane] | None = None
    change: tuple[float, float] = (0.0, 0.0)
    target: ScenePooling | None = None
    carried: ScenePooling | None = None
    age: int = 0


class SteadyFuser:
    """Fuses frames of one size, one after the other.

    Args:
        room: What fuses, and what of it fits into memory.
        tile_size: Largest side of a tile in pixels, for frames that memory doesn't hold whole.
        steady: Whether anything is carried from frame to frame.
        whole: Whether frames are fused whole where memory seems to hold that.
        state: What an earlier segment left.

    Attributes:
        state: What is left to the next frame.
        smallest: The smallest tiles that frames were fused in, in pixels; None where all were
            fused whole.
    """

    def __init__(
        self,
        room: Room,
        *,
        tile_size: int,
        steady: bool = True,
        whole: bool = True,
        state: SteadyState | None = None,
    ):
        self._room, self._tile_size, self._steady = room, tile_size, steady
        self._whole = whole
        fuser = room.fuser
        pools = steady and isinstance(fuser, NetworkFuser) and fuser.cells
        self._network = fuser if pools and isinstance(fuser, NetworkFuser) else None
        self.state = state or SteadyState()
        self.smallest: int | None = None

    def fuse(self, ir: Plane, vi: Plane) -> tuple[Plane, bool]:
        """Fuse the next frame.

        Args:
            ir: Infrared luminance in [0, 1], (H, W).
            vi: Visible luminance, likewise.

        Returns:
            The fused luminance, likewise, and whether this is the first frame after a cut.

        Raises:
            MemoryExhaustedError: A frame doesn't fit in the smallest tiles either.
            GpuFaultError: Nor is that for want of memory.
        """
        cut = self._steady and self._look_for_cut(ir, vi)
        fused = self._fused(LuminancePair(ir, vi))
        if self._steady:
            if self.state.before is not None:
                fused = held(fused, self.state.before, ir, vi)
            self.state.before = (ir, vi, fused)
        return fused, cut

    def _look_for_cut(self, ir: Plane, vi: Plane) -> bool:
        """Tell whether a frame is the first after a cut, and forget what was before it."""
        state, now = self.state, (thumbnail(ir), thumbnail(vi))
        cut = False
        if state.thumbnails is not None:
            first, second = (
                float(np.abs(a - b).mean()) for a, b in zip(state.thumbnails, now, strict=True)
            )
            cut = any(
                change > max(_CUT, _JUMP * earlier)
                for change, earlier in zip((first, second), state.change, strict=True)
            )
            state.change = (first, second)
        if cut:
            self.state = SteadyState(change=self.state.change)
        self.state.thumbnails = now
        return cut

    def _fused(self, pair: LuminancePair) -> Plane:
        """Fuse a frame whole, or in the largest tiles that memory holds."""
        fuser, (height, width) = self._room.fuser, pair.size
        pooling = self._pooling(self._network, pair) if self._network else None

        def fuse_tile(tile: Tile, pixels: LuminancePair) -> Plane:
            sides = (torch.from_numpy(side)[None, None] for side in (pixels.ir, pixels.vi))
            shared = (pooling.tile(*tile.read),) if pooling else ()
            fused: Plane = fuser(*sides, *shared)[0, 0].numpy()
            return fused

        def in_tiles(size: int) -> Plane:
            tiles = cut_tiles(height, width, size, fuser.receptive_radius)
            return fuse_in_tiles(pair, fuse_tile, tiles)

        whole = -(-max(height, width) // ALIGNMENT) * ALIGNMENT
        smaller = [size for size in tile_sizes(self._tile_size) if size < whole]
        tried = [whole, *smaller] if self._whole else smaller or [SMALLEST_TILE]
        sizes = self._room.tile_sizes(tried, height, width)
        what = f"a frame of {width}x{height} pixels in tiles"
        size, fused = first_that_fits(sizes, in_tiles, what, fuser.device)
        if size < whole:
            self.smallest = min(size, self.smallest or size)
        return fused

    def _pooling(self, network: NetworkFuser, pair: LuminancePair) -> ScenePooling:
        """Return what the network pools over, which follows the clip slowly."""
        state = self.state
        if state.target is None or state.age >= POOL_EVERY:
            height, width = pair.size
            ir, vi = (
                torch.from_numpy(np.ascontiguousarray(plane))[None, None]
                for plane in pair.patches(network.cells, PATCH)
            )
            state.target, state.age = network.pool(ir, vi, height, width), 0
        state.age += 1
        state.carried = followed(state.carried, state.target)
        used = state.target.preview
        kinds = {level: grid.dtype for level, grid in used.grids.items()}
        weights = state.carried.preview.channel_weights
        return replace(
            state.carried,
            preview=PreviewPooling(
                {level: g.to(kinds[level]) for level, g in state.carried.preview.grids.items()},
                None
                if weights is None or used.channel_weights is None
                else weights.to(used.channel_weights.dtype),
            ),
        )


def held(fused: Plane, before: Sequence[Plane], ir: Plane, vi: Plane) -> Plane:
    """Return a fused frame that mostly keeps the value before where neither source changes.

    Args:
        fused: The fused luminance in [0, 1], (H, W).
        before: The luminances of the frame before, infrared, visible and fused, likewise.
        ir: The infrared luminance, likewise.
        vi: The visible one.
    """
    ir_change, vi_change = ir - before[0], vi - before[1]
    kept = before[2] + np.float32(_SHARE) * (ir_change + vi_change)
    share = np.maximum(np.abs(ir_change), np.abs(vi_change))
    share *= 255 / (_MOVING - _STILL)
    share -= _STILL / (_MOVING - _STILL)
    np.clip(share, 0, 1, out=share)
    share *= 1 - _FOLLOW
    share += _FOLLOW
    result: Plane = kept + share * (fused - kept)
    return result


def followed(carried: ScenePooling | None, target: ScenePooling) -> ScenePooling:
    """Return pooling in fp32 that goes from what was carried 1 / ``POOL_EVERY`` to the target."""
    new = target.preview
    old = new if carried is None else carried.preview
    share = 1 / POOL_EVERY
    grids = {
        level: torch.lerp(old.grids[level].float(), grid.float(), share)
        for level, grid in new.grids.items()
    }
    weights: _Weights = None
    if new.channel_weights is not None and old.channel_weights is not None:
        weights = torch.lerp(old.channel_weights.float(), new.channel_weights.float(), share)
    return replace(target, preview=PreviewPooling(grids, weights))


def thumbnail(plane: Plane) -> Plane:
    """Return an image as means over some 32 by 32 blocks of it."""
    rows, columns = (max(1, size // _THUMBNAIL) for size in plane.shape)
    height, width = plane.shape[0] // rows, plane.shape[1] // columns
    blocks = plane[: height * rows, : width * columns].reshape(height, rows, width, columns)
    small: Plane = blocks.mean(axis=(1, 3))
    return small
