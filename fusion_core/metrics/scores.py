"""All seven metrics at once, of a batch or of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fusion_core.errors import MetricError
from fusion_core.metrics.conventions import Convention, check_convention
from fusion_core.metrics.greyscale import grey_images, to_grey255
from fusion_core.metrics.scaling import (
    PERCENTILES,
    Range,
    Scaling,
    ScalingName,
    choose_scaling,
    luminances,
    scaling_problem,
)
from fusion_core.metrics.sums import image_sums, values


def score_batch(
    ir: torch.Tensor,
    vi: torch.Tensor,
    fused: torch.Tensor,
    convention: Convention = "published",
) -> dict[str, torch.Tensor]:
    """Score a batch of fused images with all seven metrics.

    Args:
        ir: Infrared images (B, 1, H, W), integer grey values 0..255, on any device. uint8 is
            fastest.
        vi: Visible images, likewise.
        fused: Fused images, likewise.
        convention: Which definitions to use where the field is split.

    Returns:
        For each of ``METRIC_NAMES``, in that order, a tensor (B,) in float64 on the same device.
        NaN where a metric isn't defined for an image, such as a constant source or a side smaller
        than the metric's window.

    Raises:
        MetricError: The images aren't grey images of one shape (see ``grey_images``), or there
            is no such convention.
    """
    check_convention(convention)
    with torch.inference_mode():
        images = grey_images("score", ir=ir, vi=vi, fused=fused)
        # A CPU's cache holds the maps of one image; a GPU needs many to be busy.
        size = 1 if images.is_cpu else images.shape[1]
        groups = (images[:, k : k + size] for k in range(0, images.shape[1], size))
        height, width = images.shape[-2:]
        scored = [
            values(image_sums(part, convention), height, width, convention=convention)
            for part in groups
        ]
    return {name: torch.cat([scores[name] for scores in scored]) for name in scored[0]}


def score(
    ir: npt.NDArray[Any],
    vi: npt.NDArray[Any],
    fused: npt.NDArray[Any],
    convention: Convention = "published",
    *,
    scaling: ScalingName = "auto",
    percentiles: Range = PERCENTILES,
    ir_range: Range | None = None,
    vi_range: Range | None = None,
) -> dict[str, float]:
    """Score one fused image with all seven metrics.

    Scaling, percentiles and ranges mean what they mean in a run, see ``choose_scaling``: 8 bits are
    taken as they are, counts of a thermal camera in 16 bits by their percentiles, unless a range is
    given. Floats are in 0..1 already, and stay as they are.

    Args:
        ir: Infrared image, (H, W) or (H, W, 3), of a kind that ``to_grey255`` takes.
        vi: Visible image, likewise.
        fused: Fused image, likewise. One of the visible image's type is in its units and takes its
            scaling, but for the type's range; one of another type takes its own type's range.
        convention: Which definitions to use where the field is split.
        scaling: What the sources' values become.
        percentiles: Percentiles that become black and white, of 0 to 100.
        ir_range: Infrared values that become black and white.
        vi_range: Visible values that become black and white.

    Returns:
        The value of each of ``METRIC_NAMES``, in that order; NaN where it isn't defined.

    Example:
        >>> import numpy as np
        >>> ir, vi = np.random.default_rng(1).integers(0, 256, (2, 64, 80), np.uint8)
        >>> scores = score(ir, vi, np.maximum(ir, vi))
        >>> list(scores)
        ['vif', 'ag', 'scd', 'qabf', 'sf', 'en', 'ssim']
        >>> round(scores["en"], 1)
        7.7

    Raises:
        MetricError: An array can't be turned into grey values, the sizes differ, there is no such
            convention, or scaling, percentiles and ranges don't go together or with the images.
    """
    ranges: dict[str, Any] = {"ir_range": ir_range, "vi_range": vi_range}
    if problem := scaling_problem(scaling, percentiles=percentiles, **ranges):
        raise MetricError(f"metric input: {problem}")
    wanted = _Wanted(scaling, percentiles)
    of_ir, of_vi = wanted.scaling("ir", ir, ir_range), wanted.scaling("vi", vi, vi_range)
    of_fused = of_vi if fused.dtype == vi.dtype else None
    sides = ((ir, of_ir), (vi, of_vi), (fused, of_fused))
    a, b, f = (grey_tensor(image, scaled) for image, scaled in sides)
    return {name: float(value) for name, value in score_batch(a, b, f, convention).items()}


def grey_tensor(array: npt.NDArray[Any], scaling: Scaling | None = None) -> torch.Tensor:
    """Return an image's grey values, see ``to_grey255``, as a batch (1, 1, H, W) uint8."""
    # Copied, because an array may be read-only or run backwards.
    return torch.from_numpy(np.array(to_grey255(array, scaling)))[None, None]


@dataclass(frozen=True)
class _Wanted:
    """How the values of two sources are to be scaled."""

    name: ScalingName
    percentiles: Range

    def scaling(self, side: str, image: npt.NDArray[Any], fixed: Range | None) -> Scaling | None:
        """Return the scaling of one source; None for its type's range."""
        if image.dtype not in (np.uint8, np.uint16):
            if fixed is not None or self.name == "percentiles":
                setting = f"{side}_range is set" if fixed is not None else "scaling is percentiles"
                raise MetricError(
                    f"metric input: {setting} and {side} holds {image.dtype}, whose values are in "
                    "0..1 as they are; expected uint8 or uint16. Leave the setting out"
                )
            return None
        if image.ndim != 2 and image.shape[2:] != (3,):
            return None  # which is refused where it is turned into grey
        bits = 8 * image.dtype.itemsize
        _, found = choose_scaling(
            self.name,
            fixed=fixed,
            percentiles=self.percentiles,
            container=(0, (1 << bits) - 1),
            bits=bits,
            photograph=True,
            sample=luminances(image),
        )
        return found
