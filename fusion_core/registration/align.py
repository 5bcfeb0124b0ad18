"""Estimates the transform that brings an infrared picture to the visible one.

The check's estimate is the start, and ECC goes on from there (``ecc``). Whether the result is taken
is judged by what neither of them maximises over: how far edges agree before and after, and what the
check finds in the aligned pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion_core.registration.check import estimate_shift, limit_for
from fusion_core.registration.ecc import Model, refined
from fusion_core.registration.orientation import (
    Directions,
    Plane,
    directions,
    factor_for,
    pooled,
    reduced,
    reduced_mask,
)
from fusion_core.registration.warp import Matrix, mean_distance, warped

_SIDE = 320
"""Agreement is measured in pairs reduced to about so many pixels along the longer side."""

GAIN = 1.25
"""A transform is taken where the edges' agreement grows by this factor at least: nearly all that
were right on real pairs made more, and some that were wrong less."""

SURE_TO_MOVE = 0.2
"""Least score of a start; more than what a remark needs, since pixels come of it."""

_SIMPLER = 1.2
"""Of a simpler and a freer transform the simpler one is taken, unless the edges agree better by
this factor with the freer: what a shift alone mends is mended best by a shift."""

_FAR, _BENT = 0.2, 0.1
"""No camera's transform moves pixels by more than this share of the longer side, or stretches
lengths by more than that share. What does has followed something else."""

_UP_TO: dict[Model, tuple[Model, ...]] = {
    "translation": ("translation",),
    "affine": ("translation", "affine"),
    "homography": ("translation", "affine", "homography"),
}


@dataclass(frozen=True)
class Transform:
    """The transform from visible pixel coordinates to infrared ones, and whether to trust it.

    Attributes:
        matrix: 3 x 3: (x, y, 1) in the visible picture to the same thing's place in the infrared.
        score: In [0, 1], how sure the estimate is that it began with; see ``Shift.score``.
        gain: The edges' agreement with the transform by that without.
        left: By how many pixels the aligned pair still is off.
        sure: Whether it is to be used.
    """

    matrix: Matrix
    score: float
    gain: float
    left: float
    sure: bool


def estimate(
    ir: Plane,
    vi: Plane,
    model: Model,
    *,
    valid: NDArray[np.bool_] | None = None,
    limit: float | None = None,
) -> Transform:
    """Estimate the transform that brings an infrared picture to the visible one.

    Args:
        ir: Infrared luminance, (H, W) in [0, 1].
        vi: Visible luminance, likewise.
        model: What it may be: a shift, an affine transform, or one that keeps lines straight.
            Simpler ones are tried too.
        valid: Where both show something, (H, W). Default: everywhere.
        limit: How many pixels an aligned pair may be off. Default: that of ``check``.

    Returns:
        The transform. It is sure where its start is, where the edges agree better by ``GAIN``
        with it than without, and where a check of the aligned pair finds it within the limit.
    """
    height, width = vi.shape
    limit = limit_for(height, width, limit)
    turned = estimate_shift(ir, vi, valid)
    chosen = Transform(np.eye(3), turned.score, 1.0, turned.offset, False)
    if turned.score < SURE_TO_MOVE:
        return chosen
    for one in _UP_TO[model]:
        start = turned if one != "translation" else estimate_shift(ir, vi, valid, turned=False)
        matrix = refined(ir, vi, one, start=start.matrix(height, width), valid=valid)
        if matrix is None or not _is_likely(matrix, height, width):
            continue
        moved, inside = warped(ir, matrix, valid)
        gain = agreement(moved, vi, inside) / max(agreement(ir, vi, inside), 1e-3)
        after = estimate_shift(moved, vi, inside)
        sure = gain >= GAIN and after.sure and after.offset <= limit
        if sure and (not chosen.sure or gain > _SIMPLER * chosen.gain):
            chosen = Transform(matrix, turned.score, gain, after.offset, sure)
    return chosen


def _is_likely(matrix: Matrix, height: int, width: int) -> bool:
    """Tell whether a transform is one that two cameras side by side can have."""
    stretched = np.abs(np.linalg.svd(matrix[:2, :2], compute_uv=False) - 1).max()
    near = mean_distance(matrix, height, width) <= _FAR * max(height, width)
    return near and bool(stretched <= _BENT)


def agreement(ir: Plane, vi: Plane, valid: NDArray[np.bool_] | None) -> float:
    """Return how far the directions of two pictures' edges agree, at most 1, as they lie.

    Args:
        ir: Infrared luminance, (H, W) in [0, 1].
        vi: Visible luminance, likewise.
        valid: Where to compare them, (H, W).
    """
    first, second = (pooled(each, 2) for each in _reduced_directions(ir, vi, valid))
    energy = float(np.vdot(first, first).real * np.vdot(second, second).real)
    return float(np.vdot(second, first).real / np.sqrt(energy)) if energy > 0 else 0.0


def _reduced_directions(
    ir: Plane, vi: Plane, valid: NDArray[np.bool_] | None
) -> tuple[Directions, Directions]:
    factor = factor_for(vi.shape, _SIDE)
    seen = None if valid is None else reduced_mask(valid, factor)
    first, second = (directions(reduced(plane, factor), seen) for plane in (ir, vi))
    return first, second
