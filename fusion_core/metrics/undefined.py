"""Explains for the manifest why a metric has no value for an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fusion_core.metrics.conventions import VIF_WINDOWS, Convention
from fusion_core.metrics.counts import SOBEL_WINDOW, SampleCounts
from fusion_core.metrics.ssim import WINDOW as SSIM_WINDOW

Grey = npt.NDArray[Any]

_SHORTEST_SIDE: dict[Convention, dict[str, int]] = {
    "published": {"vif": VIF_WINDOWS[0], "ag": 2, "sf": 2, "ssim": SSIM_WINDOW["published"]},
    "textbook": {
        "vif": VIF_WINDOWS[0],
        "ag": 2,
        "qabf": SOBEL_WINDOW,
        "sf": 2,
        "ssim": SSIM_WINDOW["textbook"],
    },
}

_SOURCES = ("infrared", "visible")


def why_undefined(
    metric: str, ir: Grey, vi: Grey, fused: Grey, *, convention: Convention = "published"
) -> str:
    """Return why a metric that came out as NaN has no value.

    Args:
        metric: Name of the metric.
        ir: Infrared grey values, (H, W).
        vi: Visible grey values, (H, W).
        fused: Fused grey values, (H, W).
        convention: Which definitions were used.

    Returns:
        The rule that the images break, such as "the infrared image is constant".
    """
    sources = dict(zip(_SOURCES, (ir, vi), strict=True))
    constant = [name for name, image in sources.items() if _constant(image)]
    same = [name for name, image in sources.items() if _constant(fused.astype(np.int16) - image)]
    height, width = fused.shape
    small = _too_small(metric, height, width, convention)
    return small or _degenerate(metric, constant, same) or "it is not a number"


def why_sums_undefined(
    metric: str,
    sums: dict[str, torch.Tensor],
    samples: SampleCounts,
    *,
    size: tuple[int, int],
    convention: Convention,
) -> str:
    """Return why a metric that came out as NaN has no value, from the sums of one image.

    Args:
        metric: Name of the metric.
        sums: The sums of all its tiles.
        samples: How many pixels, differences and windows were added up.
        size: Height and width of the image.
        convention: Which definitions were used.

    Returns:
        The rule that the image breaks, such as "no window of 7x7 pixels holds data only".
    """
    missing = _too_small(metric, *size, convention) or _without_data(metric, samples, convention)
    if missing:
        return missing
    constant, same = _constant_by_sums(sums, samples["pixels"])
    flat = [name for name, part in zip(_SOURCES, sums["vif"], strict=True) if not part[0, 1]]
    if metric == "vif" and flat and not constant:
        window = f"{VIF_WINDOWS[0]}x{VIF_WINDOWS[0]}"
        return f"the {_both(flat)} image is constant wherever {window} pixels hold data only"
    return _degenerate(metric, constant, same) or "it is not a number"


def _too_small(metric: str, height: int, width: int, convention: Convention) -> str | None:
    shortest = _SHORTEST_SIDE[convention].get(metric, 1)
    if min(height, width) >= shortest:
        return None
    return f"the image has {width}x{height} pixels and needs at least {shortest} a side"


def _without_data(metric: str, samples: SampleCounts, convention: Convention) -> str | None:
    """Return which samples a metric lacks because some pixels hold no data."""
    if not samples["pixels"]:
        return "no pixel holds data"
    if metric == "sf":
        for direction, lie in (("vertical", "one above the other"), ("horizontal", "side by side")):
            if not samples[direction]:
                return f"no two pixels that hold data lie {lie}"
    if metric == "ag" and not samples["ag"]:
        neighbours = "right and lower" if convention == "textbook" else "four nearest"
        return f"no pixel and its {neighbours} neighbours hold data"
    windows = {"vif": VIF_WINDOWS[0], "qabf": SOBEL_WINDOW, "ssim": SSIM_WINDOW[convention]}
    if metric in windows and not samples[metric]:
        return f"no window of {windows[metric]}x{windows[metric]} pixels holds data only"
    return None


def _degenerate(metric: str, constant: list[str], same: list[str]) -> str | None:
    """Return what is wrong with the images' values.

    Args:
        metric: Name of the metric.
        constant: Which sources are constant.
        same: Which sources the fused image differs from by a constant.
    """
    if metric == "qabf":
        return "no source has an edge"
    if constant:
        return f"the {_both(constant)} image is constant"
    if same:
        return f"the fused image differs from the {_both(same)} image by a constant"
    return None


def _constant_by_sums(sums: dict[str, torch.Tensor], pixels: int) -> tuple[list[str], list[str]]:
    """Return which sources are constant, and which the fused image differs from by a constant."""
    totals: list[int] = sums["sums"][0].tolist()
    products: list[list[int]] = sums["products"][0].tolist()
    constant, same = [], []
    # In Python's integers, which don't overflow, a variance of 0 is exact.
    for i, name in enumerate(_SOURCES):
        if pixels * products[i][i] == totals[i] ** 2:
            constant.append(name)
        squares = products[2][2] - 2 * products[2][i] + products[i][i]
        if pixels * squares == (totals[2] - totals[i]) ** 2:
            same.append(name)
    return constant, same


def _both(names: list[str]) -> str:
    return " and the ".join(names)


def _constant(image: Grey) -> bool:
    return bool(image.min() == image.max())
