"""Cuts crops of pairs together with what a teacher makes of the whole images.

A teacher that pools over an image fuses a crop otherwise than the image around it, so it always
sees whole images. Since they can't be changed afterwards as crops can, it fuses some versions of
each pair: the pair as it is, and others shrunk and with less contrast.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from fusion_core.models.fuser import Fuser
from fusion_core.models.mini_network import image_levels
from fusion_core.training.batch import Batch
from fusion_core.training.data import CHANGED, LARGEST_ZOOM, LuminancePair, less_contrast

_TOP = 65535  # 16 bits hold what a teacher says to a two-hundredth of a grey level


class _Version(NamedTuple):
    """A version of a pair.

    Attributes:
        stack: Infrared, visible, and what the teacher made of them, (3, H, W).
        levels: What ``image_levels`` tells of the pair, (1, 21, 1, 1).
    """

    stack: NDArray[np.uint16]
    levels: torch.Tensor


class TaughtCrops:
    """Holds pairs and what the teacher made of them, six bytes a pixel, and cuts batches of crops.

    A version of a pair is fused when the first crop of it is asked for, and depends on the seed
    and its number alone.
    """

    def __init__(
        self,
        images: Iterable[LuminancePair],
        size: int,
        teacher: Fuser,
        *,
        versions: int,
        seed: int,
    ) -> None:
        """Keep the pairs.

        Args:
            images: Infrared and visible luminance of each pair, (H, W) of one size.
            size: Side of a crop.
            teacher: What the student is to do as well.
            versions: Versions of each pair; the first is the pair itself.
            seed: Seed of the training.
        """
        self.size = size
        self._images = list(images)
        self._teacher, self._versions, self._seed = teacher, versions, seed
        self._taught: dict[tuple[int, int], _Version] = {}

    def random_batch(self, count: int, seed: int, step: int) -> Batch:
        """Cut random crops, flipped and turned; equal seeds and steps give equal ones."""
        random = np.random.default_rng((seed, step))
        crops, levels = [], []
        for index in random.integers(len(self._images), size=count):
            version = self._version(int(index), int(random.integers(self._versions)))
            height, width = version.stack.shape[1:]
            top = random.integers(height - self.size + 1)
            left = random.integers(width - self.size + 1)
            crop = version.stack[:, top : top + self.size, left : left + self.size]
            crop = np.rot90(crop, int(random.integers(4)), axes=(1, 2))
            crops.append(crop[:, :, ::-1] if random.integers(2) else crop)
            levels.append(version.levels)
        return _batch(crops, levels)

    def centre_batch(self) -> Batch:
        """Cut the centre of every pair as it is: always the same crops."""
        crops, levels = [], []
        for index in range(len(self._images)):
            version = self._version(index, 0)
            top, left = ((side - self.size) // 2 for side in version.stack.shape[1:])
            crops.append(version.stack[:, top : top + self.size, left : left + self.size])
            levels.append(version.levels)
        return _batch(crops, levels)

    def _version(self, index: int, number: int) -> _Version:
        """Return a version of a pair, fused by the teacher where it is the first time."""
        if (index, number) not in self._taught:
            sides = [torch.from_numpy(side)[None, None] / 255 for side in self._images[index]]
            if number:
                sides = _changed(sides, np.random.default_rng((self._seed, index, number)))
            stack = torch.cat([*sides, self._teacher(*sides)])[:, 0].mul(_TOP).round()
            missing = [(0, max(0, self.size - side)) for side in stack.shape[1:]]
            padded = np.pad(stack.numpy().astype(np.uint16), [(0, 0), *missing], mode="symmetric")
            self._taught[index, number] = _Version(padded, image_levels(*sides))
        return self._taught[index, number]


def _changed(sides: list[torch.Tensor], random: np.random.Generator) -> list[torch.Tensor]:
    """Shrink both images alike and take contrast from each, for about half of all; in 8 bits."""
    zoom = random.uniform(1, LARGEST_ZOOM) if random.random() < CHANGED else 1.0
    height, width = sides[0].shape[-2:]
    size = (max(1, round(height / zoom)), max(1, round(width / zoom)))
    gain, lift = less_contrast(random, 1)
    changed = []
    for number, side in enumerate(sides):
        if zoom > 1:
            side = functional.interpolate(side, size, mode="bilinear", antialias=True)
        side = side.clamp(0, 1) * float(gain[number, 0]) + float(lift[number, 0])
        changed.append((side * 255).round() / 255)
    return changed


def _batch(crops: list[NDArray[np.uint16]], levels: list[torch.Tensor]) -> Batch:
    layers = torch.from_numpy(np.stack(crops).astype(np.float32) / _TOP).unsqueeze(2)
    ir, vi, target = layers.unbind(1)
    return Batch(ir, vi, target=target, levels=torch.cat(levels))
