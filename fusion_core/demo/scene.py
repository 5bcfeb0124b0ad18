"""Lays out one synthetic street: ground, facades, trees, cars and people, all by chance."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from fusion_core.demo.canvas import UP, Camera, Canvas, Rgb, Surface
from fusion_core.demo.car import draw_car
from fusion_core.demo.houses import draw_houses
from fusion_core.demo.objects import (
    choose,
    draw_foliage,
    draw_lamp_post,
    draw_person,
    draw_sign,
    draw_tree,
    limb,
    shade,
)
from fusion_core.demo.view import Lamp, Scene

ROAD = 5.0
KERB = 5.2
PAVEMENT = 7.6
LANE = 1.75
PARKED = 4.0
FAR = 130.0
LAMP_COLOURS: tuple[Rgb, ...] = ((1.0, 0.72, 0.4), (0.92, 1.0, 0.9), (0.85, 0.95, 1.0))


def build_scene(rng: np.random.Generator, height: int, width: int) -> Scene:
    """Draws a street.

    Every scene holds an oncoming car with its engine running, a pedestrian beside it, and a
    pedestrian further off, so that any weather and any light has something to hide.

    Args:
        rng: source of chance.
        height: image height in pixels.
        width: image width in pixels.
    """
    camera = Camera(
        height=height,
        width=width,
        x=float(rng.uniform(0.3, 2.6)),
        y=float(rng.uniform(1.7, 2.3)),
        horizon=float(rng.uniform(0.4, 0.47)),
    )
    azimuth, elevation = rng.uniform(0.0, 2 * np.pi), np.radians(rng.uniform(28.0, 50.0))
    sun = (
        float(np.cos(elevation) * np.sin(azimuth)),
        float(np.sin(elevation)),
        float(np.cos(elevation) * np.cos(azimuth)),
    )
    canvas = Canvas(camera, sun)
    _draw_ground(canvas, rng)
    _draw_skyline(canvas, rng)
    for side in (-1, 1):
        draw_houses(canvas, side, PAVEMENT, FAR, rng)
    lamps, haven = _draw_things(canvas, rng)
    return Scene(
        camera, sun, tuple(canvas.surfaces), canvas.labels(), canvas.shadow(), lamps, haven
    )


def _draw_ground(canvas: Canvas, rng: np.random.Generator) -> None:
    tone = float(rng.uniform(0.09, 0.15))
    grass = Surface(
        albedo=(0.1, 0.15, 0.05), plane="ground", at=0.0, normal=UP, texture="leaves", relief=0.5,
        solar=7.0, memory=-2.5, tags=("grass",),
    )  # fmt: skip
    asphalt = replace(
        grass, albedo=(tone, tone, 1.04 * tone), texture="grain", relief=0.17, solar=13.0,
        memory=3.5, tags=("road",),
    )  # fmt: skip
    slabs = replace(
        asphalt, albedo=(0.24, 0.23, 0.21), texture="slabs", relief=0.3, solar=10.0, memory=2.5
    )
    kerb = replace(slabs, albedo=(0.32, 0.31, 0.3), texture="grain", memory=2.0)
    # Paint lies so thin that it takes the road's warmth; only its emissivity tells it apart.
    paint = replace(asphalt, albedo=(0.55, 0.55, 0.52), relief=0.3, solar=11.0, emissivity=0.92)

    def strip(left: float, right: float, near: float, far: float, surface: Surface) -> None:
        corners = ((left, near), (left, far), (right, far), (right, near))
        canvas.solid([(x, 0.0, z) for x, z in corners], surface)

    strip(-400.0, 400.0, 0.5, 2000.0, grass)
    strip(-PAVEMENT, PAVEMENT, 0.5, FAR, slabs)
    strip(-KERB, KERB, 0.5, FAR, kerb)
    strip(-ROAD, ROAD, 0.5, FAR, asphalt)
    for _ in range(int(rng.integers(2, 6))):
        x, z, size = rng.uniform(-4, 4), rng.uniform(5, 30), rng.uniform(0.5, 1.6)
        patch = replace(asphalt, albedo=shade(asphalt.albedo, float(rng.uniform(0.6, 0.85))))
        strip(x - size, x + size, z, z + 3 * size, patch)
    for start in np.arange(rng.uniform(-5.0, 0.0), FAR, 7.0):
        strip(-0.07, 0.07, start, start + 3.2, paint)
    for edge in (-3.05, 3.05):
        strip(edge - 0.05, edge + 0.05, 0.5, FAR, paint)
    if rng.random() < 0.6:
        crossing = float(rng.uniform(6.0, 14.0))
        for left in np.arange(-4.6, 4.6, 0.95):
            strip(left, left + 0.5, crossing, crossing + 3.0, paint)


def _draw_skyline(canvas: Canvas, rng: np.random.Generator) -> None:
    """Towers and a belt of trees where the street ends."""
    for _ in range(int(rng.integers(2, 6))):
        x, z = float(rng.uniform(-90.0, 90.0)), FAR + float(rng.uniform(20.0, 60.0))
        half, high = float(rng.uniform(6.0, 12.0)), float(rng.uniform(15.0, 42.0))
        grey = float(rng.uniform(0.25, 0.45))
        tower = Surface(albedo=(grey, grey, 1.05 * grey), at=z, memory=2.0, tags=("building",))
        canvas.flat([(-half, 0.0), (-half, high), (half, high), (half, 0.0)], (x, z), tower, False)
        glass = replace(tower, albedo=(0.04, 0.05, 0.06), mirror=0.25, emissivity=0.85)
        for floor in np.arange(3.0, high - 2.0, 3.5):
            canvas.flat(limb((1 - half, floor), (half - 1, floor), 0.8, 0.8), (x, z), glass, False)
    for x in np.arange(-110.0, 110.0, 9.0):
        size = float(rng.uniform(3.5, 7.5))
        place = (float(x + rng.uniform(-3, 3)), size * 0.8, FAR + float(rng.uniform(0, 10)))
        draw_foliage(canvas, place, (6.5, size), rng, (0.07, 0.12, 0.045), 24)


def _draw_things(
    canvas: Canvas, rng: np.random.Generator
) -> tuple[tuple[Lamp, ...], tuple[float, float]]:
    """Everything that stands free, the farthest first; returns the lights and the haven."""
    jobs: list[tuple[float, Callable[[], Sequence[Lamp]]]] = []

    def car(x: float, z: float, oncoming: bool, running: bool) -> None:
        jobs.append((z, partial(draw_car, canvas, x, z, oncoming, running, rng)))

    def stand(draw: Callable[..., Sequence[Lamp]], x: float, z: float) -> None:
        jobs.append((z, partial(draw, canvas, x, z, rng)))

    meeting = float(rng.uniform(9.0, 15.0))
    haven = (float(rng.uniform(-0.4, 2.2)), float(rng.uniform(12.0, 16.0)))
    car(-LANE, meeting, True, True)
    beside = (-LANE - float(rng.uniform(1.5, 2.6)), meeting - float(rng.uniform(0.5, 2.5)))
    stand(draw_person, *beside)
    stand(draw_person, *haven)
    if rng.random() < 0.5:
        stand(draw_person, haven[0] + 0.7, haven[1] + 0.4)
    for _ in range(int(rng.integers(1, 5))):
        stand(draw_person, _either(rng) * float(rng.uniform(5.6, 7.2)), float(rng.uniform(7, 28)))
    if rng.random() < 0.6:
        car(LANE, float(rng.uniform(20.0, 34.0)), False, True)
    if rng.random() < 0.5:
        car(-LANE, meeting + float(rng.uniform(14.0, 30.0)), True, True)
    for side in (-1.0, 1.0):
        for z in np.arange(rng.uniform(5.5, 10.0), 60.0, 6.2).tolist():
            # The kerb stays free where the pedestrian beside the oncoming car stands.
            free = side < 0 and meeting - 8.0 < z < meeting + 1.0
            if rng.random() < 0.5 and not free:
                car(side * PARKED, z, side < 0, bool(rng.random() < 0.15))
        spacing = float(rng.uniform(9.0, 14.0))
        for z in np.arange(rng.uniform(7.0, 13.0), 80.0, spacing).tolist():
            if rng.random() < 0.7:
                stand(draw_tree, side * float(rng.uniform(5.7, 6.2)), z)
    colour, power = choose(rng, LAMP_COLOURS), float(rng.uniform(22.0, 38.0))
    for number, z in enumerate(np.arange(rng.uniform(9.0, 15.0), 75.0, 16.0).tolist()):
        x = 5.45 if number % 2 else -5.45
        jobs.append((z, partial(draw_lamp_post, canvas, x, z, colour, power)))
    for _ in range(int(rng.integers(1, 4))):
        stand(draw_sign, _either(rng) * 5.5, float(rng.uniform(8.0, 30.0)))
    lamps: list[Lamp] = []
    for _, job in sorted(jobs, key=lambda entry: -entry[0]):
        lamps.extend(job())
    return tuple(lamps), haven


def _either(rng: np.random.Generator) -> float:
    return float(rng.choice((-1.0, 1.0)))
