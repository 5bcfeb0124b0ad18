"""VIF: visual information fidelity."""

import torch

from fusion_core.metrics.filters import gaussian_taps, moments, smooth
from fusion_core.metrics.inputs import grey_images

WINDOWS = (17, 9, 5, 3)
"""Side of the Gaussian window at each scale, finest first, in pixels."""

NOISE_VARIANCE = 2.0
"""Variance of the visual noise, in squared grey values."""

TINY = 1e-10
"""A variance below this counts as none."""


def visual_information_fidelity(
    ir: torch.Tensor, vi: torch.Tensor, fused: torch.Tensor
) -> torch.Tensor:
    """Measure how much of the sources' information the fused image keeps, summed over sources.

    Source: Sheikh and Bovik, "Image information and visual quality", IEEE TIP 15(2), 2006, in the
    pixel-domain multi-scale form of the authors' ``vifp_mscale``. Convention: grey values 0..255,
    noise variance 2, four scales with N x N Gaussian windows of N = 17, 9, 5, 3 and sigma = N / 5,
    no padding; before each scale but the first, filtering with that scale's window and keeping
    every second row and column, the first included. Per source the ratio of the sums over all
    scales; then the sum of the two ratios.

    Args:
        ir: Infrared image (B, 1, H, W), integer grey values 0..255.
        vi: Visible image, likewise.
        fused: Fused image, likewise.

    Returns:
        (B,) float64: 2 where all three images are equal, 0 where the fused image is constant; NaN
        where a source is constant or a side is below 17 px. A side below 41 px leaves out the
        coarser scales that don't fit.

    Raises:
        MetricError: If the images aren't grey images of one shape (see ``grey_images``).
    """
    images = torch.stack(grey_images("vif", ir=ir, vi=vi, fused=fused))
    # Only variances enter, and around the mean their rounding noise stays well below TINY.
    images = images - images.mean(dim=(-2, -1), keepdim=True)
    kept = images.new_zeros(2, images.shape[1])
    available = torch.zeros_like(kept)
    for scale, size in enumerate(WINDOWS):
        taps = gaussian_taps(size, size / 5)
        if scale > 0 and min(images.shape[-2:]) >= size:
            images = smooth(images, taps, step=2)
        if min(images.shape[-2:]) < size:
            break
        kept_here, available_here = _information(images[:2], images[2:], taps)
        kept += kept_here
        available += available_here
    return (kept / available).sum(dim=0)


def _information(
    sources: torch.Tensor, fused: torch.Tensor, taps: list[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the information kept and available at one scale, both (2, B), in nats."""
    m = moments(sources, fused, taps)
    source_variance = m.source_square - m.source.square()
    source_variance.masked_fill_(source_variance < TINY, 0)
    fused_variance = m.fused_square - m.fused.square()
    # A negative gain counts as none: all that the fused image holds is then noise.
    covariance = (m.product - m.source * m.fused).clamp_(min=0)
    covariance.masked_fill_(fused_variance < TINY, 0)
    gain = covariance / (source_variance + TINY)
    noise = (fused_variance - gain * covariance).clamp_(min=TINY)
    signal = gain.square_().mul_(source_variance)
    # The logarithm's base cancels in the ratio.
    kept = torch.log1p(signal / (noise + NOISE_VARIANCE))
    available = torch.log1p(source_variance / NOISE_VARIANCE)
    return kept.sum(dim=(-3, -2, -1)), available.sum(dim=(-3, -2, -1))
