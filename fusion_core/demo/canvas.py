"""What both cameras look at: a scene drawn as labels of surfaces, with its shadows and lamps.

Each polygon is drawn once, as the label of a ``Surface`` that says how it looks to either camera,
so the two images agree in their geometry to the pixel. World axes are metres: x to the right, y up
from the ground, z away from the camera. Colours are linear RGB.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Point = tuple[float, float]
Vec = tuple[float, float, float]
Rgb = tuple[float, float, float]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

SUPERSAMPLING = 2
NEAREST = 0.7  # metres; polygons are cut off where they come nearer
FARTHEST = 5000.0  # metres; stands for the sky


@dataclass(frozen=True, slots=True)
class Surface:
    """What one drawn thing is made of, for both cameras."""

    albedo: Rgb  # visible reflectance, 0 to 1
    axis: Literal[0, 1, 2] = 2  # its plane, for depth: wall x = at, ground y = at, upright z = at
    at: float = 0.0  # metres; see axis
    normal: Vec = (0.0, 0.25, -0.97)  # unit vector, for the fall of light
    texture: Literal["grain", "brick", "slabs"] = "grain"  # only the visible camera sees it
    relief: float = 0.0  # strength of the texture, 0 to 1
    mirror: float = 0.0  # share of the visible light that is mirrored sky, 0 to 1
    emission: Rgb = (0.0, 0.0, 0.0)  # visible light given off at night, 1 for full scale
    emissivity: float = 0.95  # in the infrared, 0 to 1; the rest is mirrored cold sky
    solar: float = 8.0  # kelvin above the air in full, perpendicular sun
    memory: float = 0.0  # kelvin above the air at night; negative for what cools fast
    celsius: float | None = None  # own temperature of what heats itself
    tags: tuple[str, ...] = ()  # the masks that it belongs to


class Lamp(NamedTuple):
    """A point of light at night."""

    place: Vec
    colour: Rgb  # about 1
    power: float  # light on a surface one metre away, in units of full scale at night
    beam: bool  # a headlight, which shines towards the camera's side only


class Camera(NamedTuple):
    """A level pinhole camera above the road."""

    height: int  # pixels
    width: int  # pixels
    x: float  # metres right of the road's middle
    y: float  # metres above the ground
    horizon: float  # image row of the horizon
    focal: float  # focal length in pixels

    def project(self, x: float, y: float, z: float) -> Point:
        """The image point (column, row) of a world point with z > 0."""
        scale = self.focal / z
        return 0.5 * self.width + scale * (x - self.x), self.horizon + scale * (self.y - y)


@dataclass(frozen=True)
class Scene:
    """A drawn scene, before any weather."""

    camera: Camera
    sun: Floats  # (3,) unit vector towards the sun
    surfaces: Sequence[Surface]  # the surface that each label stands for
    labels: NDArray[np.intp]  # (SUPERSAMPLING ** 2, H, W): what is seen inside each pixel
    shadow: Floats  # (H, W) share of the sun, 0 to 1, that is blocked were the pixel ground
    lamps: Sequence[Lamp]  # on at night
    haven: Point  # (x, z) of the pedestrian that smoke hides

    def column(self, attribute: str) -> Floats:
        """One number or colour of each surface, by label; NaN for None."""
        return np.asarray([getattr(s, attribute) for s in self.surfaces], dtype=np.float32)

    def resolve(self, column: Floats) -> Floats:
        """Spreads a column over the image, averaged inside each pixel: (H, W) or (H, W, C)."""
        return np.asarray(column.take(self.labels, axis=0).mean(axis=0, dtype=np.float32))

    def tagged(self, tag: str) -> Bools:
        """Where surfaces with a tag are seen, (H, W)."""
        found: Bools = np.asarray([tag in s.tags for s in self.surfaces])[self.labels[0]]
        return found

    @cached_property
    def sky(self) -> Floats:
        """How much of each pixel the sky fills, (H, W), 0 to 1."""
        return np.asarray((self.labels == 0).mean(axis=0, dtype=np.float32))

    @cached_property
    def axis(self) -> NDArray[np.intp]:
        """The axis of the plane that each pixel sees, (H, W); see ``Surface``."""
        return np.asarray(self.column("axis").astype(np.intp)[self.labels[0]])

    @cached_property
    def places(self) -> Floats:
        """World coordinates x, y, z in metres of what each pixel sees, (3, H, W)."""
        camera = self.camera
        rows, columns = np.indices(self.shadow.shape, dtype=np.float32)
        right = (columns + 0.5 - 0.5 * camera.width) / camera.focal
        up = (camera.horizon - rows - 0.5) / camera.focal
        rays = np.stack([right, up, np.ones_like(up)])
        eye = np.asarray([camera.x, camera.y, 0.0], dtype=np.float32)
        with np.errstate(divide="ignore"):
            z = self.column("at")[self.labels[0]] - eye[self.axis]
            z /= np.choose(self.axis, rays)
        # A rounded edge can leave a pixel on the wrong side of its plane's horizon.
        z = np.where((z > 0) & (z < FARTHEST), z, np.float32(FARTHEST))
        return np.asarray(rays * z + eye[:, None, None])


class Canvas:
    """Draws surfaces, nearest last, and the shadows that they cast on the ground.

    The ``sun``, a unit vector, is up but not straight above; ``rng`` is for what is drawn.
    """

    def __init__(self, camera: Camera, sun: Vec, rng: np.random.Generator) -> None:
        self.camera, self.sun, self.rng = camera, sun, rng
        self.lamps: list[Lamp] = []
        self._labels = {Surface(albedo=(0.0, 0.0, 0.0), at=FARTHEST, tags=("sky",)): 0}
        size = (camera.width * SUPERSAMPLING, camera.height * SUPERSAMPLING)
        self._image, self._shadow = Image.new("I", size, 0), Image.new("L", size, 0)
        # Made once: a street has thousands of leaves, and making one takes longer than a leaf.
        self._things, self._shadows = ImageDraw.Draw(self._image), ImageDraw.Draw(self._shadow)

    def polygon(self, points: Sequence[Vec], surface: Surface, *, casts: bool = False) -> None:
        """Draws a flat polygon of world points; with ``casts`` also its shadow."""
        self._fill(self._things, points, self._labels.setdefault(surface, len(self._labels)))
        if casts:
            self._cast(points)

    def upright(self, x: float, z: float, outline: Sequence[Point], surface: Surface) -> None:
        """Draws a polygon of (metres right of x, metres above the ground), and its shadow."""
        self.polygon([(x + right, up, z) for right, up in outline], surface)
        # Things are about as deep as broad, so the sun sees them as broad as the camera does.
        reach = math.hypot(self.sun[0], self.sun[2])
        side, ahead = -self.sun[2] / reach, self.sun[0] / reach
        self._cast([(x + right * side, up, z + right * ahead) for right, up in outline])

    def finish(self, haven: Point) -> Scene:
        """Makes the scene of all that was drawn; ``haven`` is the (x, z) that smoke hides."""
        step, (height, width) = SUPERSAMPLING, self.camera[:2]
        fine = np.asarray(self._image).reshape(height, step, width, step).transpose(1, 3, 0, 2)
        labels = fine.reshape(step * step, height, width).astype(np.intp)
        shadow = np.asarray(self._shadow.reduce(step), dtype=np.float32) / np.float32(255)
        surfaces, sun = tuple(self._labels), np.asarray(self.sun, dtype=np.float32)
        return Scene(self.camera, sun, surfaces, labels, shadow, tuple(self.lamps), haven)

    def _cast(self, points: Sequence[Vec]) -> None:
        east, north = self.sun[0] / self.sun[1], self.sun[2] / self.sun[1]
        self._fill(self._shadows, [(x - y * east, 0.0, z - y * north) for x, y, z in points], 255)

    def _fill(self, drawing: ImageDraw.ImageDraw, points: Sequence[Vec], value: int) -> None:
        kept: list[Point] = []
        x0, y0, z0 = points[-1]
        for x, y, z in points:
            if (z0 > NEAREST) != (z > NEAREST):
                part = (NEAREST - z0) / (z - z0)
                cut = (x0 + part * (x - x0), y0 + part * (y - y0), NEAREST)
                kept.append(self.camera.project(*cut))
            if z > NEAREST:
                kept.append(self.camera.project(x, y, z))
            x0, y0, z0 = x, y, z
        if len(kept) > 2:
            screen = [(column * SUPERSAMPLING, row * SUPERSAMPLING) for column, row in kept]
            drawing.polygon(screen, fill=value)
