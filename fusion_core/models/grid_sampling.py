"""Linear interpolation of a coarse grid that spans an image, at a part of the image."""

from __future__ import annotations

import torch
from torch import Tensor


def sampling_matrix(cells: int, count: int, start: float, extent: float) -> Tensor:
    """Return the matrix (count, cells) that interpolates one side of a grid linearly, fp32.

    Samples lie in the middle of their share of the extent and cells in the middle of theirs, as
    ``torch.nn.functional.interpolate`` has it without ``align_corners``; beyond the outermost cells
    the grid continues with their values.

    Args:
        cells: Cells of the grid along the side, which span the image.
        count: Samples to interpolate, evenly within the extent.
        start: Where the extent begins, as a share of the image's side.
        extent: Its length, likewise.
    """
    # In fp64: a place is a small difference of large numbers where the image is large.
    places = torch.arange(count, dtype=torch.float64) + 0.5
    places = ((start + places * (extent / count)) * cells - 0.5).clamp(0, cells - 1)
    below = places.floor().clamp(max=max(cells - 2, 0))
    share = (places - below).float()
    matrix = torch.zeros(count, cells)
    index = below.long()[:, None]
    matrix.scatter_(1, index, (1 - share)[:, None])
    if cells > 1:
        matrix.scatter_(1, index + 1, share[:, None])
    return matrix
