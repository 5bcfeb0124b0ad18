"""Fills pixels without data, so that a network sees no edge where the data end."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray


def filled(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Continue an image smoothly into the pixels that hold no data.

    Known values are averaged down to one pixel, and back up each unknown pixel takes what the next
    coarser level has there (push-pull: Gortler et al., "The Lumigraph", SIGGRAPH 1996). Close to
    the data the result is close to the nearest values, far from them to the mean.

    Args:
        image: (H, W); what stands in invalid pixels doesn't matter, and may be NaN.
        valid: (H, W), True where ``image`` holds data.

    Returns:
        ``image`` where valid, finite values elsewhere: 0 where nothing at all is valid.
    """
    weights = torch.from_numpy(valid)[None, None].float()
    values = torch.from_numpy(np.where(valid, image, 0).astype(np.float32))[None, None]
    return np.asarray(_filled(values, weights)[0, 0].numpy())


def _filled(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Fill values (1, 1, H, W), which are 0 where their weight is; other weights are 1."""
    if bool((weights > 0).all()) or values.numel() == 1:
        return values
    sums = F.avg_pool2d(values, 2, ceil_mode=True)
    shares = F.avg_pool2d(weights, 2, ceil_mode=True)
    known = (shares > 0).float()
    coarse = _filled(torch.where(shares > 0, sums / shares.clamp(min=1e-6), 0.0), known)
    size = (values.shape[-2], values.shape[-1])
    spread = F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    return torch.where(weights > 0, values, spread)
