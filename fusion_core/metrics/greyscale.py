"""Checks and converts images to the 8-bit grey values that every metric asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fusion_core.errors import MetricError
from fusion_core.metrics.scaling import Scaling

# MATLAB's rgb2gray: BT.601 to more digits than the three by which colour is taken apart and put
# together (images.colour). The two are now and then a grey level apart.
_RGB2GRAY = (0.298936021293775, 0.587043074451121, 0.114020904255103)

_LARGEST = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
_STRIP = 1 << 15  # pixels that are converted at once: in float64 they fit a CPU's cache


def grey_images(metric: str, **images: torch.Tensor) -> torch.Tensor:
    """Check that images are grey values on one grid, and stack them.

    Only integers from 0 to 255 are taken: the published values belong to 8-bit images, and images
    scaled to 0..1 would give plausible numbers that compare with nothing.

    Args:
        metric: Name of the metric, for error messages.
        images: Tensors (B, 1, H, W) by name, all of one shape and on one device.

    Returns:
        The images in the order given, (K, B, H, W) uint8.

    Raises:
        MetricError: An image is empty, isn't (B, 1, H, W), differs from the first in shape or
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
    return torch.stack([_grey_values(metric, name, image) for name, image in images.items()])


def require_side(metric: str, images: torch.Tensor, smallest: int) -> None:
    """Raise if images are too small for a metric to be defined.

    Args:
        metric: Name of the metric, for the error message.
        images: Tensor (..., H, W).
        smallest: Smallest height and width in pixels.

    Raises:
        MetricError: The height or the width is below ``smallest``.
    """
    height, width = images.shape[-2:]
    if min(height, width) < smallest:
        raise MetricError(
            f"metric {metric}: the images are {height} px high and {width} px wide, expected at "
            f"least {smallest} px each way; leave such images out of this metric"
        )


def to_grey255(array: npt.NDArray[Any], scaling: Scaling | None = None) -> npt.NDArray[np.uint8]:
    """Turn an image of any depth into the 8-bit grey values on which the metrics are defined.

    Values are first scaled to 0..255: by ``scaling`` where there is one; else uint8 as it is,
    uint16 divided by 257, float (in 0..1) times 255. Red, green and blue then become ITU-R 601
    luminance with the weights of MATLAB's ``rgb2gray``. The result is rounded once, halves up. A
    uint16 copy of an 8-bit image (times 257) thus gives the same grey values.

    Args:
        array: Image (H, W) or (H, W, 3), uint8, uint16, or floating-point in 0..1.
        scaling: What becomes black and white, in the image's units, if not the type's range; the
            image then is of uint8 or uint16.

    Returns:
        (H, W) uint8.

    Raises:
        MetricError: The array has another shape or type, or a float isn't in 0..1.
    """
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] != 3):
        raise MetricError(
            f"metric input: an array has shape {array.shape}, expected (H, W) or (H, W, 3); pass "
            "one grey or RGB image"
        )
    if array.dtype in _LARGEST and scaling == Scaling(0, _LARGEST[array.dtype]):
        scaling = None  # in the arithmetic of the type, whose roundings are known
    if array.ndim == 2 and array.dtype == np.uint8 and scaling is None:
        return array
    _check_values(array)
    grey = np.empty(array.shape[:2], np.uint8)
    step = max(1, _STRIP // max(1, array.shape[1]))
    for top in range(0, array.shape[0], step):
        grey[top : top + step] = _grey(array[top : top + step], scaling)
    return grey


def unit_to_grey255(unit: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """Turn values in [0, 1] into 8-bit ones as ``to_grey255`` does, in any shape and unchecked.

    Args:
        unit: Values in [0, 1].

    Returns:
        255 times as much, rounded halves up.
    """
    return _rounded(255 * unit.astype(np.float64))


def _grey(array: npt.NDArray[Any], scaling: Scaling | None) -> npt.NDArray[np.uint8]:
    """Return checked values as grey ones."""
    if array.ndim == 2:
        grey = _scaled(array, scaling)
    else:
        # One term at a time: a matrix product may fuse or reorder them and move a rounding.
        grey, green, blue = (_scaled(array[..., i], scaling) for i in range(3))
        for band, weight in zip((grey, green, blue), _RGB2GRAY, strict=True):
            band *= weight
        grey += green
        grey += blue
    return _rounded(np.clip(grey, 0, 255, out=grey))


def _rounded(scaled: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    # What isn't negative is cut down to an integer as by floor.
    grey: npt.NDArray[np.uint8] = (scaled + 0.5).astype(np.uint8)
    return grey


def _grey_values(metric: str, name: str, image: torch.Tensor) -> torch.Tensor:
    """Return the image as (B, H, W) uint8, or raise saying which rule its values break."""
    shape, image = tuple(image.shape), image[:, 0]
    if image.dtype == torch.uint8:
        return image
    grey = image.to(torch.float64)
    # One comparison finds all three faults: NaN equals nothing, and infinity is clamped.
    if torch.equal(grey, grey.round().clamp(0, 255)):
        return grey.to(torch.uint8)
    faulty = int((~grey.isfinite()).sum())
    if faulty:
        found = f"{faulty} values that are NaN or infinite"
    elif float(grey.min()) < 0 or float(grey.max()) > 255:
        found = f"values from {float(grey.min()):g} to {float(grey.max()):g}"
    else:
        found = f"{int((grey != grey.round()).sum())} values that are not integers"
    raise MetricError(
        f"metric {metric}: {name} of shape {shape} holds {found}, expected integer grey values "
        "from 0 to 255; scale the image to 0..255 and round it first"
    )


def _check_values(array: npt.NDArray[Any]) -> None:
    """Raise where an image has a type, or holds a value, that has no grey value."""
    if array.dtype in (np.uint8, np.uint16):
        return
    if not np.issubdtype(array.dtype, np.floating):
        raise MetricError(
            f"metric input: an array of shape {array.shape} holds {array.dtype}, expected uint8, "
            "uint16 or floating-point; convert it first"
        )
    # Written so that NaN fails as well.
    if not np.all((array >= 0) & (array <= 1)):
        raise MetricError(
            f"metric input: a {array.dtype} array of shape {array.shape} holds values from "
            f"{array.min()} to {array.max()}, expected 0..1; divide by the value that means white"
        )


def _scaled(array: npt.NDArray[Any], scaling: Scaling | None) -> npt.NDArray[np.float64]:
    """Return checked values scaled to 0..255 in float64, not yet clipped and rounded."""
    if scaling is not None:
        return (array.astype(np.float64) - scaling.low) * (255 / scaling.span)
    if array.dtype == np.uint8:
        return array.astype(np.float64)
    if array.dtype == np.uint16:
        return array.astype(np.float64) / 257
    return array.astype(np.float64) * 255
