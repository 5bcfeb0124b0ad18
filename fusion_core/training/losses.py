"""The training loss: what a fused image must take from each source.

Intensity says whose brightness counts at a pixel, texture and gradient ask for the stronger edge of
both, and two of the metrics for much of either whole source. Intensity and texture are
reconstructed from the prose of "RefineFuse" (Visual Intelligence, 2025). All images are (B, 1, H,
W), in [0, 1], and each term is a scalar mean.
"""

import torch
from torch import Tensor
from torch.nn import functional

from fusion_core.training.batch import Batch
from fusion_core.training.loss_config import LossConfig
from fusion_core.training.metric_losses import correlation_loss, fidelity_loss
from fusion_core.training.saliency_masks import SourceMasks


def sobel(image: Tensor) -> Tensor:
    """Return the gradient (across, down) by the Sobel filters, (B, 2, H, W), edges replicated.

    The kernel is not normalised, so a step from 0 to 1 gives 4.
    """
    kernel = image.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    kernels = torch.stack((kernel, kernel.T)).unsqueeze(1)
    return functional.conv2d(functional.pad(image, (1, 1, 1, 1), mode="replicate"), kernels)


def masked_intensity_loss(fused: Tensor, ir: Tensor, vi: Tensor, masks: SourceMasks) -> Tensor:
    """Return mean(|M_ir (F - ir)|) + mean(|M_vi (F - vi)|), both means over all pixels."""
    return (masks.ir * (fused - ir)).abs().mean() + (masks.vi * (fused - vi)).abs().mean()


def mean_intensity_loss(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """Return mean(|F - ir|) + mean(|F - vi|): ablation A."""
    return (fused - ir).abs().mean() + (fused - vi).abs().mean()


def max_intensity_loss(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """Return mean(|F - max(ir, vi)|): ablation B."""
    return (fused - torch.maximum(ir, vi)).abs().mean()


def texture_loss(fused: Tensor, ir: Tensor, vi: Tensor, gain: float = 1.0) -> Tensor:
    """Return mean(| |Sobel(F)| - gain max(|Sobel(ir)|, |Sobel(vi)|) |).

    The inner |.| of a gradient is the sum of its absolute parts.
    """
    found, *sources = (sobel(image).abs().sum(1) for image in (fused, ir, vi))
    return (found - gain * torch.maximum(*sources)).abs().mean()


def gradient_loss(fused: Tensor, ir: Tensor, vi: Tensor, gain: float = 1.0) -> Tensor:
    """Return mean(|Sobel(F) - gain Sobel(S)|), S the source with the steeper gradient at the pixel.

    Unlike ``texture_loss`` it knows the gradient's direction, so an edge can't be met by one
    that rises the other way, which is how dark contours come about.
    """
    found, of_ir, of_vi = (sobel(image) for image in (fused, ir, vi))
    steeper = of_ir.square().sum(1, keepdim=True) > of_vi.square().sum(1, keepdim=True)
    return (found - gain * torch.where(steeper, of_ir, of_vi)).abs().sum(1).mean()


def distillation_terms(fused: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Return mean(|F - T|) and mean(|Sobel(F) - Sobel(T)|) for what a teacher fused, by name."""
    gradients = (sobel(fused) - sobel(target)).abs().sum(1)
    return {"teacher": (fused - target).abs().mean(), "teacher_gradient": gradients.mean()}


def loss_terms(fused: Tensor, batch: Batch, config: LossConfig) -> dict[str, Tensor]:
    """Return the weighted terms whose sum training minimises, by name: scalars in fp32.

    A term of weight 0 is left out. Where there is a teacher, being like it is all that counts, see
    ``distillation_terms``.

    Args:
        fused: Fused crops, (B, 1, S, S), float32, in [0, 1].
        batch: What they were fused from; its masks are used by ``intensity="masked"``.
        config: Terms and weights.
    """
    ir, vi = batch.ir, batch.vi
    if batch.target is not None:
        return distillation_terms(fused, batch.target)
    if config.intensity == "masked":
        assert batch.masks is not None
        intensity = masked_intensity_loss(fused, ir, vi, batch.masks)
    elif config.intensity == "mean":
        intensity = mean_intensity_loss(fused, ir, vi)
    else:
        intensity = max_intensity_loss(fused, ir, vi)
    terms = {"intensity": config.intensity_weight * intensity}
    gain = config.texture_gain
    if config.texture_weight:
        terms["texture"] = config.texture_weight * texture_loss(fused, ir, vi, gain)
    if config.gradient_weight:
        terms["gradient"] = config.gradient_weight * gradient_loss(fused, ir, vi, gain)
    if config.correlation_weight:
        terms["correlation"] = config.correlation_weight * correlation_loss(fused, ir, vi)
    if config.fidelity_weight:
        terms["fidelity"] = config.fidelity_weight * fidelity_loss(fused, ir, vi)
    return terms
