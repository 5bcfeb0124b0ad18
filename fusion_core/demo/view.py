"""A drawn synthetic scene as both renderers read it: surfaces per pixel, positions, lamps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.demo.canvas import (
    SKY_DISTANCE,
    SUPERSAMPLING,
    Camera,
    Floats,
    Rgb,
    Surface,
    Vec,
)

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lamp:
    """A point of light at night.

    Attributes:
        place: world point in metres.
        colour: linear RGB, about 1.
        power: light on a surface one metre away, in units of full scale at night.
        beam: True for a headlight, which shines towards the camera's side only.
    """

    place: Vec
    colour: Rgb
    power: float
    beam: bool


@dataclass(frozen=True)
class Scene:
    """A drawn scene: what both cameras look at, before any light or temperature.

    Attributes:
        camera: who looks.
        sun: unit vector towards the sun.
        surfaces: the surface that each label stands for.
        labels: the supersampled label plane.
        shadow: (H, W) share of blocked sun, 0 to 1.
        lamps: lights that are on at night.
        haven: (x, z) in metres of the pedestrian that smoke hides.
    """

    camera: Camera
    sun: Vec
    surfaces: Sequence[Surface]
    labels: NDArray[np.intp]
    shadow: Floats
    lamps: Sequence[Lamp]
    haven: tuple[float, float]

    @cached_property
    def _corners(self) -> list[NDArray[np.intp]]:
        step = range(SUPERSAMPLING)
        return [
            np.ascontiguousarray(self.labels[row::SUPERSAMPLING, column::SUPERSAMPLING])
            for row in step
            for column in step
        ]

    @property
    def nearest(self) -> NDArray[np.intp]:
        """One label per pixel, (H, W)."""
        return self._corners[0]

    def column(self, read: Callable[[Surface], Any]) -> Floats:
        """One number, or one colour, of each surface, in the order of the labels."""
        return np.asarray([read(surface) for surface in self.surfaces], dtype=np.float32)

    def resolve(self, column: Floats) -> Floats:
        """Spreads a column over the image, averaged inside each pixel: (H, W) or (H, W, C)."""
        first, *others = self._corners
        total = column.take(first, axis=0)
        for labels in others:
            total += column.take(labels, axis=0)
        total *= np.float32(1 / len(self._corners))
        return total

    def tagged(self, tag: str) -> Bools:
        """Where the surfaces with a tag are seen, (H, W)."""
        has = np.asarray([tag in surface.tags for surface in self.surfaces])
        return np.asarray(has[self.nearest])

    @cached_property
    def places(self) -> tuple[Floats, Floats, Floats]:
        """World coordinates x, y, z in metres of what each pixel sees, each (H, W)."""
        camera, label = self.camera, self.nearest
        rows, columns = np.indices(label.shape, dtype=np.float32)
        right = (columns + 0.5 - 0.5 * camera.width) / np.float32(camera.focal)
        up = (camera.horizon * camera.height - rows - 0.5) / np.float32(camera.focal)
        at = self.column(lambda surface: surface.at)[label]
        kind = np.asarray([surface.plane for surface in self.surfaces])
        with np.errstate(divide="ignore"):
            z = np.where((kind == "ground")[label], np.float32(-camera.y) / up, at)
            z = np.where((kind == "wall")[label], (at - np.float32(camera.x)) / right, z)
        # A rounded edge can leave a pixel on the wrong side of its plane's horizon.
        z = np.where((z > 0) & (z < SKY_DISTANCE), z, np.float32(SKY_DISTANCE)).astype(np.float32)
        return right * z + np.float32(camera.x), up * z + np.float32(camera.y), z
