"""SSIM: structural similarity."""

import torch

from fusion_core.metrics.filters import moments
from fusion_core.metrics.inputs import grey_images, require_side

WINDOW = 7
"""Side of the uniform window in pixels."""

DATA_RANGE = 2.0
"""The range that the published values assume, although the grey values run from 0 to 255."""


def structural_similarity(ir: torch.Tensor, vi: torch.Tensor, fused: torch.Tensor) -> torch.Tensor:
    """Compare the fused image's local means, variances and structure with both sources', summed.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE TIP 13(4), 2004. Convention: scikit-image's default, that is a
    7 x 7 uniform window, only windows inside the image, sample (n - 1) covariances, the mean over
    windows, K1 = 0.01, K2 = 0.03; grey values 0..255 with a data range of 2, which older
    scikit-image took for any float image and published fusion tables inherit. It is not the
    textbook range of 255. The sum of the two sources' values.

    Args:
        ir: Infrared image (B, 1, H, W), integer grey values 0..255.
        vi: Visible image, likewise.
        fused: Fused image, likewise.

    Returns:
        (B,) float64, at most 2; 2 where all three images are equal, constant ones included.

    Raises:
        MetricError: If a side is below 7 px, or the images aren't grey images of one shape (see
            ``grey_images``).
    """
    ir, vi, fused = grey_images("ssim", ir=ir, vi=vi, fused=fused)
    require_side("ssim", fused, WINDOW)
    count = WINDOW**2
    # Moments are kept as whole-number sums, which are exact: the constants are so small that
    # rounding in the variances would show. Each factor below is scaled by n^2 or n (n - 1).
    c1 = (0.01 * DATA_RANGE) ** 2 * count**2
    c2 = (0.03 * DATA_RANGE) ** 2 * count * (count - 1)
    m = moments(torch.stack([ir, vi]), fused[None], [1.0] * WINDOW)
    source_mean_square = m.source.square()
    fused_mean_square = m.fused.square()
    mean_product = m.source * m.fused
    source_variance = count * m.source_square - source_mean_square
    fused_variance = count * m.fused_square - fused_mean_square
    covariance = count * m.product - mean_product
    similarity = (2 * mean_product + c1) * (2 * covariance + c2)
    similarity /= source_mean_square + fused_mean_square + c1
    similarity /= source_variance + fused_variance + c2
    return similarity.mean(dim=(-3, -2, -1)).sum(dim=0)
