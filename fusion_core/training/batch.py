"""A batch of crops: what one step of a training or validation is computed on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from fusion_core.models.pooling import PreviewPooling, TilePooling
from fusion_core.training.saliency_masks import SourceMasks


@dataclass(frozen=True)
class Batch:
    """Crops of pairs with their masks.

    Attributes:
        ir: Infrared, (B, 1, S, S), float32, in [0, 1].
        vi: Visible luminance, same shape and range.
        masks: Where each source's brightness counts, 0 or 1; None beside a target.
        target: What a teacher fused of them, same shape and range; None without one.
        levels: What ``image_levels`` tells of the whole images, (B, 21, 1, 1); None beside masks.
    """

    ir: Tensor
    vi: Tensor
    masks: SourceMasks | None = None
    target: Tensor | None = None
    levels: Tensor | None = None

    def part(self, index: int, parts: int) -> Batch:
        """Return one of ``parts`` equal slices; the batch's size must be a multiple of them."""
        count = len(self.ir) // parts
        return self.between(index * count, (index + 1) * count)

    def between(self, first: int, end: int) -> Batch:
        """Return the crops from ``first`` to the one before ``end``."""
        return self._each(lambda images: images[first:end])

    def to(self, device: str) -> Batch:
        """Return the batch on another device."""
        return self._each(lambda images: images.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        masks = None if self.masks is None else SourceMasks(*map(change, self.masks))
        target = None if self.target is None else change(self.target)
        levels = None if self.levels is None else change(self.levels)
        return Batch(change(self.ir), change(self.vi), masks, target, levels)

    @property
    def pooling(self) -> TilePooling | None:
        """What the whole images pooled, for their crops as for a scene's tiles; None if unknown."""
        if self.levels is None:
            return None
        return TilePooling(PreviewPooling(channel_weights=self.levels), (0, 1), (0, 1))
