"""Brings an image into the form that a detector takes, and its boxes back into the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.description import Description


@dataclass(frozen=True)
class Placement:
    """Where an image lies in a detector's input: x' = x * scale_x + left, and likewise y.

    Attributes:
        scale_x: Pixels of the input for one of the image, from left to right.
        scale_y: Likewise, from top to bottom.
        left: Pixels of the input to the left of it.
        top: Pixels of the input above it.
    """

    scale_x: float
    scale_y: float
    left: int
    top: int

    def to_image(self, corners: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return boxes of the input, (N, 4) as left, top, right, bottom, in the image's pixels."""
        shift = np.array([self.left, self.top] * 2, np.float64)
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float64)
        found: NDArray[np.float64] = (corners - shift) / scale
        return found


def place(height: int, width: int, description: Description) -> tuple[Placement, int, int]:
    """Return where an image of this size lies, and the height and width that it has there."""
    tall, wide = description.size
    if description.letterbox == "none":
        return Placement(wide / width, tall / height, 0, 0), tall, wide
    ratio = min(tall / height, wide / width)
    high, across = max(1, round(height * ratio)), max(1, round(width * ratio))
    centred = description.letterbox == "centre"
    left, top = ((wide - across) // 2, (tall - high) // 2) if centred else (0, 0)
    return Placement(across / width, high / height, left, top), high, across


def prepare(
    pixels: NDArray[np.uint8], description: Description
) -> tuple[NDArray[np.float32], Placement]:
    """Scale an image into a detector's input, and give it the values that it takes.

    Args:
        pixels: (H, W, 3) RGB.
        description: Of the detector.

    Returns:
        (1, 3, h, w) or (1, h, w, 3), as the description has it, and where the image lies in it.
    """
    from fusion_core.registration.opencv import cv2

    placement, high, across = place(pixels.shape[0], pixels.shape[1], description)
    scaled: Any = cv2.resize(pixels, (across, high), interpolation=cv2.INTER_LINEAR)
    canvas = np.full((*description.size, 3), description.fill, np.uint8)
    rows = slice(placement.top, placement.top + high)
    canvas[rows, placement.left : placement.left + across] = scaled
    ordered = canvas[..., ::-1] if description.channels == "BGR" else canvas
    mean, std = (np.array(one, np.float32) for one in (description.mean, description.std))
    scaled_values = ordered.astype(np.float32) * np.float32(description.white / 255)
    values: NDArray[np.float32] = (scaled_values - mean) / std
    if description.layout == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[None]), placement
