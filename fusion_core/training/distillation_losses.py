"""The loss of a network that learns from a teacher: to be like it, pixel by pixel and as a whole.

What a small network isn't sure of, it blurs, so being near the teacher's pixels alone leaves images
flatter than the teacher's. The other terms name what was lost by that: the gradients that the
sources ask for, which the teacher learnt from as well, and how much of the sources' information,
edges and differences is kept, which is to be as much as the teacher keeps. Prototypes, against the
teacher's means over 8 TNO pairs (4 crops a step; chance moves them by about 1 %):

==========================================  =====  ======  =====  ======  ======
terms and steps                             VIF    AG      SCD    Qabf    SSIM
==========================================  =====  ======  =====  ======  ======
pixels and gradients of the teacher, 2000   -4.8%  -7.8%   -0.5%  -11.8%  +4.0%
with all but edges, 1500                    -2.4%  -3.8%   -1.5%  -13.0%  +3.1%
the same and 1200 more with edges           -2.7%  -4.8%   -1.7%  -9.7%   +2.1%
==========================================  =====  ======  =====  ======  ======
"""

from torch import Tensor

from fusion_core.training.batch import Batch
from fusion_core.training.gradient_losses import gradient_loss, sobel, texture_loss
from fusion_core.training.loss_config import LossConfig
from fusion_core.training.metric_losses import correlation_loss, edge_loss, fidelity_loss

_EDGES, _CONTRAST = 0.5, 0.2
"""Factors of the terms that only a training with a teacher has."""


def distillation_terms(
    fused: Tensor, batch: Batch, target: Tensor, config: LossConfig
) -> dict[str, Tensor]:
    """Return the weighted terms whose sum a training with a teacher minimises, by name.

    Args:
        fused: Fused crops, (B, 1, S, S), float32.
        batch: What they were fused from.
        target: What the teacher fused of them.
        config: Factors of the terms that a training without a teacher has too; the factors of
            texture and gradient are halved, and those of correlation and fidelity act on the
            difference from the teacher's.
    """
    ir, vi = batch.ir, batch.vi
    gradients, theirs = sobel(fused), sobel(target)
    terms = {
        "teacher": (fused - target).abs().mean(),
        "teacher_gradient": (gradients - theirs).abs().sum(1).mean() / 2,
        "contrast": _CONTRAST * _contrast_differs(gradients, theirs),
        "edges": _EDGES * (edge_loss(fused, ir, vi) - edge_loss(target, ir, vi)).abs(),
    }
    gain = config.texture_gain
    if config.texture_weight:
        terms["texture"] = config.texture_weight / 2 * texture_loss(fused, ir, vi, gain)
    if config.gradient_weight:
        terms["gradient"] = config.gradient_weight / 2 * gradient_loss(fused, ir, vi, gain)
    for name, weight, loss in (
        ("correlation", config.correlation_weight, correlation_loss),
        ("fidelity", config.fidelity_weight, fidelity_loss),
    ):
        if weight:
            terms[name] = weight * (loss(fused, ir, vi) - loss(target, ir, vi)).abs()
    return terms


def _contrast_differs(gradients: Tensor, theirs: Tensor) -> Tensor:
    """Return how far mean and root mean square of gradients are from the teacher's, as a share."""
    means = gradients.abs().mean() / theirs.abs().mean().clamp(min=_FLAT)
    ours, wanted = (
        (side.square().mean((1, 2, 3)) + _FLAT**2).sqrt().mean() for side in (gradients, theirs)
    )
    return (means - 1).abs() + (ours / wanted - 1).abs()


_FLAT = 3e-3
"""A gradient of less than a grey level, in place of none."""
