"""Local means, variances and covariances of two sources and a fused image."""

from __future__ import annotations

from typing import NamedTuple

import torch

from fusion_core.metrics.filters import padded_width, smooth


class LocalMoments(NamedTuple):
    """Weighted moments in windows around each pixel, fp32.

    Attributes:
        means: Of A, B and F, (3, B, h, w).
        variances: Of A, B and F, (3, B, h, w); rounding may leave them just below 0.
        covariances: Of A and F, B and F, (2, B, h, w).
    """

    means: torch.Tensor
    variances: torch.Tensor
    covariances: torch.Tensor


def local_moments(images: torch.Tensor, taps: tuple[float, ...]) -> LocalMoments:
    """Compute the moments in all windows that lie inside the images.

    Args:
        images: A, B and F, (3, B, H, W) fp32. The closer to 0 the values, the less is lost to
            rounding.
        taps: Weights of the separable window along either axis; they sum to 1.
    """
    *leading, height, width = images.shape[1:]
    stack = images.new_empty(8, *leading, height, padded_width(width, len(taps)))
    stack[..., width:] = 0
    stack[:3, ..., :width] = images
    torch.mul(images, images, out=stack[3:6, ..., :width])
    torch.mul(images[:2], images[2], out=stack[6:, ..., :width])
    sums = smooth(stack, taps, width=width)
    means = sums[:3]
    return LocalMoments(
        means,
        sums[3:6].addcmul_(means, means, value=-1),
        sums[6:].addcmul_(means[:2], means[2], value=-1),
    )
