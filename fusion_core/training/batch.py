"""A batch of crops: what one step of a training or validation is computed on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fusion_core.training.saliency_masks import SourceMasks


@dataclass(frozen=True)
class Batch:
    """Crops of pairs with their masks.

    Attributes:
        ir: Infrared, (B, 1, S, S), float32, in [0, 1].
        vi: Visible luminance, same shape and range.
        masks: Where each source's brightness counts, 0 or 1.
    """

    ir: Tensor
    vi: Tensor
    masks: SourceMasks

    def part(self, index: int, parts: int) -> Batch:
        """Return one of ``parts`` equal slices; the batch's size must be a multiple of them."""
        count = len(self.ir) // parts
        return self.between(index * count, (index + 1) * count)

    def between(self, first: int, end: int) -> Batch:
        """Return the crops from ``first`` to the one before ``end``."""
        masks = SourceMasks(*(mask[first:end] for mask in self.masks))
        return Batch(self.ir[first:end], self.vi[first:end], masks)

    def to(self, device: str) -> Batch:
        """Return the batch on another device."""
        masks = SourceMasks(*(mask.to(device) for mask in self.masks))
        return Batch(self.ir.to(device), self.vi.to(device), masks)
