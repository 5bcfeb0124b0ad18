"""AG and SF: how strongly the fused image varies from pixel to pixel."""

import torch

from fusion_core.metrics.inputs import grey_images, require_side


def average_gradient(fused: torch.Tensor) -> torch.Tensor:
    """Average the strength of the fused image's gradient (AG).

    Source: Cui, Feng, Xu, Li and Chen, "Detail preserved fusion of visible and infrared images
    using regional saliency extraction and multi-scale image decomposition", Optics Communications
    341, 2015. Convention: central differences inside and one-sided ones at the border (as
    ``numpy.gradient``), the sum over all H x W pixels of sqrt((dx^2 + dy^2) / 2) divided by
    (H - 1)(W - 1), grey values 0..255.

    Args:
        fused: Fused image (B, 1, H, W), integer grey values 0..255.

    Returns:
        (B,) float64, grey values per pixel; 0 where the image is constant.

    Raises:
        MetricError: If a side is 1 px, or the image isn't a grey image (see ``grey_images``).
    """
    (fused,) = grey_images("ag", fused=fused)
    require_side("ag", fused, 2)
    height, width = fused.shape[-2:]
    dy, dx = torch.gradient(fused, dim=(-2, -1))
    strength = ((dx.square() + dy.square()) / 2).sqrt_()
    return strength.sum(dim=(-3, -2, -1)) / ((height - 1) * (width - 1))


def spatial_frequency(fused: torch.Tensor) -> torch.Tensor:
    """Measure the fused image's overall activity (SF).

    Source: Eskicioglu and Fisher, "Image quality measures and their performance", IEEE Trans.
    Communications 43(12), 1995. Convention: the root of the sum of the mean squared vertical and
    the mean squared horizontal first difference, each mean over its own number of differences,
    (H - 1) W and H (W - 1); no padding, grey values 0..255.

    Args:
        fused: Fused image (B, 1, H, W), integer grey values 0..255.

    Returns:
        (B,) float64, grey values; 0 where the image is constant, NaN where a side is 1 px.

    Raises:
        MetricError: If the image isn't a grey image (see ``grey_images``).
    """
    (fused,) = grey_images("sf", fused=fused)
    vertical = fused.diff(dim=-2).square_().mean(dim=(-3, -2, -1))
    horizontal = fused.diff(dim=-1).square_().mean(dim=(-3, -2, -1))
    return (vertical + horizontal).sqrt()
