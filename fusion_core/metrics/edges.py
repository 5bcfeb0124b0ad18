"""Qabf: how well the fused image keeps the sources' edges."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

from fusion_core.metrics.filters import correlate
from fusion_core.metrics.inputs import grey_images


class _Edges(NamedTuple):
    """Strength (grey values) and angle (radians, -pi/2 exclusive to pi/2) of each pixel's edge."""

    strength: torch.Tensor
    angle: torch.Tensor


def edge_preservation(ir: torch.Tensor, vi: torch.Tensor, fused: torch.Tensor) -> torch.Tensor:
    """Measure how well the fused image keeps the sources' edges (Qabf).

    Source: Xydeas and Petrovic, "Objective image fusion performance measure", Electronics Letters
    36(4), 2000. Convention: 3 x 3 Sobel with zeros outside the image, so that the border takes
    part as a strong edge; angle atan(gy / gx) and +pi/2 wherever gx = 0; angles compared without
    wrap-around; equal strengths keep the strength itself as their ratio, as in the code behind
    published tables; every pixel weighted with the source's edge strength (L = 1), no threshold;
    constants 0.9994, 15, 0.5 for strength and 0.9879, 22, 0.8 for angle.

    Args:
        ir: Infrared image (B, 1, H, W), integer grey values 0..255.
        vi: Visible image, likewise.
        fused: Fused image, likewise.

    Returns:
        (B,) float64, 0 to 0.9754 (equal images stay just below); NaN where neither source has an
        edge (both black, or of one pixel).

    Raises:
        MetricError: If the images aren't grey images of one shape (see ``grey_images``).
    """
    images = torch.stack(grey_images("qabf", ir=ir, vi=vi, fused=fused))
    edges = _sobel(images)
    sources = _Edges(edges.strength[:2], edges.angle[:2])
    kept = _preservation(sources, _Edges(edges.strength[2:], edges.angle[2:]))
    weighted = (kept * sources.strength).sum(dim=(0, 2, 3, 4))
    return weighted / sources.strength.sum(dim=(0, 2, 3, 4))


def _sobel(images: torch.Tensor) -> _Edges:
    """Return the edges of images (..., H, W); whole numbers, so that gx = 0 is exact."""
    padded = F.pad(images, (1, 1, 1, 1))
    # The relative sign of gx and gy matters, because gx = 0 always turns into +pi/2.
    left_minus_right = correlate(correlate(padded, (1, 2, 1), -2), (1, 0, -1), -1)
    below_minus_above = correlate(correlate(padded, (1, 2, 1), -1), (-1, 0, 1), -2)
    strength = (left_minus_right.square() + below_minus_above.square()).sqrt_()
    angle = (below_minus_above / left_minus_right).atan_()
    return _Edges(strength, angle.masked_fill_(left_minus_right == 0, math.pi / 2))


def _preservation(source: _Edges, fused: _Edges) -> torch.Tensor:
    """Return how well each pixel's edge is kept, 0 to 0.9754, (2, B, 1, H, W)."""
    low = torch.minimum(source.strength, fused.strength)
    high = torch.maximum(source.strength, fused.strength)
    ratio = torch.where(low == high, low, low / high)
    alignment = 1 - (source.angle - fused.angle).abs_() / (math.pi / 2)
    strength_kept = 0.9994 * torch.sigmoid(15 * (ratio - 0.5))
    angle_kept = 0.9879 * torch.sigmoid(22 * (alignment - 0.8))
    return strength_kept * angle_kept
