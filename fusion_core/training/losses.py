"""The training loss: what a fused image must take from each source.

Intensity says whose brightness counts at a pixel, texture and gradient ask for the stronger edge of
both, and two of the metrics for much of either whole source. Intensity and texture are
reconstructed from the prose of "RefineFuse" (Visual Intelligence, 2025). All images are (B, 1, H,
W), in [0, 1], and each term is a scalar mean.
"""

import torch
from torch import Tensor

from fusion_core.training.batch import Batch
from fusion_core.training.brightness_losses import black_loss, sky_loss, spread_loss
from fusion_core.training.dim_infrared import wanted
from fusion_core.training.distillation_losses import distillation_terms
from fusion_core.training.gradient_losses import gradient_loss, texture_loss
from fusion_core.training.loss_config import LossConfig
from fusion_core.training.metric_losses import correlation_loss, fidelity_loss
from fusion_core.training.saliency_masks import SourceMasks


def masked_intensity_loss(fused: Tensor, ir: Tensor, vi: Tensor, masks: SourceMasks) -> Tensor:
    """Return mean(|M_ir (F - ir)|) + mean(|M_vi (F - vi)|), both means over all pixels."""
    return (masks.ir * (fused - ir)).abs().mean() + (masks.vi * (fused - vi)).abs().mean()


def mean_intensity_loss(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """Return mean(|F - ir|) + mean(|F - vi|): ablation A."""
    return (fused - ir).abs().mean() + (fused - vi).abs().mean()


def max_intensity_loss(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """Return mean(|F - max(ir, vi)|): ablation B."""
    return (fused - torch.maximum(ir, vi)).abs().mean()


def loss_terms(fused: Tensor, batch: Batch, config: LossConfig) -> dict[str, Tensor]:
    """Return the weighted terms whose sum training minimises, by name: scalars in fp32.

    A term of weight 0 is left out. Where there is a teacher, see ``distillation_terms``.

    Args:
        fused: Fused crops, (B, 1, S, S), float32, in [0, 1].
        batch: What they were fused from; its masks are used by ``intensity="masked"``.
        config: Terms and weights.
    """
    ir, vi = batch.ir, batch.vi
    if batch.target is not None:
        return distillation_terms(fused, batch, batch.target, config)
    gain = config.texture_gain
    levels, edges, dim = wanted(ir, vi, config.dim_share, gain)
    if config.intensity == "masked":
        assert batch.masks is not None
        intensity = masked_intensity_loss(fused, *levels, batch.masks)
    elif config.intensity == "mean":
        intensity = mean_intensity_loss(fused, *levels)
    else:
        intensity = max_intensity_loss(fused, *levels)
    terms = {"intensity": config.intensity_weight * intensity}
    if config.texture_weight:
        terms["texture"] = config.texture_weight * texture_loss(fused, *edges, gain)
    if config.gradient_weight:
        terms["gradient"] = config.gradient_weight * gradient_loss(fused, *edges, gain)
    if config.fidelity_weight:
        terms["fidelity"] = config.fidelity_weight * fidelity_loss(fused, ir, vi)
    if config.correlation_weight:
        correlation = correlation_loss(fused, ir, vi, 1 - dim)
        terms["correlation"] = config.correlation_weight * correlation
    if config.spread_weight:
        terms["spread"] = config.spread_weight * spread_loss(fused, ir, vi, 1 - dim)
    if config.sky_weight:
        terms["sky"] = config.sky_weight * sky_loss(fused, ir, vi)
    if config.black_weight:
        terms["black"] = config.black_weight * black_loss(fused, ir, vi)
    return terms
