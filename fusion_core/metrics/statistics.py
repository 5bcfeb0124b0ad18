"""EN and SCD: metrics that ignore where the pixels are."""

import math

import torch

from fusion_core.metrics.inputs import grey_images


def entropy(fused: torch.Tensor) -> torch.Tensor:
    """Measure the Shannon entropy of the fused image's grey values (EN).

    Source: Shannon, "A mathematical theory of communication", 1948. Convention: one bin for each
    of the 256 grey values, logarithm to base 2, nothing added inside the logarithm.

    Args:
        fused: Fused image (B, 1, H, W), integer grey values 0..255.

    Returns:
        (B,) float64, bits per pixel, 0 (a constant image) to 8.

    Raises:
        MetricError: If the image isn't a grey image (see ``grey_images``).
    """
    (fused,) = grey_images("en", fused=fused)
    count = fused.shape[0]
    values = fused.reshape(count, -1).to(torch.int64)
    values += 256 * torch.arange(count, device=values.device)[:, None]
    histogram = torch.bincount(values.flatten(), minlength=256 * count).view(count, 256)
    shares = histogram.to(torch.float64) / fused[0].numel()
    bits: torch.Tensor = torch.special.entr(shares).sum(dim=1) / math.log(2)
    return bits


def sum_of_correlations_of_differences(
    ir: torch.Tensor, vi: torch.Tensor, fused: torch.Tensor
) -> torch.Tensor:
    """Correlate what the fused image adds to one source with the other source (SCD).

    Source: Aslantas and Bendes, "A new image quality metric for image fusion: the sum of the
    correlations of differences", AEU 69(12), 2015. Convention: r(fused - vi, ir) +
    r(fused - ir, vi) with signed differences and Pearson's r over all pixels.

    Args:
        ir: Infrared image (B, 1, H, W), integer grey values 0..255.
        vi: Visible image, likewise.
        fused: Fused image, likewise.

    Returns:
        (B,) float64, -2 to 2; NaN where a source is constant, or the fused image differs from a
        source by a constant or not at all.

    Raises:
        MetricError: If the images aren't grey images of one shape (see ``grey_images``).
    """
    ir, vi, fused = grey_images("scd", ir=ir, vi=vi, fused=fused)
    return _pearson(fused - vi, ir) + _pearson(fused - ir, vi)


def _pearson(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return Pearson's r of each image, (B,), NaN where one of the two is constant."""
    x, y = x.flatten(start_dim=1), y.flatten(start_dim=1)
    # Asked outright: a mean that is rounded would leave noise over noise in place of 0 / 0.
    constant = (x.amax(dim=1) == x.amin(dim=1)) | (y.amax(dim=1) == y.amin(dim=1))
    x = x - x.mean(dim=1, keepdim=True)
    y = y - y.mean(dim=1, keepdim=True)
    scale = x.square().sum(dim=1).sqrt() * y.square().sum(dim=1).sqrt()
    return ((x * y).sum(dim=1) / scale).masked_fill(constant, math.nan)
