"""Renders a scene as two cameras see it: one for visible light, one for long-wave infrared."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fusion_core.demo.canvas import Floats, Lamp, Scene
from fusion_core.demo.weather import Weather, cloudy

TILE = 512  # texels along a side of the grain, which repeats
TEXELS_PER_METRE = 80.0
LAMP_EMISSION = 5.0  # from here on a surface is the lamp itself and blooms
SMOKE_SHARE = 0.05  # infrared optical depth of smoke over its visible one
SHADOW_SHARE = 0.3  # how much of the sun's warmth a moving shadow has taken away so far
NETD, COLUMN_NOISE = 0.09, 0.06  # kelvin
NARROWEST_SPAN = 28.0  # kelvin that the infrared grey levels cover at least
KNEE, ROOM = 0.8, 0.19  # infrared levels above the knee are bent into this room


def render_visible(
    scene: Scene, weather: Weather, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Floats]:
    """Renders the visible image, uint8 (H, W, 3) sRGB: reflectance times light, and what shines.

    Also returns the veil of light that headlights lay over it, (H, W) with 1 for full scale.
    """
    scale, sky, smoke = scene.camera.width / 640, scene.sky, weather.smoke
    clouds = cloudy(rng, sky.shape, coarsest=4, octaves=5)
    brightness = 1.2 - 0.4 * _elevation(scene) + 0.22 * np.clip(clouds - 0.3, 0.0, 1.5)
    light = _reflected(scene, weather, rng) + (brightness * sky)[..., None] * weather.sky
    haze = (1.0 - np.exp(-scene.places[2] / weather.visibility)) * (1.0 - sky)
    light += haze[..., None] * (0.9 * weather.sky - light)
    if smoke.any():
        # Smoke is lit from above, so it is a paler grey where less of it lies overhead.
        step = max(2, scene.camera.width // 80)
        lit = blur(np.clip(smoke - np.roll(smoke, step, axis=0), -1.5, 1.5), step / 3)
        grey = 0.5 * float(weather.sky.mean()) * (1.0 + 0.14 * lit)
        light += (1.0 - np.exp(-smoke))[..., None] * (grey[..., None] - light)
    veil = np.zeros_like(sky)
    for lamp in scene.lamps if weather.dark else ():
        part, glow = _bloom(scene, lamp, weather)
        light[part] += glow[..., None] * np.asarray(lamp.colour, dtype=np.float32)
        veil[part] += glow * lamp.beam
    light = np.stack([blur(light[..., c], max(0.35, 0.55 * scale)) for c in range(3)], axis=-1)
    light = np.clip(light, 0.0, 1.0)
    # Photon and read noise, for so many electrons at full scale; at night they are amplified.
    well = 800.0 if weather.dark else 7000.0
    sigma = np.sqrt(light / well + (5.0 / well) ** 2)
    light = np.clip(light + sigma * rng.standard_normal(light.shape, dtype=np.float32), 0.0, 1.0)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * srgb).astype(np.uint8), veil


def _reflected(scene: Scene, weather: Weather, rng: np.random.Generator) -> Floats:
    """Light that leaves the surfaces, (H, W, 3)."""
    normal, mirror = scene.column("normal"), scene.column("mirror")[:, None]
    matt = scene.column("albedo") * (1.0 - mirror)
    # The blue of the sky is thinned by light that walls and ground have thrown back.
    dome = (0.55 + 0.45 * normal[:, 1:2]) * (0.4 * weather.sky + 0.6 * float(weather.sky.mean()))
    grain = _grain(scene, rng)[..., None]
    light = scene.resolve(matt * dome) * grain + scene.resolve(0.8 * mirror * weather.sky)
    if weather.dark:
        light += scene.resolve(matt) * grain * _lamplight(scene, weather)
        return light + scene.resolve(scene.column("emission"))
    # Leaves and clothes are rough: part of the sun's light reaches them from any side.
    facing = np.maximum(0.9 * (normal @ scene.sun) + 0.1, 0.0)
    shadow = blur(scene.shadow, 0.8 * scene.camera.width / 640) * (scene.axis == 1)
    sunlit = scene.resolve(matt * facing[:, None] * weather.sun) * grain
    return np.asarray(light + sunlit * (1.0 - 0.94 * shadow)[..., None])


def _grain(scene: Scene, rng: np.random.Generator) -> Floats:
    """The factor by which texture brightens or darkens each pixel, (H, W), about 1."""
    east, up, ahead = scene.places
    u, v = np.where(scene.axis == 0, ahead, east), np.where(scene.axis == 1, ahead, up)
    tile = cloudy(rng, (TILE, TILE), coarsest=100, octaves=3)

    def look_up(u: Floats, v: Floats, density: float) -> Floats:
        rows, columns = (v * density).astype(np.int32), (u * density).astype(np.int32)
        return np.asarray(tile[rows % TILE, columns % TILE])

    # Detail finer than a pixel would alias, so it fades with distance.
    fade = np.minimum(1.0, 0.02 * scene.camera.width / ahead)
    pattern = fade * look_up(u, v, TEXELS_PER_METRE) + 0.22 * look_up(u, v, TEXELS_PER_METRE / 12)
    for name, wide, high, joint in (("brick", 0.5, 0.22, 0.035), ("slabs", 0.9, 0.9, 0.03)):
        course = np.floor(v / high)
        along = u / wide + 0.5 * (course % 2)
        gap = (v / high - course < joint / high) | (along % 1 < joint / wide)
        tone = look_up(np.floor(along) * 37 % 211, course * 53 % 197, 1.7)
        block = fade * np.where(gap, np.float32(1.4), 0.7 * tone) + 0.4 * pattern
        laid = np.asarray([surface.texture == name for surface in scene.surfaces])
        pattern = np.where(laid[scene.labels[0]], block, pattern)
    relief = scene.resolve(scene.column("relief"))
    return np.asarray(np.maximum(1.0 + relief * np.clip(pattern, -2.0, 2.0), 0.1))


def _lamplight(scene: Scene, weather: Weather) -> Floats:
    """Light of street lamps and headlights on the surfaces, (H, W, 3)."""
    normals = scene.column("normal").T[:, scene.labels[0]]
    total = np.zeros((*scene.shadow.shape, 3), dtype=np.float32)
    for lamp in scene.lamps:
        way = np.asarray(lamp.place, dtype=np.float32)[:, None, None] - scene.places
        square = np.einsum("chw,chw->hw", way, way) + 0.3
        way /= np.sqrt(square)
        facing = np.maximum(0.85 * np.einsum("chw,chw->hw", normals, way) + 0.15, 0.0)
        # A headlight shines ahead; the shade of a street lamp keeps its light below.
        aim = weather.dazzle * np.maximum(way[2], 0.0) ** 6 if lamp.beam else way[1].clip(0.0)
        power = lamp.power * facing * aim / square
        total += power[..., None] * np.asarray(lamp.colour, dtype=np.float32)
    return total


def _bloom(scene: Scene, lamp: Lamp, weather: Weather) -> tuple[tuple[slice, slice], Floats]:
    """The part of the image where the lens scatters a lamp's light, if seen, and how much there."""
    column, row = scene.camera.project(*lamp.place)
    dazzle = weather.dazzle if lamp.beam else 0.35
    core = (2.5 + 3.0 * dazzle) * scene.camera.width / 640 * 12.0 / lamp.place[2]

    def around(reach: int) -> tuple[slice, slice]:
        y, x, far = int(row), int(column), reach + 1
        return slice(max(0, y - reach), max(0, y + far)), slice(max(0, x - reach), max(0, x + far))

    seen = scene.column("emission")[scene.labels[0][around(1)]].max(initial=0.0)
    part = around(int(25 * core) + 1 if seen >= LAMP_EMISSION else -1)
    dy = np.arange(scene.camera.height, dtype=np.float32)[part[0], None] - row
    dx = np.arange(scene.camera.width, dtype=np.float32)[part[1]] - column
    square = (dx * dx + dy * dy) / core**2
    # The blades of the iris draw a faint star around what is very bright.
    star = 1.0 + 0.12 * np.cos(6.0 * np.arctan2(dy, dx) + 0.6) ** 16 * np.minimum(square, 4.0)
    fade = np.maximum(1.0 - square / 25.0**2, 0.0)  # the edge of the part must not show
    return part, 0.75 * dazzle**0.5 * star * fade / (1.0 + square) ** 1.15


def render_infrared(scene: Scene, weather: Weather, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Renders the infrared image, uint8 (H, W), white hot, over the scene's range of radiance."""
    scale, air, sky = scene.camera.width / 640, weather.air_celsius, scene.sky
    own, emissivity = scene.column("celsius"), scene.resolve(scene.column("emissivity"))
    base = np.where(np.isnan(own), air + scene.column("memory") * weather.dark, own)
    normal, strength = scene.column("normal"), float(weather.sun[0]) / 1.75
    solar = strength * scene.column("solar") * np.maximum(normal @ scene.sun, 0.0)
    solar = np.where(np.isnan(own), solar, 0.25 * solar)
    shadow = blur(scene.shadow, 3.0 * scale) * (scene.axis == 1)
    heat = scene.resolve(base) + scene.resolve(solar) * (1.0 - SHADOW_SHARE * shadow)
    heat += 0.45 * cloudy(rng, sky.shape, coarsest=9, octaves=4)
    # The sky is coldest overhead; near the horizon one looks through more warm air.
    cold = air - weather.sky_celsius
    upward = scene.resolve(np.maximum(normal[:, 1], 0.0))
    mirrored = _radiance(air - (0.45 + 0.55 * upward) * cold)
    clouds = np.clip(cloudy(rng, sky.shape, coarsest=4, octaves=4), 0.0, 2.0)
    above = _radiance(air - (0.45 + 0.55 * _elevation(scene)) * cold + 1.5 * clouds)
    image = emissivity * _radiance(heat) + (1.0 - emissivity) * mirrored
    image += sky * (above - image)
    # Smoke has mixed with the air: a little warmer than it, and almost clear at this wavelength.
    through = np.exp(-SMOKE_SHARE * weather.smoke)
    image = blur(through * image + (1.0 - through) * _radiance(air + 6.0), max(0.4, 0.9 * scale))
    kelvin = _radiance(air + 0.5) - _radiance(air - 0.5)
    image += NETD * kelvin * rng.standard_normal(image.shape, dtype=np.float32)
    image += COLUMN_NOISE * kelvin * rng.standard_normal(image.shape[1], dtype=np.float32)
    low, high = np.percentile(image[::2, ::2], (1.0, 99.6))
    low = max(low, _radiance(air - 17.0))
    grey = np.maximum((image - low) / max(1.15 * (high - low), NARROWEST_SPAN * kelvin), 0.0)
    # Small hot things bend into the room above the knee instead of turning white.
    excess = np.maximum(grey - KNEE, 0.0)
    grey = np.minimum(grey, KNEE) + ROOM * (1.0 - np.exp(-excess / ROOM))
    return np.asarray(np.round(255 * grey), dtype=np.uint8)


def _elevation(scene: Scene) -> Floats:
    """How high each row looks, 0 at the horizon and below, 1 at the top; (H, 1)."""
    rows = np.arange(scene.camera.height, dtype=np.float32)[:, None]
    return np.asarray(np.clip(1.0 - rows / scene.camera.horizon, 0.0, 1.0))


def _radiance(celsius: Floats | float) -> Floats:
    """Radiance of a black body between 8 and 14 um, 1 at 290 K; it grows about as T^4.7."""
    return np.asarray(((celsius + 273.15) / 290.0) ** 4.7, dtype=np.float32)


def blur(plane: Floats, sigma: float) -> Floats:
    """Blurs an (H, W) plane by a Gaussian of ``sigma`` pixels, with mirrored borders."""
    radius = max(1, round(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1, dtype=np.float32) / sigma) ** 2)
    for axis in (0, 1):
        pad = [(radius, radius) if axis == other else (0, 0) for other in (0, 1)]
        windows = sliding_window_view(np.pad(plane, pad, mode="symmetric"), len(taps), axis=axis)
        plane = np.einsum("ijk,k->ij", windows, taps / taps.sum())
    return plane
