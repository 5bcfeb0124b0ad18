"""Local means, variances and covariances of two sources and a fused image.

``local_moments`` is for float64; in fp32 ``local_covariances`` loses no digits.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import torch

from fusion_core.metrics.filters import padded_width, smooth, smooth_columns, smooth_rows


class LocalMoments(NamedTuple):
    """Weighted moments in windows around each pixel.

    Attributes:
        means: Of A, B and F, (3, B, h, w).
        variances: Of A, B and F, (3, B, h, w); rounding may leave them just below 0.
        covariances: Of A and F, B and F, (2, B, h, w).
    """

    means: torch.Tensor
    variances: torch.Tensor
    covariances: torch.Tensor


def local_moments(images: torch.Tensor, taps: tuple[float, ...]) -> LocalMoments:
    """Compute the moments in all windows that lie inside the images.

    Args:
        images: A, B and F, (3, B, H, W). The closer to 0 the values, the less is lost to rounding.
        taps: Weights of the separable window along either axis; they sum to 1.
    """
    *leading, height, width = images.shape[1:]
    stack = images.new_empty(8, *leading, height, padded_width(width, len(taps)))
    stack[..., width:] = 0
    stack[:3, ..., :width] = images
    torch.mul(images, images, out=stack[3:6, ..., :width])
    torch.mul(images[:2], images[2], out=stack[6:, ..., :width])
    sums = smooth(stack, taps, width=width)
    means = sums[:3]
    return LocalMoments(
        means,
        sums[3:6].addcmul_(means, means, value=-1),
        sums[6:].addcmul_(means[:2], means[2], value=-1),
    )


class LocalCovariances(NamedTuple):
    """Weighted second moments about the mean in windows around each pixel, fp32.

    Attributes:
        variances: Of A, B and F, (3, B, h, w); rounding may leave them just below 0.
        covariances: Of A and F, B and F, (2, B, h, w).
    """

    variances: torch.Tensor
    covariances: torch.Tensor


def local_covariances(images: torch.Tensor, taps: tuple[float, ...]) -> LocalCovariances:
    """Compute the moments about the mean in all windows, to nearly all digits of fp32.

    The mean of squares less the square of the mean would lose those by which a small variance far
    from zero differs from none: a thousandth of a squared grey value, where a night sky has a
    tenth. Here all is told from the differences of neighbours, which are as small as what is
    wanted, and 0 where an image is flat. First along the columns; then the variance of a window is
    the mean of its columns' variances and the variance of their means.

    Args:
        images: A, B and F, (3, B, H, W) fp32.
        taps: Weights of the separable window along either axis; they sum to 1.
    """
    *leading, height, width = images.shape[1:]
    size, steps = len(taps), _taps_of_steps(taps)
    middle, behind = size // 2, size // 2 + 1 - size
    wide = padded_width(width, size)
    padded = images.new_empty(3, *leading, height, wide)
    padded[..., width:] = 0
    padded[..., :width] = images
    downwards = images.new_empty(8, *leading, height - 1, wide)
    _steps(padded[..., :-1, :], padded[..., 1:, :], downwards)
    moved = smooth_columns(downwards, steps)
    centre = padded[..., middle : height + behind, :]
    within, means = _about_mean(moved, centre)
    sideways = images.new_empty(8, *means.shape[1:])
    # As if all rows were one, which is faster; the step to the next row lies in the padding.
    along, steps_along = means.flatten(1), sideways.flatten(1)
    steps_along[:, -1] = 0
    _steps(along[:, :-1], along[:, 1:], steps_along[:, :-1])
    moved = smooth_rows(sideways, steps, width - 1)
    both, _ = _about_mean(moved, means[..., middle : width + behind])
    both += smooth_rows(within, taps, width)
    return LocalCovariances(both[:3], both[3:])


def _steps(first: torch.Tensor, second: torch.Tensor, steps: torch.Tensor) -> None:
    """Find the differences of neighbours of A, B, F, A^2, B^2, F^2, AF and BF, (8, B, h, w).

    Args:
        first: A, B and F, (3, B, h, w).
        second: Their neighbours, likewise.
        steps: Filled with the differences.
    """
    torch.sub(second, first, out=steps[:3])
    # Squares as products, so that those of equal images are equal to the last digit.
    torch.mul(steps[:3], second, out=steps[3:6])
    torch.mul(steps[:2], second[2], out=steps[6:])
    steps[3:6].addcmul_(first, steps[:3])
    steps[6:].addcmul_(first[:2], steps[2])


def _about_mean(moved: torch.Tensor, centre: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return variances of A, B and F and covariances with F about the mean, and the means.

    Args:
        moved: By how much each of the means that ``_steps`` names differs from what it is of in
            the window's middle, (8, B, h, w); those of products are overwritten.
        centre: A, B and F in the window's middle, (3, B, h, w).
    """
    moments, by = moved[3:], moved[:3]
    means = centre + by
    # With the mean m = c + d, the mean of squares less m^2 is its own difference less d m + c d.
    moments[:3].addcmul_(by, means, value=-1)
    moments[3:].addcmul_(by[:2], means[2], value=-1)
    moments[:3].addcmul_(centre, by, value=-1)
    moments[3:].addcmul_(centre[:2], by[2], value=-1)
    return moments, means


@lru_cache
def _taps_of_steps(taps: tuple[float, ...]) -> tuple[float, ...]:
    """Return the weights of neighbours' differences that give the mean less the middle value."""
    middle = len(taps) // 2
    before = [-total for total in accumulate(taps[:middle])]
    behind = list(accumulate(reversed(taps[middle + 1 :])))
    return (*before, *reversed(behind))
