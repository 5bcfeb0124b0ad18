"""Means over square windows, in a time that doesn't depend on the window."""

import torch
from torch import Tensor

_ROWS, _COLUMNS = -2, -1


def box_mean(image: Tensor, radius: int) -> Tensor:
    """Average the square window around each pixel, as far as it lies in the image.

    Args:
        image: Images (…, H, W), float64.
        radius: Radius of the window, in pixels.
    """
    for dim in (_ROWS, _COLUMNS):
        size = image.shape[dim]
        place = torch.arange(size, device=image.device)
        stop = (place + radius).clamp(max=size - 1)
        start = place - radius - 1
        sums = image.cumsum(dim)
        shape = (-1, 1) if dim == _ROWS else (-1,)
        before = sums.index_select(dim, start.clamp(min=0)) * (start >= 0).view(shape)
        count = (stop - start.clamp(min=-1)).view(shape)
        image = (sums.index_select(dim, stop) - before) / count
    return image
