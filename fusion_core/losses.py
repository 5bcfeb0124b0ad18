"""The training loss: what the fused image must take from each source.

Intensity says whose brightness counts at a pixel, texture asks for the stronger of both gradients.
Reconstructed from the prose of "RefineFuse" (Visual Intelligence, 2025). All images are
(B, 1, H, W), in [0, 1], and each term is a scalar mean.
"""

from typing import Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor
from torch.nn import functional


class LossConfig(BaseModel):
    """Weights and masks of the loss. The defaults are the full loss; ablations change one field.

    Ablation A is ``intensity="mean"``, B is ``intensity="max"``, C is ``texture_weight=0``.

    The paper leaves weights and masks open. The defaults were picked with widths (16, 16, 32,
    32), decoders of 32 and 250 steps of 8 crops of 96x96, by means over seven held-out RoadScene
    pairs:

    ===================================  =====  =====
    change of the defaults               AG     SCD
    ===================================  =====  =====
    none                                 5.53   1.178
    intensity_weight 3                   4.21   1.076
    neighbourhood 63                     5.52   1.211
    neighbourhood 11, threshold 0.004    5.36   1.259
    ===================================  =====  =====

    The weights decide most: the paper's lambda = 5 on the intensity term, tried with the default
    network for 450 steps and masks that did not yet compare the contrasts, left pedestrians dim. A
    neighbourhood of 11 scores a higher SCD, but its masks see edges only and leave warm walls and
    ground as dark as the visible image has them. One seed each, so a few hundredths mean nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    intensity: Literal["masked", "mean", "max"] = Field(
        default="masked",
        description="masked: each source where its mask is 1; mean: both everywhere; "
        "max: the brighter source.",
    )
    intensity_weight: float = Field(default=1.0, ge=0, description="Factor of the intensity term.")
    texture_weight: float = Field(default=1.0, ge=0, description="Factor of the texture term.")
    neighbourhood: int = Field(
        default=31,
        ge=3,
        description="Side in pixels of the square that contrast is measured against; odd.",
    )
    contrast_threshold: float = Field(
        default=0.001,
        gt=0,
        description="Squared difference from the neighbourhood that counts as high.",
    )
    saliency_deviations: float = Field(
        default=1.2,
        description="Infrared is salient above its mean plus this many standard deviations.",
    )
    saliency_floor: float = Field(
        default=0.55, ge=0, le=1, description="Infrared below this is never salient."
    )

    @field_validator("neighbourhood")
    @classmethod
    def _check_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"neighbourhood is {value}; a square around a pixel has an odd side")
        return value


class SourceMasks(NamedTuple):
    """Where each source's brightness counts: two (B, 1, H, W) of 0 and 1; they may overlap."""

    ir: Tensor
    vi: Tensor


def contrast(image: Tensor, neighbourhood: int) -> Tensor:
    """Squared difference of each pixel from the mean of the square around it, (B, 1, H, W).

    At the border the mean is over that part of the square that lies inside the image.
    """
    mean = functional.avg_pool2d(
        image, neighbourhood, stride=1, padding=neighbourhood // 2, count_include_pad=False
    )
    return (image - mean).square()


def saliency(ir: Tensor, deviations: float, floor: float) -> Tensor:
    """1 where the infrared is salient, else 0, (B, 1, H, W): for data without labels.

    Salient is brighter than ``floor`` and than the image's own mean plus ``deviations`` standard
    deviations. It must see whole images: a crop's mean says nothing about the scene. The paper
    leaves this rule open; the default limits were taken over from earlier trials and not varied.
    """
    mean = ir.mean((2, 3), keepdim=True)
    deviation = ir.std((2, 3), keepdim=True, correction=0)
    return ((ir > floor) & (ir > mean + deviations * deviation)).to(ir.dtype)


def source_masks(
    ir: Tensor, vi: Tensor, config: LossConfig, salient: Tensor | None = None
) -> SourceMasks:
    """Find where each source's brightness counts, on whole images.

    The infrared counts where it is salient or has high contrast, the visible image where the scene
    is not salient or the visible contrast is high: above the threshold and above the infrared's.
    Without that comparison the visible image counts nearly everywhere and hot objects stay dim.
    Where both count, any brightness between the two costs the same, and texture decides.

    Args:
        ir: infrared, (B, 1, H, W), in [0, 1].
        vi: visible luminance, same shape and range.
        config: neighbourhood and thresholds.
        salient: 0 or 1, same shape, from a segmentation label; found by :func:`saliency` if None.
    """
    if salient is None:
        salient = saliency(ir, config.saliency_deviations, config.saliency_floor)
    hot = salient > 0
    contrast_ir = contrast(ir, config.neighbourhood)
    high_ir = contrast_ir > config.contrast_threshold
    high_vi = contrast(vi, config.neighbourhood) > contrast_ir.clamp(min=config.contrast_threshold)
    return SourceMasks((hot | high_ir).to(ir.dtype), (~hot | high_vi).to(vi.dtype))


def gradient(image: Tensor) -> Tensor:
    """Absolute gradient |Sobel_x| + |Sobel_y|, (B, 1, H, W), edges replicated.

    The kernel is not normalised, so a step from 0 to 1 gives 4.
    """
    kernel = image.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    kernels = torch.stack((kernel, kernel.T)).unsqueeze(1)
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, kernels).abs().sum(1, keepdim=True)


def masked_intensity_loss(fused: Tensor, ir: Tensor, vi: Tensor, masks: SourceMasks) -> Tensor:
    """mean(|M_ir (F - ir)|) + mean(|M_vi (F - vi)|), both means over all pixels."""
    return (masks.ir * (fused - ir)).abs().mean() + (masks.vi * (fused - vi)).abs().mean()


def mean_intensity_loss(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """mean(|F - ir|) + mean(|F - vi|): ablation A."""
    return (fused - ir).abs().mean() + (fused - vi).abs().mean()


def max_intensity_loss(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """mean(|F - max(ir, vi)|): ablation B."""
    return (fused - torch.maximum(ir, vi)).abs().mean()


def texture_loss(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """mean(| |Sobel(F)| - max(|Sobel(ir)|, |Sobel(vi)|) |)."""
    wanted = torch.maximum(gradient(ir), gradient(vi))
    return (gradient(fused) - wanted).abs().mean()


def fusion_loss(
    fused: Tensor, ir: Tensor, vi: Tensor, masks: SourceMasks, config: LossConfig
) -> Tensor:
    """The weighted sum that training minimises, a scalar in fp32.

    Args:
        fused: (B, 1, H, W), float32, in [0, 1].
        ir: infrared, same shape and range.
        vi: visible luminance, same shape and range.
        masks: of :func:`source_masks`, cropped like the images; used by ``intensity="masked"``.
        config: terms and weights.
    """
    if config.intensity == "masked":
        intensity = masked_intensity_loss(fused, ir, vi, masks)
    elif config.intensity == "mean":
        intensity = mean_intensity_loss(fused, ir, vi)
    else:
        intensity = max_intensity_loss(fused, ir, vi)
    loss = config.intensity_weight * intensity
    if config.texture_weight:
        loss = loss + config.texture_weight * texture_loss(fused, ir, vi)
    return loss
