"""The masks of the intensity loss: where each source's brightness counts.

Reconstructed from the prose of "RefineFuse" (Visual Intelligence, 2025). All images are (B, 1, H,
W), in [0, 1].
"""

from typing import NamedTuple

from torch import Tensor

from fusion_core.models.box_filter import box_mean
from fusion_core.training.loss_config import LossConfig


class SourceMasks(NamedTuple):
    """Where each source's brightness counts: two (B, 1, H, W) of 0 and 1; they may overlap."""

    ir: Tensor
    vi: Tensor


def contrast(image: Tensor, neighbourhood: int) -> Tensor:
    """Return the squared difference of each pixel from the mean of the square around it.

    At the border the mean is over that part of the square that lies inside the image.

    Args:
        image: (B, 1, H, W), in [0, 1]; what is returned has its shape.
        neighbourhood: Side of the square in pixels; odd.
    """
    mean = box_mean(image.double(), neighbourhood // 2).to(image.dtype)
    return (image - mean).square()


def saliency(ir: Tensor, deviations: float, floor: float) -> Tensor:
    """Return 1 where the infrared is salient, else 0, (B, 1, H, W): for data without labels.

    Salient is brighter than ``floor`` and than the image's own mean plus ``deviations`` standard
    deviations. It must see whole images: a crop's mean says nothing about the scene. The paper
    leaves this rule open. Laxer and stricter limits, and none, changed the means hardly more than
    another seed did (``ablate --study choices``; the table is in the weights' model card).
    """
    mean = ir.mean((2, 3), keepdim=True)
    deviation = ir.std((2, 3), keepdim=True, correction=0)
    return ((ir > floor) & (ir > mean + deviations * deviation)).to(ir.dtype)


def source_masks(
    ir: Tensor, vi: Tensor, config: LossConfig, salient: Tensor | None = None
) -> SourceMasks:
    """Find where each source's brightness counts, on whole images or on crops of them.

    The infrared counts where it is salient or has high contrast, the visible image where the scene
    is not salient or the visible contrast is high: above the threshold and above the infrared's.
    Without that comparison the visible image counts nearly everywhere and hot objects stay dim.
    Where both count, any brightness between the two costs the same, and texture decides.

    Args:
        ir: Infrared, (B, 1, H, W), in [0, 1].
        vi: Visible luminance, same shape and range.
        config: Neighbourhood and thresholds.
        salient: 0 or 1, same shape, from a segmentation label or, for crops, cut from that of the
            whole image; found by ``saliency`` if None.
    """
    if salient is None:
        salient = saliency(ir, config.saliency_deviations, config.saliency_floor)
    hot = salient > 0
    contrast_ir = contrast(ir, config.neighbourhood)
    high_ir = contrast_ir > config.contrast_threshold
    high_vi = contrast(vi, config.neighbourhood) > contrast_ir.clamp(min=config.contrast_threshold)
    return SourceMasks((hot | high_ir).to(ir.dtype), (~hot | high_vi).to(vi.dtype))
