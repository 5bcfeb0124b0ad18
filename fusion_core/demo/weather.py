"""The light and the air of a scene: day, night, smoke and glare."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from fusion_core.demo.canvas import Floats, Scene

Kind = Literal["day", "night", "smoke", "glare"]
KINDS: tuple[Kind, ...] = ("day", "night", "smoke", "glare")


@dataclass(frozen=True)
class Weather:
    """What lies between the scene and the cameras, and what lights it."""

    dark: bool  # whether the sun is down
    sun: Floats  # (3,) its light on a surface that faces it, linear RGB, full scale is 1
    sky: Floats  # (3,) light of the whole sky, likewise
    air_celsius: float
    sky_celsius: float  # what the infrared camera sees straight above
    visibility: float  # metres until haze takes 63 % of the visible light
    smoke: Floats  # (H, W) its optical depth in the visible, in front of what each pixel sees
    dazzle: float  # brightness of headlights as seen from the camera, 1 for dipped beams


def make_weather(rng: np.random.Generator, scene: Scene, kind: Kind) -> Weather:
    """Makes weather of a kind; what differs between two of a kind is left to chance."""
    dark, smoky = kind in ("night", "glare"), kind == "smoke"
    blue, air = rng.uniform(0.0, 1.0), rng.uniform(7.0, 13.0) + (0.0 if dark else 6.0)
    sun = rng.uniform(1.5, 2.0) * (0.0 if dark else 0.5 if smoky else 1.0)
    by_day = (0.62 - 0.22 * blue, 0.66 - 0.1 * blue, 0.72 + 0.1 * blue)
    return Weather(
        dark=dark,
        sun=np.asarray([sun, 0.94 * sun, rng.uniform(0.76, 0.9) * sun], dtype=np.float32),
        sky=np.asarray((0.008, 0.009, 0.0125) if dark else by_day, dtype=np.float32),
        air_celsius=air,
        sky_celsius=air - rng.uniform(32.0, 42.0),
        visibility=rng.uniform(150.0, 300.0) if smoky else 1200.0,
        smoke=_plume(rng, scene) if smoky else np.zeros(scene.shadow.shape, dtype=np.float32),
        dazzle=rng.uniform(4.5, 7.0) if kind == "glare" else 1.0,
    )


def cloudy(rng: np.random.Generator, shape: tuple[int, ...], coarsest: int, octaves: int) -> Floats:
    """Smooth noise, (H, W), of mean 0 and standard deviation 1.

    The first octave has ``coarsest`` cells across the longer side; each next one has cells half as
    large and half as strong.
    """
    height, width = shape
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        share = min(1.0, coarsest * 2**octave / max(shape))
        cells = max(2, round(share * height)), max(2, round(share * width))
        grid = Image.fromarray(rng.standard_normal(cells, dtype=np.float32))
        total += np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC)) * 0.5**octave
    return np.asarray((total - total.mean()) / total.std())


def _plume(rng: np.random.Generator, scene: Scene) -> Floats:
    """Optical depth, (H, W), of smoke that rises ahead of the haven and drifts with the wind."""
    camera, shape = scene.camera, scene.shadow.shape
    z = scene.haven[1] - 3.0
    foot, ground = camera.project(scene.haven[0], 0.0, z)
    rows, columns = np.indices(shape, dtype=np.float32)
    height = np.maximum(ground - rows, 0.0) * (z / camera.focal)
    wind = rng.uniform(0.3, 0.9) * (-1.0 if rng.random() < 0.5 else 1.0)
    billow = cloudy(rng, shape, coarsest=5, octaves=6)
    off = (columns - foot) * (z / camera.focal) - wind * height
    off += 0.5 * cloudy(rng, shape, coarsest=3, octaves=3)
    column = np.exp(-((off / (1.5 + 0.55 * height)) ** 2) - height / 9.0)
    # Cold smoke also creeps along the ground to both sides.
    creep = 0.7 * np.exp(-((height / 0.9) ** 2) - (off / 5.0) ** 2)
    depth = 4.6 * (column + creep) * np.maximum(0.75 + 0.33 * billow, 0.08)
    # Only what is behind the plume is hidden; its ragged front reaches the haven's feet at most.
    front = z - 0.9 + 0.55 * np.clip(billow, -2.0, 2.0)
    return np.asarray(depth * np.clip((scene.places[2] - front) / 2.2, 0.0, 1.0))
