"""Measures of how steady a fused video is from frame to frame.

All take grey planes of shape (H, W) with values from 0 to 255, of any numeric type, and optical
flows of shape (H, W, 2) in pixels: where a pixel (x, y) of one frame is in another, less (x, y).
Lower is steadier, save for ``visible``. Where no pixel counts, the measure is NaN.

- ``biswe``, the bi-directional self-warping error, and ``ms2r``, motion smoothness with dual
  reference videos, are of VF-Bench: Zhao et al., "A Unified Solution to Video Fusion: From
  Multi-Frame Learning to Benchmarking", NeurIPS 2025, arXiv:2505.19858, as its repository
  Zhaozixiang1228/VF-Bench computes them (src/util/metric.py of October 2025). That averages the
  colours of RGB; here all is grey.
- ``flow_d`` is of TemCoCo: Gong et al., "TemCoCo: Temporally Consistent Multi-modal Video Fusion
  with Visual-Semantic Collaboration", ICCV 2025, arXiv:2508.17817 (metrics.py of
  Meiqi-Gong/TemCoCo), for grey planes, of which a pixel's distance is the absolute difference. Its
  second measure, feaCD, needs a ResNet-18 trained on ImageNet and isn't here.
- ``static_change`` is our own, and needs no flow.

**The published numbers are by flows of the network SEA-RAFT, at the sizes that it was run at.** By
another flow the same video has other numbers, so that these compare videos whose flows were
estimated alike, and nothing else.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[Any]
Mask: TypeAlias = NDArray[np.bool_]
Flow: TypeAlias = NDArray[np.floating[Any]]
Floats: TypeAlias = NDArray[np.float64]


def warp(image: NDArray[Any], flow: Flow) -> Floats:
    """Return what an image shows at the places that a flow points to, linear between pixels.

    Args:
        image: The other frame (H, W), or what belongs to its pixels, (H, W, C).
        flow: From this frame to that (H, W, 2). What lies outside is as the nearest edge is.
    """
    height, width = image.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    x = np.clip(columns + flow[..., 0].astype(np.float64), 0, width - 1)
    y = np.clip(rows + flow[..., 1].astype(np.float64), 0, height - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    x, y = x - left, y - top
    if image.ndim > 2:
        x, y = x[..., None], y[..., None]
    values = image.astype(np.float64)
    above = values[top, left] * (1 - x) + values[top, right] * x
    below = values[bottom, left] * (1 - x) + values[bottom, right] * x
    warped: Floats = above * (1 - y) + below * y
    return warped


def visible(there: Flow, back: Flow, *, most: float = 1.0) -> Mask:
    """Tell of which pixels a flow there and back ends less than ``most`` pixels from its start.

    Args:
        there: From this frame to another.
        back: From that to this one.
        most: In pixels; VF-Bench takes 1.
    """
    left_over = there + warp(back, there)
    seen: Mask = np.hypot(left_over[..., 0], left_over[..., 1]) < most
    return seen


def biswe(
    frames: tuple[Plane, Plane, Plane],
    flows: tuple[Flow, Flow],
    masks: tuple[Mask, Mask],
) -> float:
    """Return the bi-directional self-warping error of a frame, in grey levels: 0 to 510.

    It is the mean difference from the frame before, warped to this one, plus that from the frame
    behind. The flows are the fused video's own.

    Args:
        frames: The fused frame before, this one and the one behind.
        flows: Of the fused video, from this frame to the one before and to the one behind.
        masks: Which pixels count for the one and the other: those that are ``visible`` by the
            flows of both sources. (VF-Bench gives 0 where there are none; here it is NaN.)
    """
    before, current, behind = frames
    return _warping_error(current, before, flows[0], masks[0]) + _warping_error(
        current, behind, flows[1], masks[1]
    )


def ms2r(fused: tuple[Flow, Flow], ir: tuple[Flow, Flow], vi: tuple[Flow, Flow]) -> float:
    """Return how much the fused video's motion changes otherwise than its sources' does, in pixels.

    The change of motion is the flow from this frame to the one behind less the flow from the one
    before to this one. The measure is the mean absolute difference of its components from those of
    a source, averaged over both sources.

    Args:
        fused: Flows of the fused video, from the frame before to this one and on to the one behind.
        ir: Those of the infrared video.
        vi: Those of the visible video.
    """
    change = fused[1] - fused[0]
    return float(np.mean([np.abs(change - (on - to)).mean() for to, on in (ir, vi)]))


def flow_d(fused_before: Plane, fused: Plane, vi_flow: Flow) -> float:
    """Return how a fused frame differs from the one before, moved as the visible video moves.

    Args:
        fused_before: The fused frame before.
        fused: This one.
        vi_flow: Of the visible video, from this frame to the one before.

    Returns:
        The mean absolute difference of all pixels, in grey levels: 0 to 255.
    """
    return _warping_error(fused, fused_before, vi_flow, np.ones(fused.shape, bool))


def static(
    ir_before: Plane, ir: Plane, vi_before: Plane, vi: Plane, *, tolerance: float, radius: int = 1
) -> Mask:
    """Tell at which pixels neither source changed from one frame to the next.

    Args:
        ir_before: The infrared frame before.
        ir: The infrared frame.
        vi_before: The visible frame before.
        vi: The visible frame.
        tolerance: Most that a source may differ there, in grey levels.
        radius: How far around a pixel the sources must be so too: in a square of
            (2 * radius + 1)^2 pixels, of which what lies outside of the frame doesn't count.
    """
    changed = (_difference(ir, ir_before) > tolerance) | (_difference(vi, vi_before) > tolerance)
    height, width = changed.shape
    padded = np.pad(changed, radius)
    side = range(2 * radius + 1)
    along = np.logical_or.reduce([padded[:, k : k + width] for k in side])
    around = np.logical_or.reduce([along[k : k + height] for k in side])
    still: Mask = np.logical_not(around)
    return still


def static_change(
    fused_before: Plane,
    fused: Plane,
    *,
    ir_before: Plane,
    ir: Plane,
    vi_before: Plane,
    vi: Plane,
    tolerance: float,
    radius: int = 1,
) -> float:
    """Return the mean absolute change of a fused video where its sources stand still.

    What changes there comes from the fusion: flicker by what is elsewhere in the picture, such as
    a stretch of all values, or the sources' noise below the tolerance.

    Args:
        fused_before: The fused frame before.
        fused: The fused frame.
        ir_before: As ``static`` takes it, and those that follow.
        ir: Likewise.
        vi_before: Likewise.
        vi: Likewise.
        tolerance: Likewise.
        radius: Likewise.

    Returns:
        Grey levels, 0 to 255; NaN where no pixel stands still.
    """
    still = static(ir_before, ir, vi_before, vi, tolerance=tolerance, radius=radius)
    return _mean(_difference(fused, fused_before), still)


def _warping_error(current: Plane, other: Plane, flow: Flow, mask: Mask) -> float:
    return _mean(np.abs(current - warp(other, flow)), mask)


def _difference(one: Plane, other: Plane) -> Floats:
    return np.abs(one.astype(np.float64) - other.astype(np.float64))


def _mean(values: Floats, mask: Mask) -> float:
    return float(values[mask].mean()) if mask.any() else float("nan")
