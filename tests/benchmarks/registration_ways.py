"""Ways to refine a transform, each from the check's estimate: what align.py does, and others.

SimpleITK and kornia are no dependencies; where they aren't installed, they are left out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.registration import orientation
from fusion_core.registration.ecc import refined
from fusion_core.registration.warp import grown, warped

Plane = NDArray[np.float32]
Matrix = NDArray[np.float64]
Way = Callable[[Plane, Plane, Matrix], Matrix | None]

FACTOR = 2


def ours(ir: Plane, vi: Plane, start: Matrix) -> Matrix | None:
    """Climb by ECC on the directions of edges."""
    return refined(ir, vi, "affine", start=start)


def start_alone(ir: Plane, vi: Plane, start: Matrix) -> Matrix:
    """Leave the check's estimate as it is."""
    return start


def edges(plane: Plane) -> Plane:
    """Return how much each edge stands out from its surroundings, (H, W) in [0, 1)."""
    return np.abs(orientation.directions(plane))


def _ecc(of: Callable[[Plane], Plane]) -> Way:
    def way(ir: Plane, vi: Plane, start: Matrix) -> Matrix | None:
        moved, _ = warped(ir, start)
        small, template = (of(orientation.reduced(one, FACTOR)) for one in (moved, vi))
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
        step = np.eye(2, 3, dtype=np.float32)
        try:
            cv2.findTransformECC(
                template, small, step, cv2.MOTION_AFFINE, criteria, np.ones_like(small, np.uint8), 5
            )
        except cv2.error:
            return None
        return start @ grown(np.vstack([step, [0, 0, 1]]), FACTOR)

    return way


def _mutual_information(of: Callable[[Plane], Plane]) -> Way:
    def way(ir: Plane, vi: Plane, start: Matrix) -> Matrix | None:
        import SimpleITK as sitk

        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        height, width = vi.shape
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        transform = sitk.AffineTransform(2)
        transform.SetCenter(middle.tolist())
        transform.SetMatrix(start[:2, :2].ravel().tolist())
        transform.SetTranslation(((start @ [*middle, 1])[:2] - middle).tolist())
        method: Any = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(32)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(0.25, seed=1)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.02, 60, relaxationFactor=0.6)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(transform, inPlace=True)
        method.SetShrinkFactorsPerLevel([4, 2])
        method.SetSmoothingSigmasPerLevel([2, 1])
        try:
            method.Execute(*(sitk.GetImageFromArray(of(one)) for one in (vi, ir)))
        except RuntimeError:
            return None
        linear = np.array(transform.GetMatrix()).reshape(2, 2)
        found = np.eye(3)
        found[:2, :2] = linear
        found[:2, 2] = np.array(transform.GetTranslation()) + middle - linear @ middle
        return found

    return way


def _kornia(ir: Plane, vi: Plane, start: Matrix) -> Matrix:
    import torch
    from kornia.geometry import ImageRegistrator

    moved, _ = warped(ir, start)
    tensors = []
    for plane in (moved, vi):
        found = orientation.directions(orientation.reduced(plane, FACTOR))
        tensors.append(torch.from_numpy(np.stack([found.real, found.imag])[None]).float())
    method = ImageRegistrator(
        "homography",
        loss_fn=torch.nn.functional.mse_loss,
        pyramid_levels=3,
        lr=1e-3,
        num_iterations=100,
    )
    height, width = tensors[0].shape[-2:]
    unit = np.array([[2 / (width - 1), 0, -1], [0, 2 / (height - 1), -1], [0, 0, 1.0]])
    found = method.register(*tensors).detach().numpy()[0].astype(float)
    return start @ grown(np.linalg.inv(unit) @ found @ unit, FACTOR)


def ways() -> dict[str, Way]:
    """Return all ways that can be gone here, by what they are called in the record."""
    found: dict[str, Way] = {
        "the check alone": start_alone,
        "OpenCV ECC on directions of edges (taken)": ours,
        "OpenCV ECC on strengths of edges": _ecc(edges),
        "OpenCV ECC on values": _ecc(lambda plane: plane),
    }
    if importlib.util.find_spec("SimpleITK"):
        found["SimpleITK mutual information of values"] = _mutual_information(lambda plane: plane)
        found["SimpleITK mutual information of strengths of edges"] = _mutual_information(edges)
    if importlib.util.find_spec("kornia"):
        found["kornia descent on directions of edges"] = _kornia
    return found
