"""Optical flow by OpenCV's DIS, for measures that need one."""

import cv2
import numpy as np
from numpy.typing import NDArray

SMALLEST = 16
"""Frames with a shorter side have no flow: DIS compares patches of 8 pixels."""


class OpticalFlow:
    """Dense inverse search at OpenCV's preset MEDIUM (Kroeger et al., ECCV 2016).

    It is no match for a learned flow, and is the same on every machine without one.
    """

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def between(self, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how far (x, y) each pixel of one frame (H, W) is from it in another, (H, W, 2)."""
        if min(one.shape) < SMALLEST:
            raise ValueError(f"frames of {one.shape} are too small; expected {SMALLEST} or more")
        flow = self._dis.calc(np.ascontiguousarray(one), np.ascontiguousarray(other), None)
        return np.asarray(flow, np.float32)
