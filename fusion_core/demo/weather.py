"""The light and the air of a synthetic scene: day, night, smoke and glare."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fusion_core.demo.canvas import Floats, Rgb
from fusion_core.demo.texture import cloudy
from fusion_core.demo.view import Scene

Kind = Literal["day", "night", "smoke", "glare"]
KINDS: tuple[Kind, ...] = ("day", "night", "smoke", "glare")


@dataclass(frozen=True)
class Weather:
    """What lies between the scene and the cameras, and what lights it.

    Attributes:
        kind: its name.
        dark: whether the sun is down.
        sun: light of the sun on a surface that faces it, linear RGB, full scale is 1.
        sky: light of the whole sky, linear RGB, full scale is 1.
        air_celsius: temperature of the air.
        sky_celsius: temperature that the infrared camera sees straight above.
        visibility: metres until haze takes 63 % of the visible light.
        smoke: (H, W) optical depth of smoke in the visible, in front of what each pixel sees.
        dazzle: brightness of headlights as seen from the camera, 1 for dipped beams.
        tint: white balance error, a factor for each of R, G and B.
    """

    kind: Kind
    dark: bool
    sun: Rgb
    sky: Rgb
    air_celsius: float
    sky_celsius: float
    visibility: float
    smoke: Floats
    dazzle: float
    tint: Rgb


def make_weather(rng: np.random.Generator, scene: Scene, kind: Kind) -> Weather:
    """Makes weather of a kind; what differs between two of a kind is left to chance.

    Args:
        rng: source of chance.
        scene: where the weather happens; smoke rises between the camera and its ``haven``.
        kind: what to make.
    """
    dark = kind in ("night", "glare")
    warm = float(rng.uniform(-0.06, 0.06))
    green = float(rng.uniform(0.0, 0.1)) if dark else float(rng.uniform(-0.02, 0.03))
    strength = float(rng.uniform(1.5, 2.0)) * (0.5 if kind == "smoke" else 1.0)
    blue = float(rng.uniform(0.0, 1.0))
    sky: Rgb = (0.62 - 0.22 * blue, 0.66 - 0.1 * blue, 0.72 + 0.1 * blue)
    air = float(rng.uniform(7.0, 13.0) if dark else rng.uniform(13.0, 19.0))
    smoke = _smoke(rng, scene)
    return Weather(
        kind=kind,
        dark=dark,
        sun=(0.0, 0.0, 0.0) if dark else (strength, 0.94 * strength, 0.84 * strength),
        sky=(0.008, 0.009, 0.0125) if dark else sky,
        air_celsius=air,
        sky_celsius=air - float(rng.uniform(32.0, 42.0)),
        visibility=float(rng.uniform(150.0, 300.0) if kind == "smoke" else 1200.0),
        smoke=smoke if kind == "smoke" else np.zeros_like(smoke),
        dazzle=float(rng.uniform(4.5, 7.0)) if kind == "glare" else 1.0,
        tint=(1.0 + warm, 1.0 + green, 1.0 - warm),
    )


def _smoke(rng: np.random.Generator, scene: Scene) -> Floats:
    """Optical depth of a plume that rises ahead of the haven and drifts with the wind."""
    camera = scene.camera
    _, _, ahead = scene.places
    z = scene.haven[1] - 3.0
    foot, ground = camera.project(scene.haven[0], 0.0, z)
    metre = camera.focal / z
    rows, columns = np.indices(ahead.shape, dtype=np.float32)
    height = np.maximum(np.float32(ground) - rows, 0.0) / np.float32(metre)
    wind = float(rng.choice((-1.0, 1.0)) * rng.uniform(0.3, 0.9))
    billow = cloudy(rng, ahead.shape, coarsest=5, octaves=6)
    off = (columns - np.float32(foot)) / np.float32(metre) - wind * height
    off += 0.5 * cloudy(rng, ahead.shape, coarsest=3, octaves=3)
    spread = 1.5 + 0.55 * height
    column = np.exp(-((off / spread) ** 2)) * np.exp(-height / 9.0)
    # Cold smoke also creeps along the ground to both sides.
    creep = 0.7 * np.exp(-((height / 0.9) ** 2)) * np.exp(-((off / 5.0) ** 2))
    depth = 4.6 * (column + creep) * np.clip(0.75 + 0.33 * billow, 0.08, None)
    # Only what is behind the plume is hidden; its ragged front reaches the haven's feet at most.
    front = np.float32(z - 0.9) + np.float32(0.55) * np.clip(billow, -2.0, 2.0)
    behind = np.clip((ahead - front) / np.float32(2.2), 0.0, 1.0)
    return np.asarray(depth * behind, dtype=np.float32)
