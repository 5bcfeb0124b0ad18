"""The scores of an image as columns of the manifest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.metrics import METRIC_VERSIONS, Convention, score_batch, to_grey255
from fusion_core.metrics.streaming import StreamedScores
from fusion_core.metrics.undefined import why_undefined


def score_columns(
    ir: NDArray[Any],
    vi: NDArray[Any],
    fused: NDArray[Any],
    device: str = "cpu",
    *,
    convention: Convention = "published",
    valid: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Score one fused image for its row of the manifest.

    Args:
        ir: Infrared image, (H, W) or (H, W, 3), of a kind that ``to_grey255`` takes.
        vi: Visible image, likewise.
        fused: Fused image, likewise.
        device: Where to compute.
        convention: Which definitions to use where the field is split.
        valid: Which pixels are scored, (H, W); see ``StreamedScores``. Default: all.

    Returns:
        The metrics by name, None where one is undefined; ``metrics_undefined``, the reasons as
        "metric: reason; …" or None; and ``metric_version``.

    Raises:
        MetricError: The images differ in size or aren't images.
    """
    if valid is not None:
        return _masked_columns((ir, vi, fused), valid, device, convention)
    # Copied, because an array may be read-only or run backwards.
    grey_ir, grey_vi, grey_fused = (np.array(to_grey255(image)) for image in (ir, vi, fused))
    a, b, f = (
        torch.from_numpy(grey)[None, None].to(device) for grey in (grey_ir, grey_vi, grey_fused)
    )
    values = {name: float(value) for name, value in score_batch(a, b, f, convention).items()}
    reasons = {
        name: why_undefined(name, grey_ir, grey_vi, grey_fused, convention=convention)
        for name, value in values.items()
        if not math.isfinite(value)
    }
    return metric_columns(values, reasons, METRIC_VERSIONS[convention])


def _masked_columns(
    images: tuple[NDArray[Any], ...],
    valid: NDArray[np.bool_],
    device: str,
    convention: Convention,
) -> dict[str, Any]:
    stream = StreamedScores(valid.shape[0], valid.shape[1], convention, device)
    for window in stream.windows():
        top, left, bottom, right = window.read
        part = slice(top, bottom), slice(left, right)
        stream.add(window, *(image[part] for image in images), valid=valid[part])
    return metric_columns(stream.scores(), stream.undefined(), METRIC_VERSIONS[convention])


def metric_columns(
    values: Mapping[str, float], reasons: Mapping[str, str], version: str
) -> dict[str, Any]:
    """Return the scores of an image as columns of the manifest.

    Args:
        values: The metrics by name, NaN or infinite where one is undefined.
        reasons: Why, by the names of those.
        version: Which definitions were used, see ``METRIC_VERSIONS``.

    Returns:
        The columns that ``score_columns`` describes.
    """
    return {
        **{name: value if math.isfinite(value) else None for name, value in values.items()},
        "metrics_undefined": "; ".join(f"{name}: {why}" for name, why in reasons.items()) or None,
        "metric_version": version,
    }
