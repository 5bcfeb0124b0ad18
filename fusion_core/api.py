"""Fusing a pair of arrays in one call."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.errors import DecodeError, SizeMismatchError
from fusion_core.images.colour import luminance, replace_luminance
from fusion_core.models.device import Precision
from fusion_core.models.fuser import Fuser, load_fuser


def fuse(
    ir: NDArray[Any],
    vi: NDArray[Any],
    *,
    model: str = "refinefuse",
    device: str = "auto",
    precision: Precision = "auto",
) -> NDArray[Any]:
    """Fuse an aligned pair of images.

    The model is loaded at the first call and kept.

    Args:
        ir: Infrared image: (H, W) grey or (H, W, 3) RGB, uint8 or uint16, any size from 1x1 up.
        vi: Visible image: likewise, or (H, W, 4) RGB with alpha; same height and width.
        model: What fuses: "refinefuse" for the packaged weights, "mean", "maximum", "laplacian",
            "guided", or path or URL of a file; see ``read_model``.
        device: A torch device; "auto" takes a GPU where there is one.
        precision: Arithmetic of RefineFuse's body; "auto" is bf16 where the device has it. The
            other methods take "auto".

    Returns:
        The fused image, of the shape and type of ``vi``: its colours (Cb, Cr) and its alpha, with
        the fused luminance.

    Example:
        >>> import numpy as np
        >>> warm = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (32, 1))
        >>> coloured = np.full((32, 48, 3), (40, 80, 120), np.uint8)
        >>> fused = fuse(warm, coloured)
        >>> fused.shape, fused.dtype
        ((32, 48, 3), dtype('uint8'))
        >>> fuse(warm, coloured[..., 0], model="maximum")[0, :3].tolist()
        [40, 40, 40]

    Raises:
        DecodeError: An array is no image of the kinds above.
        SizeMismatchError: The images differ in height or width.
        WeightsError: The model can't be used.
        StorageError: The model's file can't be reached.
        SettingsError: Device or precision can't be used.
    """
    _check("infrared", ir, (3,))
    _check("visible", vi, (3, 4))
    if ir.shape[:2] != vi.shape[:2]:
        raise SizeMismatchError(
            f"infrared is {ir.shape[1]}x{ir.shape[0]} and visible {vi.shape[1]}x{vi.shape[0]}; "
            "expected equal sizes. Resample one to the other's grid"
        )
    colours = vi[..., :3] if vi.ndim == 3 else vi
    sides = (torch.from_numpy(luminance(image))[None, None] for image in (ir, colours))
    fused = _fuser(model, device, precision)(*sides)[0, 0].numpy()
    image = replace_luminance(colours, fused)
    return np.dstack([image, vi[..., 3]]) if vi.ndim == 3 and vi.shape[2] == 4 else image


@lru_cache(maxsize=2)
def _fuser(model: str, device: str, precision: Precision) -> Fuser:
    return load_fuser(model, device, precision)


def _check(name: str, image: NDArray[Any], channels: tuple[int, ...]) -> None:
    shaped = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in channels)
    if not shaped or image.size == 0 or image.dtype not in (np.uint8, np.uint16):
        raise DecodeError(
            f"the {name} image is an array of shape {image.shape} and type {image.dtype}; "
            f"expected (H, W) or (H, W, {' or '.join(map(str, channels))}), uint8 or uint16"
        )
