"""What every metric asks of its images."""

import torch

from fusion_core.errors import MetricError


def grey_images(metric: str, **images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Check that images are grey values on one grid and return them in float64.

    Only integers from 0 to 255 are taken: the published values belong to 8-bit images, and images
    scaled to 0..1 would give plausible numbers that compare with nothing.

    Args:
        metric: Name of the metric, for error messages.
        images: Tensors (B, 1, H, W) by name, all of one shape and on one device.

    Returns:
        The images in float64, in the order given.

    Raises:
        MetricError: If an image is empty, isn't (B, 1, H, W), differs from the first in shape or
            device, or holds a value that isn't an integer from 0 to 255.
    """
    first_name, first = next(iter(images.items()))
    for name, image in images.items():
        shape = tuple(image.shape)
        if image.ndim != 4 or image.shape[1] != 1 or image.numel() == 0:
            raise MetricError(
                f"metric {metric}: {name} has shape {shape}, expected (B, 1, H, W) with no empty "
                "side; pass a batch of non-empty images of one grey channel"
            )
        if shape != tuple(first.shape):
            raise MetricError(
                f"metric {metric}: {name} has shape {shape}, expected that of {first_name}, "
                f"{tuple(first.shape)}; bring the images to one size first"
            )
        if image.device != first.device:
            raise MetricError(
                f"metric {metric}: {name} is on {image.device}, expected the device of "
                f"{first_name}, {first.device}; move the images to one device first"
            )
    return tuple(_grey_values(metric, name, image) for name, image in images.items())


def require_side(metric: str, image: torch.Tensor, smallest: int) -> None:
    """Raise if an image is too small for a metric to be defined.

    Args:
        metric: Name of the metric, for the error message.
        image: Tensor (B, 1, H, W).
        smallest: Smallest height and width in pixels.

    Raises:
        MetricError: If the height or the width is below ``smallest``.
    """
    height, width = image.shape[-2:]
    if min(height, width) < smallest:
        raise MetricError(
            f"metric {metric}: the images are {height} px high and {width} px wide, expected at "
            f"least {smallest} px each way; leave such images out of this metric"
        )


def _grey_values(metric: str, name: str, image: torch.Tensor) -> torch.Tensor:
    """Return the image in float64, or raise saying which rule its values break."""
    grey = image.to(torch.float64)
    # One comparison finds all three faults: NaN equals nothing, and infinity is clamped.
    if torch.equal(grey, grey.round().clamp(0, 255)):
        return grey
    faulty = int((~grey.isfinite()).sum())
    if faulty:
        found = f"{faulty} values that are NaN or infinite"
    elif float(grey.min()) < 0 or float(grey.max()) > 255:
        found = f"values from {float(grey.min()):g} to {float(grey.max()):g}"
    else:
        found = f"{int((grey != grey.round()).sum())} values that are not integers"
    raise MetricError(
        f"metric {metric}: {name} holds {found}, expected integer grey values from 0 to 255; "
        "scale the image to 0..255 and round it first"
    )
