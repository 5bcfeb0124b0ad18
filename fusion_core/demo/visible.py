"""Renders what a colour camera sees of a synthetic scene: reflected light, lamps, haze, noise."""

import numpy as np
from numpy.typing import NDArray

from fusion_core.demo.canvas import Floats, Rgb
from fusion_core.demo.texture import CELLS_PER_METRE, blur, cloudy, grain_tile, look_up
from fusion_core.demo.view import Lamp, Scene
from fusion_core.demo.weather import Weather

FULL_WELL = {False: 7000.0, True: 800.0}  # electrons at full scale by day, and amplified at night
READ_NOISE = 5.0
LAMP_EMISSION = 5.0  # from here on a surface is the lamp itself and blooms
OPTICS_BLUR = 0.55  # pixels at 640 columns
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def render_visible(
    scene: Scene, weather: Weather, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Floats]:
    """Renders the visible image.

    Args:
        scene: what is looked at.
        weather: in what light and air.
        rng: source of chance.

    Returns:
        The image, uint8 (H, W, 3) sRGB, and the veil of light that headlights lay over it,
        float32 (H, W) with 1 for full scale.
    """
    light = _surfaces(scene, weather, rng)
    _, _, ahead = scene.places
    sky = scene.resolve(scene.column(lambda surface: "sky" in surface.tags))
    sky_light = _sky(scene, weather, rng)
    light += (sky_light * sky)[..., None] * _vector(weather.sky)
    haze = 1.0 - np.exp(-ahead / np.float32(weather.visibility))
    pale = _vector(weather.sky) * np.float32(0.9)
    light += (haze * (1.0 - sky))[..., None] * (pale - light)
    if weather.smoke.any():
        # Smoke is lit from above, so it is a paler grey where it is thick.
        grey = float(np.dot(weather.sky, LUMA)) * 0.5
        hidden = 1.0 - np.exp(-weather.smoke)
        step = max(2, scene.camera.width // 80)
        lit = np.clip(weather.smoke - np.roll(weather.smoke, step, axis=0), -1.5, 1.5)
        tone = np.float32(grey) * (1.0 + 0.14 * blur(lit, step / 3))
        light += hidden[..., None] * (tone[..., None] - light)
    veil = np.zeros(ahead.shape, dtype=np.float32)
    if weather.dark:
        for lamp in scene.lamps:
            part, glow = _bloom(scene, lamp, weather)
            light[part] += glow[..., None] * _vector(lamp.colour)
            if lamp.beam:
                veil[part] += glow
    return _expose(light, weather, scene.camera.width / 640.0, rng), veil


def _surfaces(scene: Scene, weather: Weather, rng: np.random.Generator) -> Floats:
    """Light that leaves the surfaces: reflectance times illumination, plus what shines."""
    sun = np.asarray(scene.sun, dtype=np.float32)
    normals = scene.column(lambda surface: surface.normal)
    albedo = scene.column(lambda surface: surface.albedo)
    mirror = scene.column(lambda surface: surface.mirror)[:, None]
    matt = albedo * (1.0 - mirror)
    # Leaves and clothes are rough: part of the sun's light reaches them from any side.
    facing = np.maximum(np.float32(0.9) * (normals @ sun) + np.float32(0.1), 0)[:, None]
    # The blue of the sky is thinned by light that walls and ground have thrown back.
    diffuse = 0.4 * _vector(weather.sky) + np.float32(0.6 * np.dot(weather.sky, LUMA))
    dome = (0.55 + 0.45 * normals[:, 1:2]) * diffuse
    grain = _relief(scene, rng)[..., None]
    light = scene.resolve(matt * dome) * grain
    if not weather.dark:
        ground = scene.resolve(scene.column(lambda surface: surface.plane == "ground"))
        lit = 1.0 - 0.94 * blur(scene.shadow, 0.8 * scene.camera.width / 640) * ground
        light += scene.resolve(matt * facing * _vector(weather.sun)) * grain * lit[..., None]
    else:
        light += scene.resolve(matt) * grain * _lamplight(scene, weather)
        light += scene.resolve(scene.column(lambda surface: surface.emission))
    light += scene.resolve(mirror * _vector(weather.sky) * np.float32(0.8))
    return light


def _relief(scene: Scene, rng: np.random.Generator) -> Floats:
    """The factor by which texture brightens or darkens each pixel, (H, W), about 1."""
    east, up, ahead = scene.places
    label = scene.nearest
    plane = np.asarray([surface.plane for surface in scene.surfaces])
    texture = np.asarray([surface.texture for surface in scene.surfaces])
    u = np.where((plane == "wall")[label], ahead, east)
    v = np.where((plane == "ground")[label], ahead, up)
    tile = grain_tile(rng)
    # Detail finer than a pixel would alias, so it fades with distance.
    fade = np.minimum(1.0, np.float32(0.02 * scene.camera.width) / ahead)
    pattern = look_up(tile, u, v, CELLS_PER_METRE) * fade
    pattern += np.float32(0.22) * look_up(tile, u, v, CELLS_PER_METRE / 12)
    for name, wide, high, joint in (("brick", 0.5, 0.22, 0.035), ("slabs", 0.9, 0.9, 0.03)):
        course = np.floor(v / np.float32(high))
        along = u / np.float32(wide) + np.float32(0.5) * (course % 2)
        gap = (v / np.float32(high) - course < joint / high) | (along % 1 < joint / wide)
        tone = look_up(tile, np.floor(along) * 37 % 211, course * 53 % 197, 1.7)
        block = np.where(gap, np.float32(1.4), np.float32(0.7) * tone) * fade
        pattern = np.where((texture == name)[label], block + 0.4 * pattern, pattern)
    relief = scene.resolve(scene.column(lambda surface: surface.relief))
    return np.asarray(np.maximum(1.0 + relief * np.clip(pattern, -2.0, 2.0), np.float32(0.1)))


def _lamplight(scene: Scene, weather: Weather) -> Floats:
    """Light of street lamps and headlights on the surfaces, (H, W, 3)."""
    east, up, ahead = scene.places
    normals = scene.column(lambda surface: surface.normal)
    east_facing, up_facing, ahead_facing = (
        normals[:, axis].take(scene.nearest) for axis in range(3)
    )
    powers: dict[Rgb, Floats] = {}
    none = np.float32(0.0)
    for lamp in scene.lamps:
        x, y, z = (np.float32(value) for value in lamp.place)
        dx, dy, dz = x - east, y - up, z - ahead
        square = dx * dx + dy * dy + dz * dz + np.float32(0.3)
        distance = np.sqrt(square)
        cosine = (east_facing * dx + up_facing * dy + ahead_facing * dz) / distance
        lit = np.maximum(np.float32(0.85) * cosine + np.float32(0.15), 0)
        power: Floats = np.float32(lamp.power) * lit / square
        if lamp.beam:
            power *= np.float32(weather.dazzle) * np.clip(dz / distance, 0.0, None) ** 6
        else:
            # A shade keeps the light of a street lamp below it.
            power *= np.clip(dy / distance, 0.0, None)
        powers[lamp.colour] = power + powers.get(lamp.colour, none)
    total = np.zeros((*ahead.shape, 3), dtype=np.float32)
    for colour, together in powers.items():
        total += together[..., None] * _vector(colour)
    return total


def _bloom(scene: Scene, lamp: Lamp, weather: Weather) -> tuple[tuple[slice, slice], Floats]:
    """Light of a lamp that the lens scatters around it: a part of the image, and how much there.

    The part is empty when the lamp is out of sight.
    """
    camera, label = scene.camera, scene.nearest
    column, row = camera.project(*lamp.place)
    top, left = int(row), int(column)
    around = _window(label.shape, top, left, 1)
    seen = [max(scene.surfaces[index].emission) for index in label[around].ravel().tolist()]
    if max(seen, default=0.0) < LAMP_EMISSION:
        return (slice(0), slice(0)), np.zeros((0, 0), dtype=np.float32)
    dazzle = weather.dazzle if lamp.beam else 0.35
    core = (2.5 + 3.0 * dazzle) * camera.width / 640.0 * 12.0 / lamp.place[2]
    part = _window(label.shape, top, left, int(25 * core) + 1)
    dy = np.arange(part[0].start, part[0].stop, dtype=np.float32)[:, None] - np.float32(row)
    dx = np.arange(part[1].start, part[1].stop, dtype=np.float32)[None] - np.float32(column)
    square = (dx * dx + dy * dy) / np.float32(core * core)
    glow = np.float32(0.75 * dazzle**0.5) / (1.0 + square) ** np.float32(1.15)
    # The window's edge must not show, so the tail is made to end there.
    glow *= np.clip(1.0 - square / np.float32(25.0**2), 0.0, None)
    # The blades of the iris draw a faint star around what is very bright.
    ray = np.cos(6.0 * np.arctan2(dy, dx) + np.float32(0.6)) ** 16
    return part, np.asarray(glow * (1.0 + np.float32(0.12) * ray * np.minimum(square, 4.0)))


def _window(shape: tuple[int, ...], row: int, column: int, reach: int) -> tuple[slice, slice]:
    """The part of an image within ``reach`` of a pixel; empty if that lies far outside."""
    rows, columns = (
        slice(min(max(0, at - reach), size), max(0, min(at + reach + 1, size)))
        for at, size in zip((row, column), shape, strict=True)
    )
    return rows, columns


def _sky(scene: Scene, weather: Weather, rng: np.random.Generator) -> Floats:
    """Brightness of the sky relative to its mean: clouds, and paler towards the horizon."""
    height = scene.camera.height
    clouds = cloudy(rng, scene.nearest.shape, coarsest=4, octaves=5)
    rows = np.arange(height, dtype=np.float32)[:, None]
    elevation = np.clip(1.0 - rows / (scene.camera.horizon * height), 0.0, 1.0)
    if weather.dark:
        return np.asarray(1.4 - 0.8 * elevation + 0.1 * clouds, dtype=np.float32)
    return np.asarray(
        1.2 - 0.35 * elevation + 0.22 * np.clip(clouds - 0.3, 0.0, 1.5), dtype=np.float32
    )


def _expose(
    light: Floats, weather: Weather, scale: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Lens blur, white balance, photon and read noise, sRGB encoding."""
    well = np.float32(FULL_WELL[weather.dark])
    for channel in range(3):
        soft = blur(np.ascontiguousarray(light[..., channel]), max(0.35, OPTICS_BLUR * scale))
        light[..., channel] = np.clip(soft * np.float32(weather.tint[channel]), 0.0, 1.0)
    sigma = np.sqrt(light / well + (np.float32(READ_NOISE) / well) ** 2)
    light += sigma * rng.standard_normal(light.shape, dtype=np.float32)
    steps = np.linspace(0.0, 1.0, 4096)
    srgb = np.where(steps <= 0.0031308, 12.92 * steps, 1.055 * steps ** (1 / 2.4) - 0.055)
    curve = np.round(255 * srgb).astype(np.uint8)
    return curve[(np.clip(light, 0.0, 1.0) * np.float32(4095)).astype(np.intp)]


def _vector(colour: Rgb) -> Floats:
    return np.asarray(colour, dtype=np.float32)
