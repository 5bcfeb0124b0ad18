"""Losses of brightness: contrast as wide as the sources', bright skies, and black that stays black.

What the other terms leave open: correlation has no scale, a dark sky correlates as well as a bright
one, and a grey level more or less costs nothing where all is black. All images are (B, 1, H, W),
in [0, 1], and each loss is a scalar mean.
"""

from torch import Tensor

from fusion_core.training.surroundings import mean_around

WIDEST = 0.3
"""Standard deviation that no image is asked to exceed; that of black and white in equal parts is
0.5."""

SKY_LEVEL = 0.65
"""Mean of the visible surroundings from which on they may be a bright sky."""

_SKY_REACH = 7  # pixels to each side
_SKY_CONTRAST = 5e-4  # squared; skies have less


def spread_loss(fused: Tensor, ir: Tensor, vi: Tensor, share: Tensor) -> Tensor:
    """Return by how much the fused standard deviation is below that of independent sources' sum.

    Args:
        fused: The fused crops.
        ir: Infrared, same shape.
        vi: Visible luminance, same shape.
        share: Weight of each crop, (B, 1, 1, 1), in [0, 1].
    """
    asked = (ir.var((1, 2, 3)) + vi.var((1, 2, 3))).sqrt().clamp(max=WIDEST)
    return ((asked - fused.std((1, 2, 3))).clamp(min=0) * share[:, 0, 0, 0]).mean()


def sky_loss(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """Return by how much a bright sky is darker than in the visible image, mean over all pixels.

    Sky is where the visible image is bright, flat, and brighter than the infrared.
    """
    level = mean_around(vi, _SKY_REACH)
    roughness = mean_around((vi - level).square(), _SKY_REACH)
    sky = (level > SKY_LEVEL) & (roughness < _SKY_CONTRAST) & (vi > ir)
    return (sky * (vi - fused).clamp(min=0)).mean()


def black_loss(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """Return what is left of light where both sources are black, mean over all pixels."""
    return (fused * ((ir == 0) & (vi == 0))).mean()
