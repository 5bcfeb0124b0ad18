"""Reads pairs whole, finds what is salient in them, and cuts them into random augmented crops.

A batch is a function of (seed, step) alone, so a resumed run sees what an uninterrupted one would.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from fusion_core.archive.plan import PairRef
from fusion_core.errors import PairError
from fusion_core.jobs.loading import load_pair
from fusion_core.settings.run import PairSettings
from fusion_core.settings.scaling import ScalingSettings
from fusion_core.storage.store import Storage
from fusion_core.training.batch import Batch
from fusion_core.training.loss_config import LossConfig
from fusion_core.training.saliency_masks import saliency, source_masks

LuminancePair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Infrared and visible luminance, each (H, W) rounded to 8 bits."""

INFRARED, VISIBLE, SALIENT = range(3)

CHANGED = 0.5  # share of crops that are shrunk, of images with less contrast, of those darkened
LARGEST_ZOOM = 1.6
_LEAST_CONTRAST = 0.2


def read_luminances(
    pair: PairRef, source: Storage, settings: PairSettings, max_megapixels: float
) -> LuminancePair:
    """Read infrared and visible luminance of a pair, each (H, W) rounded to 8 bits.

    Raises:
        PairError: of the kind that stopped it, with the pair's id.
    """
    try:
        loaded = load_pair(
            pair,
            source,
            settings=ScalingSettings(size_mismatch=settings.size_mismatch),
            max_megapixels=max_megapixels,
        )
    except PairError as error:
        raise type(error)(f"pair {pair.pair_id} can't be trained on: {error}") from error
    ir, vi = (np.rint(255 * image).astype(np.uint8) for image in loaded.luminances())
    return ir, vi


class CropSource:
    """Holds pairs in memory, one byte a pixel, and cuts batches of crops with their masks."""

    def __init__(
        self,
        images: Iterable[LuminancePair],
        size: int,
        loss: LossConfig,
    ) -> None:
        """Find what is salient on whole images, and pad them to the size of a crop.

        Args:
            images: Infrared and visible luminance of each pair, (H, W) of one size.
            size: Side of a crop.
            loss: What the masks depend on.
        """
        self.size = size
        self._loss = loss
        self._stacks = [_stack(ir, vi, size, loss) for ir, vi in images]

    def random_batch(self, count: int, seed: int, step: int) -> Batch:
        """Cut random crops, flipped and turned, many of them shrunk or with less contrast.

        Half of all crops are cut up to 1.6 times as large and shrunk to size, since images differ
        in sharpness more than those of one data set. Half of all images are mapped to g x + o, with
        g from 0.2 to 1 and o from 0 to 1 - g; every other of those with o = 0, which darkens.
        Without darkening a network trained on day scenes put a grey veil over night ones, and
        without a lower contrast one that knew sharp infrared images only let a flat one cover the
        visible texture.

        Args:
            count: Number of crops.
            seed: Seed of the training.
            step: Step that the crops are for; equal seeds and steps give equal crops.
        """
        random = np.random.default_rng((seed, step))
        crops = []
        for index in random.integers(len(self._stacks), size=count):
            stack = self._stacks[index]
            zoom = random.uniform(1, LARGEST_ZOOM) if random.random() < CHANGED else 1
            side = min(round(self.size * zoom), *stack.shape[1:])
            top = random.integers(stack.shape[1] - side + 1)
            left = random.integers(stack.shape[2] - side + 1)
            crop = _shrink(stack[:, top : top + side, left : left + side], self.size)
            crop = np.rot90(crop, int(random.integers(4)), axes=(1, 2))
            crops.append(crop[:, :, ::-1] if random.integers(2) else crop)
        return self._batch(crops, *less_contrast(random, count))

    def centre_batch(self) -> Batch:
        """Cut the centre of every pair: always the same crops."""
        crops = []
        for stack in self._stacks:
            top, left = (stack.shape[1] - self.size) // 2, (stack.shape[2] - self.size) // 2
            crops.append(stack[:, top : top + self.size, left : left + self.size])
        return self._batch(crops, np.ones((2, 1)), np.zeros((2, 1)))

    def _batch(
        self,
        crops: list[NDArray[np.uint8]],
        contrast: NDArray[np.float64],
        offset: NDArray[np.float64],
    ) -> Batch:
        """Stack crops, change both images of each, and find the masks of what came out."""
        layers = torch.from_numpy(np.stack(crops)).float().unsqueeze(2) / 255
        gain_ir, gain_vi = torch.from_numpy(contrast).float()[:, :, None, None, None]
        lift_ir, lift_vi = torch.from_numpy(offset).float()[:, :, None, None, None]
        ir = layers[:, INFRARED] * gain_ir + lift_ir
        vi = layers[:, VISIBLE] * gain_vi + lift_vi
        return Batch(ir, vi, source_masks(ir, vi, self._loss, layers[:, SALIENT]))


def less_contrast(
    random: np.random.Generator, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw g and o of g x + o for both images of so many pairs, each (2, count)."""
    changed, lifted = random.random((2, 2, count)) < CHANGED
    contrast = np.where(changed, random.uniform(_LEAST_CONTRAST, 1, (2, count)), 1)
    offset = np.where(lifted, random.uniform(0, 1, (2, count)), 0) * (1 - contrast)
    return contrast, offset


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
