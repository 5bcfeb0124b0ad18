"""Refines a transform by OpenCV's ECC, on directions of edges instead of values.

ECC (Evangelidis and Psarakis, "Parametric Image Alignment Using Enhanced Correlation Coefficient
Maximization", PAMI 2008) climbs to the transform under which two pictures correlate best. Values of
infrared and visible pictures don't correlate; the directions of their edges do, as a picture of two
channels. The package's page compares that with other ways.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusion_core.registration.orientation import (
    Directions,
    Plane,
    directions,
    eroded,
    factor_for,
    reduced,
    reduced_mask,
)
from fusion_core.registration.warp import Matrix, grown, warped

Model = Literal["translation", "affine", "homography"]

_LEVELS = ((320, 3), (1024, 1))
"""Longer side that a pair is reduced to, in pixels, and how often ECC runs on it. On pairs of 640
pixels a finer level gained nothing; on larger ones it undoes the coarser level's rounding."""

_ENOUGH = 0.25  # pixels of the reduced pair: a round that moves its corners by less is the last
_STEPS, _PRECISION, _BLUR = 50, 1e-4, 5


def refined(
    ir: Plane, vi: Plane, model: Model, *, start: Matrix, valid: NDArray[np.bool_] | None = None
) -> Matrix | None:
    """Go on from an estimate.

    Args:
        ir: Infrared luminance, (H, W) in [0, 1].
        vi: Visible luminance, likewise.
        model: What may change about the estimate.
        start: The estimate, from visible pixel coordinates to infrared ones.
        valid: Where both show something, (H, W). Default: everywhere.

    Returns:
        The transform; None where ECC doesn't converge.
    """
    matrix = start
    for side, rounds in _LEVELS:
        if side > _LEVELS[0][0] and max(vi.shape) < side:
            break
        factor = factor_for(vi.shape, side)
        seen = None if valid is None else reduced_mask(valid, factor)
        visible = directions(reduced(vi, factor), seen)
        for _ in range(rounds):
            # Directions turn with the picture, so they are taken anew from it as it lies now.
            moved, inside = warped(ir, matrix, valid)
            shown = reduced_mask(inside, factor)
            infrared = directions(reduced(moved, factor), shown)
            step = _step(infrared, visible, model, shown=shown, seen=seen)
            if step is None:
                return None
            matrix = matrix @ grown(step, factor)
            if _moved_corner(step, visible.shape) < _ENOUGH:
                break
    return np.asarray(matrix / matrix[2, 2], np.float64)


def _step(
    infrared: Directions,
    visible: Directions,
    model: Model,
    *,
    shown: NDArray[np.bool_],
    seen: NDArray[np.bool_] | None,
) -> Matrix | None:
    """Run ECC once from the identity, on a reduced pair and its masks; None where it diverges."""
    from fusion_core.registration.opencv import cv2

    motion = {
        "translation": cv2.MOTION_TRANSLATION,
        "affine": cv2.MOTION_AFFINE,
        "homography": cv2.MOTION_HOMOGRAPHY,
    }[model]
    found = np.eye(3 if model == "homography" else 2, 3, dtype=np.float32)
    try:
        cv2.findTransformECCWithMask(
            _channels(visible),
            _channels(infrared),
            _mask(np.ones_like(shown) if seen is None else seen),
            _mask(shown),
            found,
            motion,
            (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, _PRECISION),
            _BLUR,
        )
    except cv2.error:
        return None
    step = np.eye(3)
    step[: len(found)] = found
    return step if np.isfinite(step).all() else None


def _channels(found: Directions) -> NDArray[np.float32]:
    """Return directions as three channels, of which the last is 0: ECC takes one or three."""
    return np.dstack([found.real, found.imag, np.zeros(found.shape, np.float32)])


def _mask(valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return 255 * eroded(valid).astype(np.uint8)


def _moved_corner(matrix: Matrix, shape: tuple[int, ...]) -> float:
    """Return by how many pixels a transform moves that corner of a picture that it moves most."""
    height, width = shape
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1.0, 1.0, 1.0, 1.0]])
    moved = matrix @ corners
    return float(np.hypot(*(moved[:2] / moved[2] - corners[:2])).max())
