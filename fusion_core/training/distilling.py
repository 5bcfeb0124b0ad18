"""Cuts crops of pairs together with what a teacher makes of the whole images.

A teacher that pools over an image fuses a crop otherwise than the image around it, so it always
sees whole images. Since they can't be changed afterwards as crops can, it fuses some versions of
each pair: the pair as it is, and others shrunk and with less contrast.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from fusion_core.models.fuser import Fuser
from fusion_core.models.mini_network import image_levels
from fusion_core.training.augmentation import CHANGED, LARGEST_ZOOM, less_contrast
from fusion_core.training.batch import Batch
from fusion_core.training.read_ahead import LuminancePair
from fusion_core.training.reading import Pairs

_TOP = 65535  # 16 bits hold what a teacher says to a two-hundredth of a grey level
log = logging.getLogger(__name__)


class _Version(NamedTuple):
    """A version of a pair.

    Attributes:
        stack: Infrared, visible, and what the teacher made of them, (3, H, W); of a file, or held.
        levels: What ``image_levels`` tells of the pair, (1, 21, 1, 1).
    """

    stack: NDArray[np.uint16]
    levels: torch.Tensor


class TaughtCrops:
    """Cuts batches of crops out of pairs and out of what the teacher made of them.

    A version of a pair is fused when the first crop of it is asked for, and depends on the seed
    and its number alone. It is kept in a file of six bytes a pixel, of which no more is read than
    the crops; where the disk is full, it is fused anew each time.
    """

    def __init__(
        self,
        images: Pairs,
        size: int,
        teacher: Fuser,
        *,
        versions: int,
        seed: int,
        folder: Path,
    ) -> None:
        """Read nothing yet.

        Args:
            images: Infrared and visible luminance of each pair, (H, W) of one size.
            size: Side of a crop.
            teacher: What the student is to do as well.
            versions: Versions of each pair; the first is the pair itself.
            seed: Seed of the training.
            folder: Where the versions are kept; of these crops alone.
        """
        self.size = size
        self._images = images
        self._teacher, self._versions, self._seed = teacher, versions, seed
        self._folder = folder
        self._has_room = True

    def unread(self, count: int, seed: int, step: int) -> list[int]:
        """Return the numbers of the pairs that ``random_batch`` may read, in its order."""
        random = np.random.default_rng((seed, step))
        drawn = random.integers(len(self._images), size=count).tolist()
        return [
            number
            for number in drawn
            if not all(self._path(number, k).exists() for k in range(self._versions))
        ]

    def random_batch(self, count: int, seed: int, step: int) -> Batch:
        """Cut random crops, flipped and turned; equal seeds and steps give equal ones."""
        random = np.random.default_rng((seed, step))
        crops, levels = [], []
        for number in random.integers(len(self._images), size=count).tolist():
            version = self._version(number, int(random.integers(self._versions)))
            height, width = version.stack.shape[1:]
            top = random.integers(height - self.size + 1)
            left = random.integers(width - self.size + 1)
            # A copy, since a view would hold the whole pair until the batch is made.
            crop = np.array(version.stack[:, top : top + self.size, left : left + self.size])
            crop = np.rot90(crop, int(random.integers(4)), axes=(1, 2))
            crops.append(crop[:, :, ::-1] if random.integers(2) else crop)
            levels.append(version.levels)
        return _batch(crops, levels)

    def centre_batches(self, count: int) -> Iterator[Batch]:
        """Cut the centre of every pair as it is, always the same crops, so many at a time."""
        crops: list[NDArray[np.uint16]] = []
        levels: list[torch.Tensor] = []
        for number, pair in enumerate(self._images):
            version = self._version(number, 0, pair)
            top, left = ((side - self.size) // 2 for side in version.stack.shape[1:])
            crop = version.stack[:, top : top + self.size, left : left + self.size]
            crops.append(np.array(crop))
            levels.append(version.levels)
            if len(crops) == count:
                yield _batch(crops, levels)
                crops, levels = [], []
        if crops:
            yield _batch(crops, levels)

    def _version(self, index: int, number: int, pair: LuminancePair | None = None) -> _Version:
        """Return a version of a pair, fused by the teacher where it isn't kept."""
        path = self._path(index, number)
        if path.exists():
            levels = torch.from_numpy(np.load(_beside(path)))
            return _Version(np.load(path, mmap_mode="r"), levels)
        sides = [torch.from_numpy(side)[None, None] / 255 for side in pair or self._images[index]]
        if number:
            sides = _changed(sides, np.random.default_rng((self._seed, index, number)))
        stack = torch.cat([*sides, self._teacher(*sides)])[:, 0].mul(_TOP).round()
        missing = [(0, max(0, self.size - side)) for side in stack.shape[1:]]
        padded = np.pad(stack.numpy().astype(np.uint16), [(0, 0), *missing], mode="symmetric")
        version = _Version(padded, image_levels(*sides))
        self._keep(path, version)
        return version

    def _keep(self, path: Path, version: _Version) -> None:
        try:
            np.save(_beside(path), version.levels.numpy())
            np.save(path, version.stack)
        except OSError as error:
            path.unlink(missing_ok=True)
            if self._has_room:
                log.warning("What the teacher fuses can't be kept, which takes time: %s", error)
            self._has_room = False

    def _path(self, index: int, number: int) -> Path:
        return self._folder / f"{index}-{number}.npy"


def _beside(path: Path) -> Path:
    return path.with_suffix(".levels.npy")


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
