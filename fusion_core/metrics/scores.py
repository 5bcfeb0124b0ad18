"""All seven metrics at once, on batches of tensors or on one pair of arrays."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from fusion_core.errors import MetricError
from fusion_core.metrics.edges import edge_preservation
from fusion_core.metrics.gradients import average_gradient, spatial_frequency
from fusion_core.metrics.inputs import grey_images
from fusion_core.metrics.ssim import structural_similarity
from fusion_core.metrics.statistics import entropy, sum_of_correlations_of_differences
from fusion_core.metrics.vif import visual_information_fidelity

METRIC_NAMES = ("vif", "ag", "scd", "qabf", "sf", "en", "ssim")
"""The metrics, in the order of the published tables."""

Convention = Literal["published", "textbook"]
"""Which definition to take where the field is split."""

METRIC_VERSIONS: dict[Convention, str] = {"published": "published-1", "textbook": "textbook-1"}
"""Name of each set of definitions: windows, borders, ranges and sums over sources as each metric's
documentation states them. A name changes whenever one of its definitions does, so that values that
carry the same name can be compared."""

METRIC_VERSION = METRIC_VERSIONS["published"]
"""The set that reproduces the published TNO table, and scores what fuse-archive makes."""

_LUMA = (0.298936021293775, 0.587043074451121, 0.114020904255103)
_FROM_SOURCES = {
    "vif": visual_information_fidelity,
    "scd": sum_of_correlations_of_differences,
    "qabf": edge_preservation,
    "ssim": structural_similarity,
}
_FROM_FUSED = {"ag": average_gradient, "sf": spatial_frequency, "en": entropy}


def score_batch(
    ir: torch.Tensor,
    vi: torch.Tensor,
    fused: torch.Tensor,
    convention: Convention = "published",
) -> dict[str, torch.Tensor]:
    """Score a batch of fused images with all seven metrics, in the ``published-1`` conventions.

    Args:
        ir: Infrared images (B, 1, H, W), integer grey values 0..255, on any device.
        vi: Visible images, likewise.
        fused: Fused images, likewise.

    Returns:
        For each of ``METRIC_NAMES``, in that order, a tensor (B,) in float64 on the same device.
        NaN where a metric isn't defined for an image, such as a constant source or a side smaller
        than the metric's window.

    Raises:
        MetricError: If the images aren't grey images of one shape (see ``grey_images``).
    """
    ir, vi, fused = grey_images("score", ir=ir, vi=vi, fused=fused)
    return {name: _score_one(name, ir, vi, fused) for name in METRIC_NAMES}


def score(ir: npt.NDArray[Any], vi: npt.NDArray[Any], fused: npt.NDArray[Any]) -> dict[str, float]:
    """Score one fused image with all seven metrics.

    Args:
        ir: Infrared image, (H, W) or (H, W, 3), of a kind that ``to_grey255`` takes.
        vi: Visible image, likewise.
        fused: Fused image, likewise.

    Returns:
        The value of each of ``METRIC_NAMES``, in that order; NaN where it isn't defined.

    Raises:
        MetricError: If an array can't be turned into grey values, or the sizes differ.
    """
    images = [torch.from_numpy(to_grey255(image).astype(np.float64)) for image in (ir, vi, fused)]
    scores = score_batch(*(image[None, None] for image in images))
    return {name: float(value) for name, value in scores.items()}


def to_grey255(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Turn an image of any depth into the 8-bit grey values on which the metrics are defined.

    Values are first scaled to 0..255: uint8 as it is, uint16 divided by 257, float (in 0..1) times
    255. Red, green and blue then become ITU-R 601 luminance with the weights of MATLAB's
    ``rgb2gray``. The result is rounded once, halves up. A uint16 copy of an 8-bit image (times
    257) thus gives the same grey values.

    Args:
        array: Image (H, W) or (H, W, 3), uint8, uint16, or floating-point in 0..1.

    Returns:
        (H, W) uint8.

    Raises:
        MetricError: If the array has another shape or type, or a float isn't in 0..1.
    """
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] != 3):
        raise MetricError(
            f"metric input: an array has shape {array.shape}, expected (H, W) or (H, W, 3); pass "
            "one grey or RGB image"
        )
    scaled = _scaled(array)
    if scaled.ndim == 3:
        # One term at a time: a matrix product may fuse or reorder them and move a rounding.
        red, green, blue = (scaled[:, :, i] * weight for i, weight in enumerate(_LUMA))
        scaled = red + green + blue
    grey: npt.NDArray[np.uint8] = np.floor(scaled + 0.5).astype(np.uint8)
    return grey


def _score_one(name: str, ir: torch.Tensor, vi: torch.Tensor, fused: torch.Tensor) -> torch.Tensor:
    """Return one metric (B,), NaN where the images are too small for it."""
    try:
        if name in _FROM_FUSED:
            return _FROM_FUSED[name](fused)
        return _FROM_SOURCES[name](ir, vi, fused)
    except MetricError:
        # The images have passed every other check, so they can only be too small.
        return fused.new_full((fused.shape[0],), torch.nan)


def _scaled(array: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the values scaled to 0..255 in float64, not yet rounded."""
    if array.dtype == np.uint8:
        return array.astype(np.float64)
    if array.dtype == np.uint16:
        return array.astype(np.float64) / 257
    if not np.issubdtype(array.dtype, np.floating):
        raise MetricError(
            f"metric input: an array holds {array.dtype}, expected uint8, uint16 or "
            "floating-point; convert it first"
        )
    # Written so that NaN fails as well.
    if not np.all((array >= 0) & (array <= 1)):
        raise MetricError(
            f"metric input: a {array.dtype} array holds values from {array.min()} to "
            f"{array.max()}, expected 0..1; divide by the value that means white"
        )
    return array.astype(np.float64) * 255
