"""Finds what is salient in whole pairs, and cuts them into random augmented crops.

A batch is a function of (seed, step) alone, so a resumed run sees what an uninterrupted one would.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from fusion_core.training.augmentation import CHANGED, LARGEST_ZOOM, Bools, blackened, less_contrast
from fusion_core.training.batch import Batch
from fusion_core.training.byte_cache import ByteCache
from fusion_core.training.loss_config import LossConfig
from fusion_core.training.reading import Pairs
from fusion_core.training.saliency_masks import saliency, source_masks

INFRARED, VISIBLE, SALIENT = range(3)

MOST_BYTES = 1536 << 20
"""What a source of crops keeps, unless it is told."""


class CropSource:
    """Cuts batches of crops with their masks out of pairs, and keeps the last pairs it read.

    A pair takes three bytes a pixel.
    """

    def __init__(
        self,
        images: Pairs,
        size: int,
        loss: LossConfig,
        most_bytes: int = MOST_BYTES,
        *,
        black: float = 0.0,
    ) -> None:
        """Read nothing yet.

        Args:
            images: Infrared and visible luminance of each pair, (H, W) of one size.
            size: Side of a crop.
            loss: What the masks depend on.
            most_bytes: What is kept of the pairs at most.
            black: Share of random crops of which a part is made black in both images.
        """
        self.size = size
        self._black = black
        self._images = images
        self._loss = loss
        self._cache = ByteCache(most_bytes)

    def unread(self, count: int, seed: int, step: int) -> list[int]:
        """Return the numbers of the pairs that ``random_batch`` would read, in its order."""
        random = np.random.default_rng((seed, step))
        drawn = random.integers(len(self._images), size=count).tolist()
        return [number for number in drawn if number not in self._cache]

    def random_batch(self, count: int, seed: int, step: int) -> Batch:
        """Cut random crops, flipped and turned, many of them shrunk or with less contrast.

        Half of all crops are cut up to 1.6 times as large and shrunk to size, since images differ
        in sharpness more than those of one data set. Half of all images are mapped to g x + o, with
        g from 0.2 to 1 and o from 0 to 1 - g; every other of those with o = 0, which darkens.
        Without darkening a network trained on day scenes put a grey veil over night ones, and
        without a lower contrast one that knew sharp infrared images only let a flat one cover the
        visible texture. A part of some is made black, see ``blackened``.

        Args:
            count: Number of crops.
            seed: Seed of the training.
            step: Step that the crops are for; equal seeds and steps give equal crops.
        """
        random = np.random.default_rng((seed, step))
        crops = []
        for number in random.integers(len(self._images), size=count).tolist():
            stack = self._stack(number)
            zoom = random.uniform(1, LARGEST_ZOOM) if random.random() < CHANGED else 1
            side = min(round(self.size * zoom), *stack.shape[1:])
            top = random.integers(stack.shape[1] - side + 1)
            left = random.integers(stack.shape[2] - side + 1)
            # A copy, since a view would hold the whole pair until the batch is made.
            crop = _shrink(stack[:, top : top + side, left : left + side].copy(), self.size)
            crop = np.rot90(crop, int(random.integers(4)), axes=(1, 2))
            crops.append(crop[:, :, ::-1] if random.integers(2) else crop)
        contrast, offset = less_contrast(random, count)
        black = blackened(random, count, self.size, self._black)
        return self._batch(crops, contrast, offset, black)

    def centre_batches(self, count: int) -> Iterator[Batch]:
        """Cut the centre of every pair, always the same crops, so many pairs at a time."""
        crops: list[NDArray[np.uint8]] = []
        for ir, vi in self._images:
            stack = _stack(ir, vi, self.size, self._loss)
            top, left = (stack.shape[1] - self.size) // 2, (stack.shape[2] - self.size) // 2
            crops.append(stack[:, top : top + self.size, left : left + self.size].copy())
            if len(crops) == count:
                yield self._batch(crops, np.ones((2, 1)), np.zeros((2, 1)))
                crops = []
        if crops:
            yield self._batch(crops, np.ones((2, 1)), np.zeros((2, 1)))

    def _stack(self, number: int) -> NDArray[np.uint8]:
        stack = self._cache.get(number)
        if stack is None:
            stack = _stack(*self._images[number], self.size, self._loss)
            self._cache.keep(number, stack)
        return stack

    def _batch(
        self,
        crops: list[NDArray[np.uint8]],
        contrast: NDArray[np.float64],
        offset: NDArray[np.float64],
        black: Bools | None = None,
    ) -> Batch:
        """Stack crops, change both images of each, and find the masks of what came out."""
        layers = torch.from_numpy(np.stack(crops)).float().unsqueeze(2) / 255
        gain_ir, gain_vi = torch.from_numpy(contrast).float()[:, :, None, None, None]
        lift_ir, lift_vi = torch.from_numpy(offset).float()[:, :, None, None, None]
        ir = layers[:, INFRARED] * gain_ir + lift_ir
        vi = layers[:, VISIBLE] * gain_vi + lift_vi
        if black is not None:
            seen = torch.from_numpy(~black).unsqueeze(1)
            ir, vi = ir * seen, vi * seen
        return Batch(ir, vi, source_masks(ir, vi, self._loss, layers[:, SALIENT]))


def _shrink(crop: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize (3, S, S) to ``size``; what is salient stays 0 or 255."""
    if crop.shape[1] == size:
        return crop
    layers = torch.from_numpy(crop).float()[None]
    resized = functional.interpolate(layers, (size, size), mode="bilinear", antialias=True)[0]
    resized[SALIENT] = (resized[SALIENT] > 127) * 255.0
    return resized.round().byte().numpy()


def _stack(
    ir: NDArray[np.uint8], vi: NDArray[np.uint8], size: int, loss: LossConfig
) -> NDArray[np.uint8]:
    """Return a pair as (3, H, W): infrared, visible, and 255 where the infrared is salient."""
    infrared = torch.from_numpy(ir)[None, None].float() / 255
    salient = saliency(infrared, loss.saliency_deviations, loss.saliency_floor)
    stack = np.stack([ir, vi, salient[0, 0].numpy().astype(np.uint8) * 255])
    missing = [(0, max(0, size - side)) for side in stack.shape[1:]]
    return np.pad(stack, [(0, 0), *missing], mode="symmetric")
