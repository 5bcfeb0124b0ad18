"""Losses of gradients: a fused image is to have the stronger edge of both sources.

The texture term is reconstructed from the prose of "RefineFuse" (Visual Intelligence, 2025). All
images are (B, 1, H, W), in [0, 1], and each loss is a scalar mean.
"""

import torch
from torch import Tensor
from torch.nn import functional


def sobel(image: Tensor) -> Tensor:
    """Return the gradient (across, down) by the Sobel filters, (B, 2, H, W), edges replicated.

    The kernel is not normalised, so a step from 0 to 1 gives 4.
    """
    kernel = image.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    kernels = torch.stack((kernel, kernel.T)).unsqueeze(1)
    return functional.conv2d(functional.pad(image, (1, 1, 1, 1), mode="replicate"), kernels)


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
