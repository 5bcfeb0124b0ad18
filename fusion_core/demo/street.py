"""Lays out one street by chance: ground, houses, a skyline, and all that stands between."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from math import cos, pi, radians, sin

import numpy as np

from fusion_core.demo import things
from fusion_core.demo.canvas import Camera, Canvas, Point, Scene, Surface, Vec
from fusion_core.demo.things import BLACK, box, draw_foliage, pick, shade

# Metres from the middle of the road, and how far the street goes.
LANE, PARKED, ROAD, KERB, POSTS, PAVEMENT, FAR = 1.75, 4.0, 5.0, 5.2, 5.5, 7.6, 130.0
FACADES = ((0.3, 0.16, 0.1), (0.42, 0.37, 0.28), (0.48, 0.46, 0.42), (0.3, 0.31, 0.32))
LIGHTS = ((1.0, 0.75, 0.42), (0.92, 1.0, 0.9), (0.9, 0.9, 1.0))


def build_scene(rng: np.random.Generator, height: int, width: int) -> Scene:
    """Draws a street for an image of ``height`` rows and ``width`` columns.

    Every scene holds an oncoming car with its engine running, a pedestrian beside it, and a
    pedestrian further off, so that any weather and any light has something to hide.
    """
    x, y, horizon = rng.uniform(0.3, 2.6), rng.uniform(1.7, 2.3), height * rng.uniform(0.4, 0.47)
    turn, rise = rng.uniform(0.0, 2 * pi), radians(rng.uniform(28.0, 50.0))
    sun = (cos(rise) * sin(turn), sin(rise), cos(rise) * cos(turn))
    canvas = Canvas(Camera(height, width, x, y, horizon, focal=0.8 * width), sun, rng)
    _draw_ground(canvas)
    _draw_skyline(canvas)
    for side in (-1, 1):
        _draw_houses(canvas, side)
    return canvas.finish(_draw_things(canvas))


def _draw_ground(canvas: Canvas) -> None:
    rng = canvas.rng
    up, tone = (0.0, 1.0, 0.0), rng.uniform(0.09, 0.15)
    grass = Surface((0.1, 0.15, 0.05), axis=1, normal=up, relief=0.5, solar=7.0, memory=-2.5)
    road = replace(grass, relief=0.17, solar=13.0, memory=3.5, tags=("road",))
    asphalt = replace(road, albedo=(tone, tone, 1.04 * tone))
    kerb = replace(road, albedo=(0.32, 0.31, 0.3), relief=0.3, solar=10.0, memory=2.0)
    slabs = replace(kerb, albedo=(0.24, 0.23, 0.21), texture="slabs", memory=2.5)
    # Paint lies so thin that it takes the road's warmth; only its emissivity tells it apart.
    paint = replace(asphalt, albedo=(0.55, 0.55, 0.52), relief=0.3, solar=11.0, emissivity=0.92)

    def strip(left: float, right: float, near: float, far: float, surface: Surface) -> None:
        canvas.polygon([(x, 0.0, z) for x, z in box(left, right, near, far)], surface)

    strip(-400.0, 400.0, 0.5, 2000.0, grass)
    for half, surface in ((PAVEMENT, slabs), (KERB, kerb), (ROAD, asphalt)):
        strip(-half, half, 0.5, FAR, surface)
    for _ in range(rng.integers(2, 6)):
        x, z, size = rng.uniform(-4.0, 4.0), rng.uniform(5.0, 30.0), rng.uniform(0.5, 1.6)
        patch = replace(asphalt, albedo=shade(asphalt.albedo, rng.uniform(0.6, 0.85)))
        strip(x - size, x + size, z, z + 3 * size, patch)
    for start in np.arange(rng.uniform(-5.0, 0.0), FAR, 7.0).tolist():
        strip(-0.07, 0.07, start, start + 3.2, paint)
    for edge in (-3.05, 3.05):
        strip(edge - 0.05, edge + 0.05, 0.5, FAR, paint)
    if rng.random() < 0.6:
        crossing = rng.uniform(6.0, 14.0)
        for left in np.arange(-4.6, 4.6, 0.95).tolist():
            strip(left, left + 0.5, crossing, crossing + 3.0, paint)


def _draw_skyline(canvas: Canvas) -> None:
    """Towers and a belt of trees where the street ends."""
    rng = canvas.rng
    for _ in range(rng.integers(2, 6)):
        x, z, half = rng.uniform(-90.0, 90.0), FAR + rng.uniform(20.0, 60.0), rng.uniform(6.0, 12.0)
        high, grey = rng.uniform(15.0, 42.0), rng.uniform(0.25, 0.45)
        tower = Surface((grey, grey, 1.05 * grey), at=z, memory=2.0, tags=("building",))
        glass = replace(tower, albedo=(0.04, 0.05, 0.06), mirror=0.25, emissivity=0.85)
        canvas.upright(x, z, box(-half, half, 0.0, high), tower)
        for floor in np.arange(2.2, high - 2.8, 3.5).tolist():
            canvas.upright(x, z, box(1 - half, half - 1, floor, floor + 1.6), glass)
    for x in np.arange(-110.0, 110.0, 9.0).tolist():
        size = rng.uniform(3.5, 7.5)
        place = (x + rng.uniform(-3.0, 3.0), size * 0.8, FAR + rng.uniform(0.0, 10.0))
        draw_foliage(canvas, place, (6.5, size), (0.07, 0.12, 0.045), leaves=24)


def _draw_houses(canvas: Canvas, side: int) -> None:
    """The houses and gardens along one side (-1 left, 1 right), the farthest first."""
    rng, far = canvas.rng, FAR
    while far > 3.0:
        near = far - rng.uniform(9.0, 20.0)
        if rng.random() < 0.18:
            for z in np.arange(far, max(near, 3.0), -3.0).tolist():
                place = (side * rng.uniform(9.5, 13.0), 1.6, z)
                draw_foliage(canvas, place, (2.2, 2.1), (0.1, 0.16, 0.05), leaves=60)
        else:
            _draw_house(canvas, side, near, far)
        far = near - (rng.uniform(4.0, 12.0) if rng.random() < 0.5 else 0.4)


def _draw_house(canvas: Canvas, side: int, near: float, far: float) -> None:
    """A house with a front along the street and a gable at z = ``near``."""
    rng = canvas.rng
    front = side * (PAVEMENT + rng.uniform(0.2, 1.6))
    back, high = front + side * 12.0, 3.2 * float(rng.integers(2, 6)) + 0.8
    wall = Surface(pick(rng, FACADES), axis=0, at=front, normal=(-side, 0.0, 0.0), solar=11.0)
    wall = replace(wall, relief=0.12, memory=rng.uniform(1.5, 4.0), tags=("building",))
    if wall.albedo[0] > 1.5 * wall.albedo[1]:
        wall = replace(wall, texture="brick", relief=0.35)
    gable = replace(wall, axis=2, at=near, normal=(0.0, 0.0, -1.0))
    roof = box(front, back, near, far)
    canvas.polygon([(x, high, z) for x, z in roof], wall, casts=True)
    for (ax, az), (bx, bz) in pairwise([*roof, roof[0]]):
        face = [(ax, high, az), (bx, high, bz), (bx, 0.0, bz), (ax, 0.0, az)]
        canvas.polygon(face, wall, casts=True)
    _draw_facade(canvas, wall, lambda z, y: (front, y, z), (near, far), high)
    if near > 1.0:
        _draw_facade(canvas, gable, lambda x, y: (front + side * x, y, near), (0.0, 12.0), high)


def _draw_facade(
    canvas: Canvas, wall: Surface, place: Callable[[float, float], Vec], span: Point, high: float
) -> None:
    """A wall with plinth, eaves and windows, some of them lit at night.

    ``place`` makes a world point of metres along the wall, within ``span``, and above the ground.
    """
    (start, end), rng = span, canvas.rng

    def panel(left: float, right: float, low: float, up: float, surface: Surface) -> None:
        canvas.polygon([place(*point) for point in box(left, right, low, up)], surface)

    panel(start, end, 0.0, high, wall)
    panel(start, end, 0.0, 0.5, replace(wall, albedo=shade(wall.albedo, 0.6)))
    panel(start, end, high - 0.35, high, replace(wall, albedo=shade(wall.albedo, 0.75)))
    frame = replace(wall, albedo=(0.5, 0.5, 0.48), texture="grain", relief=0.0)
    pane = replace(frame, albedo=BLACK, emissivity=0.8, solar=3.0, tags=("building", "glass"))
    pitch, mirror = rng.uniform(2.4, 3.4), rng.uniform(0.04, 0.16)
    for floor in np.arange(1.0, high - 2.0, 3.2).tolist():
        for left in np.arange(start + 1.0, end - 1.8, pitch).tolist():
            glass = replace(pane, mirror=mirror, memory=rng.uniform(0.0, 3.0))
            if rng.random() < 0.13:
                glass = replace(glass, emission=shade(pick(rng, LIGHTS), rng.uniform(0.2, 0.8)))
            panel(left - 0.1, left + 1.3, floor - 0.1, floor + 1.6, frame)
            panel(left, left + 0.57, floor, floor + 1.5, glass)
            panel(left + 0.63, left + 1.2, floor, floor + 1.5, glass)


def _draw_things(canvas: Canvas) -> Point:
    """All that stands free, the farthest first; returns the (x, z) of a pedestrian for smoke."""
    rng = canvas.rng
    found: list[tuple[float, float, Callable[[Canvas, float, float], None]]] = []

    def stand(x: float, z: float, draw: Callable[[Canvas, float, float], None]) -> None:
        found.append((z, x, draw))

    def car(x: float, z: float, *, running: bool) -> None:
        stand(x, z, partial(things.draw_car, oncoming=x < 0, running=running))

    meeting = rng.uniform(9.0, 15.0)
    haven = (rng.uniform(-0.4, 2.2), rng.uniform(12.0, 16.0))
    car(-LANE, meeting, running=True)
    beside = (-LANE - rng.uniform(1.5, 2.6), meeting - rng.uniform(0.5, 2.5))
    companions = [(haven[0] + 0.7, haven[1] + 0.4)] * int(rng.integers(2))
    for place in (beside, haven, *companions):
        stand(*place, things.draw_person)
    for _ in range(rng.integers(1, 5)):
        x = rng.choice((-1.0, 1.0)) * rng.uniform(5.6, 7.2)
        stand(x, rng.uniform(7.0, 28.0), things.draw_person)
    for _ in range(rng.integers(1, 4)):
        stand(rng.choice((-POSTS, POSTS)), rng.uniform(8.0, 30.0), things.draw_sign)
    if rng.random() < 0.6:
        car(LANE, rng.uniform(20.0, 34.0), running=True)
    if rng.random() < 0.5:
        car(-LANE, meeting + rng.uniform(14.0, 30.0), running=True)
    for side in (-1, 1):
        for z in np.arange(rng.uniform(5.5, 10.0), 60.0, 6.2).tolist():
            # The kerb stays free where the pedestrian beside the oncoming car stands.
            free = side < 0 and meeting - 8.0 < z < meeting + 1.0
            if rng.random() < 0.5 and not free:
                car(side * PARKED, z, running=rng.random() < 0.15)
        for z in np.arange(rng.uniform(7.0, 13.0), 80.0, rng.uniform(9.0, 14.0)).tolist():
            if rng.random() < 0.7:
                stand(side * rng.uniform(5.7, 6.2), z, things.draw_tree)
    lamp = partial(things.draw_lamp_post, colour=pick(rng, LIGHTS), power=rng.uniform(22.0, 38.0))
    for number, z in enumerate(np.arange(rng.uniform(9.0, 15.0), 75.0, 16.0).tolist()):
        stand(POSTS if number % 2 else -POSTS, z, lamp)
    for z, x, draw in sorted(found, key=lambda thing: -thing[0]):
        draw(canvas, x, z)
    return haven
