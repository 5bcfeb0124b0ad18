"""The canvas of a synthetic scene: one plane of labels, one of cast shadows, no colours.

Each polygon is drawn once, as the label of a ``Surface`` that says how it looks to either camera.
Both images are later computed from that one plane, so their geometry agrees to the pixel.

World axes are metres: x to the right, y up from the ground, z away from the camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Vec = tuple[float, float, float]
Rgb = tuple[float, float, float]
Floats = NDArray[np.float32]
Texture = Literal["plain", "grain", "brick", "slabs", "leaves"]

SUPERSAMPLING = 2
NEAREST_Z = 0.7
SKY_DISTANCE = 5000.0
UP: Vec = (0.0, 1.0, 0.0)
TOWARDS_CAMERA: Vec = (0.0, 0.25, -0.97)


@dataclass(frozen=True, slots=True)
class Surface:
    """What one drawn thing is made of, for both spectra.

    Attributes:
        albedo: visible reflectance, linear RGB in [0, 1].
        plane: how depth follows from the pixel: the ground, a wall x = ``at``, or z = ``at``.
        at: metres; see ``plane``.
        normal: unit vector, for the fall of light.
        texture: the pattern that only the visible camera sees.
        relief: strength of the texture, 0 to 1.
        mirror: share of the visible light that is mirrored sky, 0 to 1.
        emission: visible light given off at night, linear RGB, any non-negative number.
        emissivity: infrared emissivity; the rest is mirrored cold sky.
        solar: kelvin above the air in full, perpendicular sun.
        memory: kelvin above the air at night, for what cools slowly; negative for what cools fast.
        celsius: own temperature of what heats itself; None for the rest.
        tags: names of the masks that this surface belongs to.
    """

    albedo: Rgb
    plane: Literal["ground", "wall", "facing"] = "facing"
    at: float = SKY_DISTANCE
    normal: Vec = TOWARDS_CAMERA
    texture: Texture = "plain"
    relief: float = 0.0
    mirror: float = 0.0
    emission: Rgb = (0.0, 0.0, 0.0)
    emissivity: float = 0.95
    solar: float = 8.0
    memory: float = 0.0
    celsius: float | None = None
    tags: tuple[str, ...] = ()


SKY = Surface(albedo=(0.0, 0.0, 0.0), tags=("sky",))


@dataclass(frozen=True, slots=True)
class Camera:
    """A level pinhole camera above the road.

    Attributes:
        height: image height in pixels.
        width: image width in pixels.
        x: metres right of the road's middle.
        y: metres above the ground.
        horizon: image row of the horizon, as a share of ``height``.
    """

    height: int
    width: int
    x: float
    y: float
    horizon: float

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return 0.8 * self.width

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """The image point (column, row) of a world point with z > 0."""
        scale = self.focal / z
        return (
            0.5 * self.width + scale * (x - self.x),
            self.horizon * self.height + scale * (self.y - y),
        )


class Canvas:
    """Draws surfaces, nearest last, and the shadows that they cast on the ground."""

    def __init__(self, camera: Camera, sun: Vec) -> None:
        """Starts with an image full of sky.

        Args:
            camera: who looks.
            sun: unit vector towards the sun; its y must be positive.
        """
        self.camera = camera
        self.sun = sun
        self.surfaces: list[Surface] = [SKY]
        self._labels: dict[Surface, int] = {SKY: 0}
        size = (camera.width * SUPERSAMPLING, camera.height * SUPERSAMPLING)
        self._image = Image.new("I", size, 0)
        self._shadow = Image.new("L", size, 0)
        self._draw = ImageDraw.Draw(self._image)
        self._draw_shadow = ImageDraw.Draw(self._shadow)

    def label(self, surface: Surface) -> int:
        """The number that stands for a surface; equal surfaces share one."""
        if surface not in self._labels:
            self._labels[surface] = len(self.surfaces)
            self.surfaces.append(surface)
        return self._labels[surface]

    def solid(self, points: Sequence[Vec], surface: Surface, casts: bool = False) -> None:
        """Draws a flat polygon of world points; with ``casts`` also its shadow."""
        screen = self._screen(points)
        if screen:
            self._draw.polygon(screen, fill=self.label(surface))
        if casts:
            self._cast([self._fall(*point) for point in points])

    def flat(
        self,
        outline: Sequence[tuple[float, float]],
        foot: tuple[float, float],
        surface: Surface,
        casts: bool = True,
    ) -> None:
        """Draws an upright polygon that faces the camera.

        Args:
            outline: points (metres right of the foot, metres above the ground).
            foot: world (x, z) of the foot.
            surface: what to draw.
            casts: whether it throws a shadow, as a thing of the same breadth towards the sun.
        """
        x, z = foot
        screen = self._screen([(x + right, up, z) for right, up in outline])
        if screen:
            self._draw.polygon(screen, fill=self.label(surface))
        if casts:
            east, north = self.sun[0], self.sun[2]
            reach = max(float(np.hypot(east, north)), 1e-3)
            side, ahead = -north / reach, east / reach
            self._cast([self._fall(x + r * side, up, z + r * ahead) for r, up in outline])

    def disc(self, centre: Vec, radius: float, surface: Surface, casts: bool = True) -> None:
        """Draws a ball as a disc; its shadow is a disc on the ground."""
        if centre[2] <= NEAREST_Z:
            return
        column, row = self.camera.project(*centre)
        size = radius * self.camera.focal / centre[2]
        self._draw.ellipse(self._box(column, row, size, size), fill=self.label(surface))
        ground = self._fall(*centre)
        if casts and ground[2] > NEAREST_Z:
            column, row = self.camera.project(*ground)
            size = radius * self.camera.focal / ground[2]
            flat = size * min(1.0, self.camera.y / ground[2])
            self._draw_shadow.ellipse(self._box(column, row, size, flat), fill=255)

    def labels(self) -> NDArray[np.intp]:
        """The label plane, (H * SUPERSAMPLING, W * SUPERSAMPLING)."""
        return np.asarray(self._image).astype(np.intp)

    def shadow(self) -> Floats:
        """Share of the sun that is blocked were the pixel ground, (H, W), 0 to 1."""
        small = self._shadow.reduce(SUPERSAMPLING)
        return np.asarray(small, dtype=np.float32) / np.float32(255)

    def _fall(self, x: float, y: float, z: float) -> Vec:
        east, up, north = self.sun
        return (x - y * east / up, 0.0, z - y * north / up)

    def _cast(self, ground: Sequence[Vec]) -> None:
        screen = self._screen(ground)
        if screen:
            self._draw_shadow.polygon(screen, fill=255)

    def _screen(self, points: Sequence[Vec]) -> list[tuple[float, float]]:
        """Projects a polygon, cut off at the near plane; empty when nothing is left of it."""
        kept: list[Vec] = []
        before = points[-1]
        for point in points:
            if (before[2] > NEAREST_Z) != (point[2] > NEAREST_Z):
                share = (NEAREST_Z - before[2]) / (point[2] - before[2])
                kept.append(
                    (
                        before[0] + share * (point[0] - before[0]),
                        before[1] + share * (point[1] - before[1]),
                        NEAREST_Z,
                    )
                )
            if point[2] > NEAREST_Z:
                kept.append(point)
            before = point
        if len(kept) < 3:
            return []
        return [
            (column * SUPERSAMPLING, row * SUPERSAMPLING)
            for column, row in (self.camera.project(*point) for point in kept)
        ]

    @staticmethod
    def _box(column: float, row: float, wide: float, high: float) -> list[float]:
        edges = (column - wide, row - high, column + wide, row + high)
        return [edge * SUPERSAMPLING for edge in edges]
