"""The mean of the square around each pixel, as the terms of the loss need it on any device."""

from torch import Tensor
from torch.nn import functional


def mean_around(images: Tensor, reach: int) -> Tensor:
    """Average the square around each pixel, as far as it lies in the image.

    By pooling along columns, then rows: ``box_filter.box_mean`` adds up whole rows, for which a GPU
    has no deterministic way.

    Args:
        images: (B, 1, H, W), float32; what is returned has their shape.
        reach: Pixels to each side.
    """
    for kernel, padding in (((2 * reach + 1, 1), (reach, 0)), ((1, 2 * reach + 1), (0, reach))):
        images = functional.avg_pool2d(
            images, kernel, stride=1, padding=padding, count_include_pad=False
        )
    return images
