"""All seven metrics at once, of a batch or of one image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fusion_core.metrics.conventions import Convention, check_convention
from fusion_core.metrics.greyscale import grey_images, to_grey255
from fusion_core.metrics.sums import image_sums, values


def score_batch(
    ir: torch.Tensor,
    vi: torch.Tensor,
    fused: torch.Tensor,
    convention: Convention = "published",
) -> dict[str, torch.Tensor]:
    """Score a batch of fused images with all seven metrics.

    Args:
        ir: Infrared images (B, 1, H, W), integer grey values 0..255, on any device. uint8 is
            fastest.
        vi: Visible images, likewise.
        fused: Fused images, likewise.
        convention: Which definitions to use where the field is split.

    Returns:
        For each of ``METRIC_NAMES``, in that order, a tensor (B,) in float64 on the same device.
        NaN where a metric isn't defined for an image, such as a constant source or a side smaller
        than the metric's window.

    Raises:
        MetricError: The images aren't grey images of one shape (see ``grey_images``), or there
            is no such convention.
    """
    check_convention(convention)
    with torch.inference_mode():
        images = grey_images("score", ir=ir, vi=vi, fused=fused)
        # A CPU's cache holds the maps of one image; a GPU needs many to be busy.
        size = 1 if images.is_cpu else images.shape[1]
        groups = (images[:, k : k + size] for k in range(0, images.shape[1], size))
        height, width = images.shape[-2:]
        scored = [
            values(image_sums(part, convention), height, width, convention=convention)
            for part in groups
        ]
    return {name: torch.cat([scores[name] for scores in scored]) for name in scored[0]}


def score(
    ir: npt.NDArray[Any],
    vi: npt.NDArray[Any],
    fused: npt.NDArray[Any],
    convention: Convention = "published",
) -> dict[str, float]:
    """Score one fused image with all seven metrics.

    Args:
        ir: Infrared image, (H, W) or (H, W, 3), of a kind that ``to_grey255`` takes.
        vi: Visible image, likewise.
        fused: Fused image, likewise.
        convention: Which definitions to use where the field is split.

    Returns:
        The value of each of ``METRIC_NAMES``, in that order; NaN where it isn't defined.

    Example:
        >>> import numpy as np
        >>> ir, vi = np.random.default_rng(1).integers(0, 256, (2, 64, 80), np.uint8)
        >>> scores = score(ir, vi, np.maximum(ir, vi))
        >>> list(scores)
        ['vif', 'ag', 'scd', 'qabf', 'sf', 'en', 'ssim']
        >>> round(scores["en"], 1)
        7.7

    Raises:
        MetricError: An array can't be turned into grey values, the sizes differ, or there is
            no such convention.
    """
    a, b, f = (grey_tensor(image) for image in (ir, vi, fused))
    return {name: float(value) for name, value in score_batch(a, b, f, convention).items()}


def grey_tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    """Return an image's grey values, see ``to_grey255``, as a batch (1, 1, H, W) uint8."""
    # Copied, because an array may be read-only or run backwards.
    return torch.from_numpy(np.array(to_grey255(array)))[None, None]
