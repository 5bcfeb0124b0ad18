"""Checks the shapes of pairs, and pads images by reflection, for every fuser."""

import torch
from torch import Tensor


def check_pair(ir: Tensor, vi: Tensor) -> None:
    """Refuse anything but two equal shapes (B, 1, H, W) without an empty side.

    Raises:
        ValueError: The shapes are others.
    """
    if ir.shape != vi.shape or ir.ndim != 4 or ir.shape[1] != 1 or 0 in ir.shape:
        raise ValueError(
            f"infrared is {tuple(ir.shape)} and visible {tuple(vi.shape)}; expected two equal "
            "shapes (B, 1, H, W) with no empty side; pass grey images or luminance"
        )


def pad_reflected(image: Tensor, multiple: int, margin: int) -> Tensor:
    """Pad (..., H, W) by reflection: ``margin`` on all sides, then below and right to multiples.

    The edge pixel is not repeated. Where the pad exceeds the image the reflection is itself
    reflected, on and on; a side of 1 is repeated.
    """
    for dim in (-2, -1):
        size = image.shape[dim]
        stop = -(-(size + 2 * margin) // multiple) * multiple - margin
        image = take_reflected(image, dim, -margin, stop)
    return image


def take_reflected(image: Tensor, dim: int, start: int, stop: int) -> Tensor:
    """Take positions ``start`` .. ``stop - 1`` of one side, reflected beyond its ends."""
    folded = reflected_indices(image.shape[dim], start, stop)
    return image.index_select(dim, folded.to(image.device))


def reflected_indices(size: int, start: int, stop: int) -> Tensor:
    """Return positions ``start`` .. ``stop - 1`` folded into a side of ``size`` pixels, int64."""
    if size == 1:
        return torch.zeros(stop - start, dtype=torch.int64)
    period = 2 * (size - 1)
    positions = torch.arange(start, stop) % period
    return torch.minimum(positions, period - positions)
