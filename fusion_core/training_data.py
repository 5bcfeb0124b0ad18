"""Pairs for training: read whole, masked whole, then cut into random augmented crops.

A batch is a function of (seed, step) alone, so a resumed run sees what an uninterrupted one would.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fusion_core.errors import SettingsError
from fusion_core.losses import LossConfig, SourceMasks, source_masks

INFRARED, VISIBLE, MASK_IR, MASK_VI = range(4)


@dataclass(frozen=True)
class Batch:
    """Crops on the CPU: each (B, 1, S, S), float32; images in [0, 1], masks 0 or 1."""

    ir: Tensor
    vi: Tensor
    masks: SourceMasks


def list_pairs(ir_folder: Path, vi_folder: Path) -> list[str]:
    """Names of the files that both folders hold, sorted.

    Raises:
        SettingsError: if there is none.
    """
    names = {file.name for file in ir_folder.iterdir() if file.is_file()}
    names &= {file.name for file in vi_folder.iterdir() if file.is_file()}
    if not names:
        raise SettingsError(
            f"{ir_folder} and {vi_folder} have no file name in common; a pair is two files of "
            "the same name. Rename the files or give other folders."
        )
    return sorted(names)


def split_names(names: list[str], validation: int) -> tuple[list[str], list[str]]:
    """Set ``validation`` names apart, spread evenly over the sorted names.

    Returns:
        Names to train on and names to validate on; no name is in both.

    Raises:
        SettingsError: if nothing would be left to train on.
    """
    if not 0 <= validation < len(names):
        raise SettingsError(
            f"{validation} validation pairs of {len(names)}: at least one pair must be left to "
            "train on. Ask for fewer."
        )
    step = len(names) / max(validation, 1)
    apart = {names[int((i + 0.5) * step)] for i in range(validation)}
    return [name for name in names if name not in apart], sorted(apart)


class CropSource:
    """Holds pairs with their masks in memory, one byte a pixel, and cuts batches of crops."""

    def __init__(
        self, ir_folder: Path, vi_folder: Path, names: list[str], size: int, loss: LossConfig
    ) -> None:
        """Read the named pairs, compute their masks on the whole image, pad up to ``size``.

        Raises:
            SettingsError: if the two images of a pair differ in size.
        """
        self.size = size
        self._stacks = [_read_stack(ir_folder / n, vi_folder / n, size, loss) for n in names]

    def random_batch(self, count: int, seed: int, step: int) -> Batch:
        """``count`` random crops, flipped and turned by quarters, half of all images darkened.

        Darkening multiplies one image by 0.2 to 1. Without it a network trained on day scenes put
        a grey veil over night ones. The masks stay those of the image as it was.
        """
        random = np.random.default_rng((seed, step))
        crops = []
        for index in random.integers(len(self._stacks), size=count):
            stack = self._stacks[index]
            top = random.integers(stack.shape[1] - self.size + 1)
            left = random.integers(stack.shape[2] - self.size + 1)
            crop = stack[:, top : top + self.size, left : left + self.size]
            crop = np.rot90(crop, int(random.integers(4)), axes=(1, 2))
            crops.append(crop[:, :, ::-1] if random.integers(2) else crop)
        batch = _to_batch(crops)
        gains = np.where(random.random((2, count)) < 0.5, 1, random.uniform(0.2, 1, (2, count)))
        gain_ir, gain_vi = torch.from_numpy(gains).float()[:, :, None, None, None]
        return Batch(batch.ir * gain_ir, batch.vi * gain_vi, batch.masks)

    def centre_batch(self) -> Batch:
        """The centre crop of every pair, always the same ones."""
        crops = []
        for stack in self._stacks:
            top, left = (stack.shape[1] - self.size) // 2, (stack.shape[2] - self.size) // 2
            crops.append(stack[:, top : top + self.size, left : left + self.size])
        return _to_batch(crops)


def _to_batch(crops: list[NDArray[np.uint8]]) -> Batch:
    images = torch.from_numpy(np.stack(crops)).float().unsqueeze(2) / 255
    masks = SourceMasks(images[:, MASK_IR], images[:, MASK_VI])
    return Batch(images[:, INFRARED], images[:, VISIBLE], masks)


def _read_stack(ir_file: Path, vi_file: Path, size: int, loss: LossConfig) -> NDArray[np.uint8]:
    """Read one pair as (4, H, W): infrared, visible luminance, and their masks as 0 or 255."""
    ir, vi = _read_grey(ir_file), _read_grey(vi_file)
    if ir.shape != vi.shape:
        raise SettingsError(
            f"{ir_file} has (height, width) {ir.shape} and {vi_file} {vi.shape}; training needs "
            "aligned pairs of one size. Align them or leave the pair out."
        )
    tensors = [torch.from_numpy(image)[None, None].float() / 255 for image in (ir, vi)]
    masks = source_masks(tensors[0], tensors[1], loss)
    layers = [ir, vi, *(mask[0, 0].numpy().astype(np.uint8) * 255 for mask in masks)]
    stack = np.stack(layers)
    missing = [(0, max(0, size - side)) for side in stack.shape[1:]]
    return np.pad(stack, [(0, 0), *missing], mode="symmetric")


def _read_grey(file: Path) -> NDArray[np.uint8]:
    """Read 8-bit grey, or the Y of YCbCr (ITU-R BT.601) of a colour image."""
    with Image.open(file) as image:
        return np.array(image.convert("L"))
