"""Renders what a long-wave infrared camera sees of a synthetic scene: heat, not light."""

import numpy as np
from numpy.typing import NDArray

from fusion_core.demo.canvas import Floats
from fusion_core.demo.texture import blur, cloudy
from fusion_core.demo.view import Scene
from fusion_core.demo.weather import Weather

KELVIN = 273.15
# Radiance between 8 and 14 um grows about as this power of temperature around 290 K.
BAND_EXPONENT = 4.7
SMOKE_SHARE = 0.05  # infrared optical depth of smoke over its visible one
SHADOW_SHARE = 0.3  # how much of the sun's warmth a moving shadow has taken away so far
HAZE_METRES = 2500.0
NETD = 0.09  # kelvin
COLUMN_NOISE = 0.06  # kelvin
OPTICS_BLUR = 0.9  # pixels at 640 columns
KNEE, ROOM = 0.8, 0.19
NARROWEST_SPAN = 28.0  # kelvin that the grey levels cover at least


def render_infrared(scene: Scene, weather: Weather, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Renders the infrared image, white hot.

    Args:
        scene: what is looked at.
        weather: in what light and air.
        rng: source of chance.

    Returns:
        uint8 (H, W), stretched over the scene's range of radiance as such cameras do.
    """
    _, _, ahead = scene.places
    air = weather.air_celsius
    base, sunny, emissivity = _columns(scene, weather)
    heat = scene.resolve(base)
    shade = blur(scene.shadow, 3.0 * scene.camera.width / 640.0)
    ground = scene.resolve(scene.column(lambda surface: surface.plane == "ground"))
    heat += scene.resolve(sunny) * (1.0 - SHADOW_SHARE * shade * ground)
    heat += np.float32(0.45) * cloudy(rng, ahead.shape, coarsest=9, octaves=4)
    shine = scene.resolve(emissivity)
    upward = scene.resolve(scene.column(lambda surface: max(0.0, surface.normal[1])))
    sky = _sky_celsius(scene, weather, rng)
    mirrored = air + (0.45 + 0.55 * upward) * (np.float32(weather.sky_celsius) - air)
    radiance = shine * _band(heat) + (1.0 - shine) * _band(mirrored)
    is_sky = scene.resolve(scene.column(lambda surface: "sky" in surface.tags))
    clear = np.exp(-ahead / np.float32(HAZE_METRES)) * (1.0 - is_sky)
    radiance = clear * radiance + (1.0 - clear - is_sky) * _band(np.float32(air))
    radiance += is_sky * _band(sky)
    # Smoke has mixed with the air: a little warmer than it, and almost clear at this wavelength.
    through = np.exp(-np.float32(SMOKE_SHARE) * weather.smoke)
    radiance = through * radiance + (1.0 - through) * _band(np.float32(air + 6.0))
    return _digitise(radiance, scene.camera.width / 640.0, air, rng)


def _columns(scene: Scene, weather: Weather) -> tuple[Floats, Floats, Floats]:
    """Per label: degrees Celsius without sun, kelvin added by the sun, emissivity."""
    air = weather.air_celsius
    sun = np.asarray(scene.sun, dtype=np.float32)
    facing = np.clip(scene.column(lambda surface: surface.normal) @ sun, 0.0, None)
    own = scene.column(lambda s: np.nan if s.celsius is None else s.celsius)
    memory = scene.column(lambda surface: surface.memory if weather.dark else 0.0)
    base = np.where(np.isnan(own), air + memory, own).astype(np.float32)
    strength = np.float32(0.0 if weather.dark else weather.sun[0] / 1.75)
    solar = scene.column(lambda surface: surface.solar) * facing * strength
    sunny = np.where(np.isnan(own), solar, 0.25 * solar).astype(np.float32)
    return base, sunny, scene.column(lambda surface: surface.emissivity)


def _sky_celsius(scene: Scene, weather: Weather, rng: np.random.Generator) -> Floats:
    """The sky is coldest overhead; near the horizon one looks through more warm air."""
    height = scene.camera.height
    rows = np.arange(height, dtype=np.float32)[:, None]
    elevation = np.clip(1.0 - rows / (scene.camera.horizon * height), 0.0, 1.0)
    cold = np.float32(weather.air_celsius - weather.sky_celsius)
    clouds = np.clip(cloudy(rng, scene.nearest.shape, coarsest=4, octaves=4), 0.0, 2.0)
    clear = weather.air_celsius - cold * (0.45 + 0.55 * elevation)
    return np.asarray(clear + 1.5 * clouds, dtype=np.float32)


def _band(celsius: Floats | np.float32) -> Floats:
    """In-band radiance of a black body, 1 at 290 K."""
    kelvin = np.asarray(celsius, dtype=np.float32) + np.float32(KELVIN)
    return (kelvin / np.float32(290.0)) ** np.float32(BAND_EXPONENT)


def _digitise(
    radiance: Floats, scale: float, air: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Lens blur, detector noise and automatic gain."""
    height, width = radiance.shape
    image = blur(radiance, max(0.4, OPTICS_BLUR * scale))
    per_kelvin = float(_band(np.float32(air + 0.5)) - _band(np.float32(air - 0.5)))
    image += np.float32(NETD * per_kelvin) * rng.standard_normal((height, width), dtype=np.float32)
    image += np.float32(COLUMN_NOISE * per_kelvin) * rng.standard_normal(width, dtype=np.float32)
    low, high = (float(level) for level in np.percentile(image[::2, ::2], (1.0, 99.6)))
    low = max(low, float(_band(np.float32(air - 17.0))))
    span = max(1.15 * (high - low), NARROWEST_SPAN * per_kelvin)
    grey = np.maximum((image - np.float32(low)) / np.float32(span), 0.0)
    # Small hot things bend into the room above the knee instead of turning white.
    excess = np.maximum(grey - np.float32(KNEE), 0.0)
    grey = np.minimum(grey, KNEE) + ROOM * (1.0 - np.exp(-excess / np.float32(ROOM)))
    return np.asarray(np.round(255 * grey), dtype=np.uint8)
