"""Invented pairs of textures that are off by a known transform."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Off:
    """By how much infrared content is off the visible.

    Attributes:
        x: To the right at the picture's middle, in pixels.
        y: Down there.
        turn: Clockwise as drawn, around the middle, in radians.
        scale: How many times larger it is.
    """

    x: float = 0.0
    y: float = 0.0
    turn: float = 0.0
    scale: float = 1.0

    def matrix(self, height: int, width: int) -> NDArray[np.float64]:
        """Return the matrix from visible to infrared pixel coordinates, by its definition."""
        cos, sin = self.scale * np.cos(self.turn), self.scale * np.sin(self.turn)
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        linear = np.array([[cos, -sin], [sin, cos]])
        whole = np.eye(3)
        whole[:2, :2] = linear
        whole[:2, 2] = middle - linear @ middle + (self.x, self.y)
        return whole


def texture(seed: int, x: NDArray[np.float64], y: NDArray[np.float64]) -> Plane:
    """Return an endless texture of soft-edged boxes and stripes at any places, in [0, 1]."""
    rng = np.random.default_rng(seed)
    total = np.zeros(np.broadcast(x, y).shape)
    for _ in range(120):
        across, down = rng.uniform(-100, 500), rng.uniform(-100, 400)
        half = rng.uniform(4, 40, 2)
        lean, height = rng.uniform(0, np.pi), rng.uniform(-1, 1)
        u = (x - across) * np.cos(lean) + (y - down) * np.sin(lean)
        v = -(x - across) * np.sin(lean) + (y - down) * np.cos(lean)
        far = np.maximum(np.abs(u) - half[0], np.abs(v) - half[1])
        total += height / (1 + np.exp(np.clip(far, -30, 30)))
    return ((np.tanh(total) + 1) / 2).astype(np.float32)


def pair(seed: int, off: Off, size: tuple[int, int] = (240, 320)) -> tuple[Plane, Plane]:
    """Return an infrared and a visible picture of one texture, (H, W) in [0, 1].

    The infrared one shows it under other values: bright where it is dark or bright, and dark
    between, so that signs of edges disagree in places. What is at p in the visible picture is at
    ``off.matrix`` p in the infrared one.
    """
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float64)
    visible = texture(seed, x, y)
    a = np.linalg.inv(off.matrix(height, width))
    infrared = texture(
        seed, a[0, 0] * x + a[0, 1] * y + a[0, 2], a[1, 0] * x + a[1, 1] * y + a[1, 2]
    )
    noise = np.random.default_rng(seed + 1).normal(0, 0.01, size)
    return (np.abs(infrared - 0.45) * 1.6 + noise).clip(0, 1).astype(np.float32), visible


def distance(found: NDArray[np.float64], off: Off, size: tuple[int, int] = (240, 320)) -> float:
    """Return by how many pixels a matrix misses the true one, in the mean over the picture."""
    height, width = size
    y, x = np.mgrid[:height:8, :width:8].astype(np.float64)
    points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    one, other = found @ points, off.matrix(height, width) @ points
    return float(np.hypot(*(one[:2] / one[2] - other[:2])).mean())
