"""Three of the seven metrics as losses: the differentiable forms of SCD, VIF and Qabf.

What masks and gradients ask for at a pixel says nothing about how much of a whole source is kept:
trained on them alone, the network left out cold areas of the infrared. All terms take the
definitions of ``metrics``, without rounding to 8 bits. Images are (B, 1, H, W), in [0, 1].
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from fusion_core.metrics.conventions import VIF_WINDOWS
from fusion_core.metrics.edges import edge_share
from fusion_core.metrics.filters import gaussian_taps
from fusion_core.metrics.vif import NOISE_VARIANCE
from fusion_core.training.gradient_losses import sobel

# In squared grey values of 255: far below any visible variance, and its gradient stays finite.
_TINY_VARIANCE = 1e-3
_TINY_EDGE = 0.1  # in grey values
# A product of two variances in [0, 1]: what images have that differ by less than a grey level.
_TINY_PRODUCT = 1e-10


def correlation_loss(fused: Tensor, ir: Tensor, vi: Tensor, share: Tensor | None = None) -> Tensor:
    """Return 2 - SCD, mean over the batch: 0 where each difference is the other source, at most 4.

    Source of SCD: see ``sum_of_correlations_of_differences``. A difference or a source that is
    constant correlates with nothing.

    Args:
        fused: The fused crops.
        ir: Infrared, same shape.
        vi: Visible luminance, same shape.
        share: Weight of each crop, (B, 1, 1, 1), in [0, 1]. Default: 1.
    """
    lost = 2 - _correlation(fused - vi, ir) - _correlation(fused - ir, vi)
    return (lost if share is None else lost * share[:, 0, 0, 0]).mean()


def fidelity_loss(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """Return 2 - VIF over the windows of the whole batch: 0 where no source loses information.

    Source of VIF: see ``visual_information_fidelity``. Negative where the fused image shows a
    source with more contrast than it has. Crops without texture weigh little, as flat parts of an
    image do.

    Raises:
        ValueError: A side is shorter than the largest window.
    """
    if min(fused.shape[-2:]) < VIF_WINDOWS[0]:
        raise ValueError(
            f"found crops of {tuple(fused.shape[-2:])}, expected sides of at least "
            f"{VIF_WINDOWS[0]} pixels; train on larger crops or set fidelity_weight to 0"
        )
    images = torch.cat((ir, vi, fused), dim=1) * 255
    images = images - images.mean((2, 3), keepdim=True)
    kept, available = fused.new_zeros(2), fused.new_zeros(2)
    for scale, window in enumerate(VIF_WINDOWS):
        if scale > 0:
            if min(images.shape[-2:]) < window:
                break
            images = _smooth(images, window, step=2)
        if min(images.shape[-2:]) < window:
            break
        more, of = _information(images, window)
        kept, available = kept + more, available + of
    return 2 - (kept / available.clamp(min=1)).sum()


def edge_loss(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """Return 1 - Qabf over all pixels of the batch: near 0 where all edges are kept.

    Source of Qabf: see ``edge_value``. Angles between edges are taken as the smaller of both ways
    around, without the metric's leap at upright edges; a gradient of a tenth of a grey level stands
    for none, so that there is a way back from it.
    """
    gradients = [sobel(image) * 255 for image in (ir, vi, fused)]
    strengths = [(side.square().sum(1) + _TINY_EDGE**2).sqrt() for side in gradients]
    kept, there = fused.new_zeros(()), fused.new_zeros(())
    across, down = gradients[2].unbind(1)
    for source, strength in zip(gradients[:2], strengths[:2], strict=True):
        weaker, stronger = (f(strength, strengths[2]) for f in (torch.minimum, torch.maximum))
        dot = (source * gradients[2]).sum(1).abs() + _TINY_EDGE**2
        cross = (source[:, 0] * down - source[:, 1] * across).abs() + _TINY_EDGE**2
        aligned = 1 - torch.atan2(cross, dot) / (math.pi / 2)
        share = edge_share(weaker / stronger, aligned)
        kept, there = kept + (share * strength).sum(), there + strength.sum()
    return 1 - kept / there


def _correlation(difference: Tensor, source: Tensor) -> Tensor:
    """Return Pearson's r of each image with its source, (B,)."""
    difference = difference - difference.mean((2, 3), keepdim=True)
    source = source - source.mean((2, 3), keepdim=True)
    covariance = (difference * source).mean((1, 2, 3))
    variances = difference.square().mean((1, 2, 3)) * source.square().mean((1, 2, 3))
    return covariance / (variances + _TINY_PRODUCT).sqrt()


def _information(images: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Return the information kept and available at one scale, each (2 sources,), in nats."""
    maps = torch.cat((images, images.square(), images[:, :2] * images[:, 2:]), dim=1)
    smooth = _smooth(maps, window)
    means, squares, products = smooth[:, :3], smooth[:, 3:6], smooth[:, 6:]
    variances = (squares - means.square()).clamp(min=0)
    covariances = (products - means[:, :2] * means[:, 2:]).clamp(min=0)
    sources, fused = variances[:, :2], variances[:, 2:]
    share = covariances.square() / (sources + _TINY_VARIANCE)
    explained = torch.minimum(share, fused.expand_as(share))
    signal = explained * sources / (sources + _TINY_VARIANCE)
    kept = (signal / (fused - explained + NOISE_VARIANCE)).log1p()
    available = (sources / NOISE_VARIANCE).log1p()
    return kept.sum((0, 2, 3)), available.sum((0, 2, 3))


def _smooth(maps: Tensor, window: int, step: int = 1) -> Tensor:
    """Filter with VIF's window where it lies inside, at every ``step``-th position of both sides.

    As products with banded matrices: for crops, forward and backward took a tenth of the time of
    convolutions on a CPU.
    """
    rows, columns = (_bands(side, window, step).to(maps) for side in maps.shape[-2:])
    return rows @ maps @ columns.T


@lru_cache(maxsize=64)
def _bands(side: int, window: int, step: int) -> Tensor:
    """Return the matrix (positions, side) whose rows are the window at each of its positions."""
    # Kept for trainings, which can't go back through a tensor that a validation made.
    with torch.inference_mode(mode=False):
        taps = torch.tensor(gaussian_taps(window, window / 5))
        bands = torch.zeros(side - window + 1, side)
        for position in range(len(bands)):
            bands[position, position : position + window] = taps
        return bands[::step].contiguous()
