"""Why a metric has no value for an image, in words for the manifest."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fusion_core.metrics.conventions import Convention
from fusion_core.metrics.ssim import WINDOW as SSIM_WINDOW
from fusion_core.metrics.vif import WINDOWS as VIF_WINDOWS

Grey = npt.NDArray[Any]

_SHORTEST_SIDE: dict[Convention, dict[str, int]] = {
    "published": {"vif": VIF_WINDOWS[0], "ag": 2, "sf": 2, "ssim": SSIM_WINDOW["published"]},
    "textbook": {
        "vif": VIF_WINDOWS[0],
        "ag": 2,
        "qabf": 3,
        "sf": 2,
        "ssim": SSIM_WINDOW["textbook"],
    },
}


def why_undefined(
    metric: str, ir: Grey, vi: Grey, fused: Grey, convention: Convention = "published"
) -> str:
    """Say why a metric that came out as NaN has no value.

    Args:
        metric: Name of the metric.
        ir: Infrared grey values, (H, W).
        vi: Visible grey values, (H, W).
        fused: Fused grey values, (H, W).
        convention: Which definitions were used.

    Returns:
        The rule that the images break, such as "the infrared image is constant".
    """
    height, width = fused.shape
    shortest = _SHORTEST_SIDE[convention].get(metric, 1)
    if min(height, width) < shortest:
        return f"the image has {width}x{height} pixels and needs at least {shortest} a side"
    sources = {"infrared": ir, "visible": vi}
    constant = [name for name, image in sources.items() if _constant(image)]
    if metric == "qabf":
        return "no source has an edge"
    if constant:
        return f"the {' and the '.join(constant)} image is constant"
    same = [name for name, image in sources.items() if _constant(fused.astype(np.int16) - image)]
    if same:
        return f"the fused image differs from the {' and the '.join(same)} image by a constant"
    return "it is not a number"


def _constant(image: Grey) -> bool:
    return bool(image.min() == image.max())
