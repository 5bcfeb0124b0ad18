"""Draws what stands on a street: people, trees, lamp posts, signs and cars.

Each stands at x metres right of the road's middle and z metres ahead of the camera.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import cos, hypot, pi, sin
from typing import Any

import numpy as np

from fusion_core.demo.canvas import Canvas, Lamp, Point, Rgb, Surface, Vec

SKINS = ((0.45, 0.28, 0.2), (0.3, 0.18, 0.12), (0.12, 0.07, 0.05))
COATS = ((0.04, 0.045, 0.06), (0.03, 0.06, 0.12), (0.22, 0.03, 0.03), (0.3, 0.28, 0.24))
TROUSERS = ((0.03, 0.03, 0.04), (0.04, 0.06, 0.11), (0.12, 0.1, 0.07))
PAINTS = ((0.6, 0.6, 0.62), (0.04, 0.04, 0.045), (0.4, 0.03, 0.03), (0.03, 0.07, 0.28))
SIGNS = ((0.5, 0.03, 0.03), (0.03, 0.1, 0.45), (0.03, 0.25, 0.08))
WHITE, BLACK = (0.7, 0.7, 0.7), (0.03, 0.03, 0.03)
HOT = ("car", "engine")
CIRCLE = [(cos(k * pi / 6), sin(k * pi / 6)) for k in range(12)]
# The outline of a car from nose to tail: metres behind the nose, metres above the ground, and what
# the strip up to the next point is made of.
HULL = (
    *((0.0, 0.3, "paint"), (0.0, 0.76, "bonnet"), (1.2, 0.95, "glass"), (1.95, 1.43, "paint")),
    *((3.2, 1.45, "glass"), (3.95, 0.98, "paint"), (4.3, 0.92, "paint"), (4.3, 0.3, "paint")),
)
BODY = [(along, height) for along, height, _ in HULL if height < 1.2]
CABIN = [(1.2, 0.95), (1.95, 1.43), (3.2, 1.45), (3.95, 0.95)]
FRONT_PANE = [(1.45, 0.98), (2.05, 1.37), (2.5, 1.38), (2.5, 0.98)]
AXLES = (0.75, 3.45)
REAR_PANE = [(2.6, 0.98), (2.6, 1.38), (3.15, 1.38), (3.7, 0.98)]


def shade(colour: Rgb, factor: float) -> Rgb:
    """A colour made brighter or darker."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def pick(rng: np.random.Generator, palette: Sequence[Rgb]) -> Rgb:
    """A colour of the palette, a little brighter or darker."""
    return shade(palette[int(rng.integers(len(palette)))], rng.uniform(0.75, 1.25))


def box(left: float, right: float, low: float, high: float) -> list[Point]:
    """The outline of a rectangle."""
    return [(left, low), (left, high), (right, high), (right, low)]


def ring(x: float, y: float, radius: float) -> list[Point]:
    """The outline of a disc."""
    return [(x + radius * right, y + radius * up) for right, up in CIRCLE]


def bar(start: Point, end: Point, wide: float, narrow: float) -> list[Point]:
    """The outline of a tapered bar; ``wide`` and ``narrow`` are half its breadth at the ends."""
    (ax, ay), (bx, by) = start, end
    length = hypot(bx - ax, by - ay)
    nx, ny = (ay - by) / length, (bx - ax) / length
    first = [(ax + nx * wide, ay + ny * wide), (bx + nx * narrow, by + ny * narrow)]
    return [*first, (bx - nx * narrow, by - ny * narrow), (ax - nx * wide, ay - ny * wide)]


def draw_person(canvas: Canvas, x: float, z: float) -> None:
    """Draws a pedestrian: skin near 34 degrees, clothes cooler."""
    rng = canvas.rng
    size, stride, swing = rng.uniform(0.92, 1.06), rng.uniform(-0.26, 0.26), rng.uniform(0.27, 0.33)
    coat = Surface(
        albedo=pick(rng, COATS), at=z, relief=0.15, solar=0.0, celsius=rng.uniform(24.0, 27.0),
        tags=("person",),
    )  # fmt: skip
    chest = replace(coat, celsius=28.0)  # where the coat lies close to the body
    legs = replace(coat, albedo=pick(rng, TROUSERS), celsius=rng.uniform(22.0, 24.5))
    shoes = replace(legs, albedo=BLACK, celsius=18.0)
    skin = replace(coat, albedo=pick(rng, SKINS), celsius=34.0, relief=0.0)
    hair = replace(skin, albedo=BLACK, celsius=28.0)

    def part(outline: Sequence[Point], surface: Surface) -> None:
        canvas.upright(x, z, [(right * size, up * size) for right, up in outline], surface)

    for side, step in ((-1, -stride), (1, stride)):
        knee, foot = (side * 0.09 + 0.6 * step, 0.5), (side * 0.09 + step, 0.08)
        elbow, hand = (side * swing, 1.14), (side * 0.27 - 0.7 * step, 0.86)
        part(bar((side * 0.09, 0.95), knee, 0.1, 0.075), legs)
        part(bar(knee, foot, 0.075, 0.055), legs)
        part(bar((foot[0] - 0.06, 0.06), (foot[0] + 0.13, 0.03), 0.06, 0.03), shoes)
        part(bar((side * 0.2, 1.42), elbow, 0.07, 0.06), coat)
        part(bar(elbow, hand, 0.06, 0.05), coat)
        part(ring(*hand, 0.06), skin)
    part(bar((0.0, 1.46), (0.0, 0.88), 0.23, 0.17), coat)
    part(bar((0.0, 1.53), (0.0, 1.46), 0.08, 0.23), coat)
    part(bar((0.0, 1.46), (0.0, 1.05), 0.13, 0.07), chest)
    part(bar((0.0, 1.48), (0.0, 1.6), 0.055, 0.055), skin)
    part(ring(0.0, 1.68, 0.115), hair)
    if rng.random() < 0.7:  # the others look away
        part(ring(0.0, 1.655, 0.1), skin)


def draw_foliage(canvas: Canvas, centre: Vec, spread: Point, colour: Rgb, leaves: int) -> None:
    """Draws a clump of leaves: discs with gaps between, darker below and away from the sun.

    ``spread`` is half its breadth and half its height in metres, ``leaves`` the number of discs.
    """
    (x, y, z), rng = centre, canvas.rng
    leaf = Surface(colour, at=z, normal=(0.0, 0.6, -0.8), relief=0.6, solar=5.0, tags=("tree",))
    tones = [
        replace(leaf, albedo=shade(colour, 0.35 + 0.22 * tone), memory=0.1 * tone - 0.6)
        for tone in range(5)
    ]
    angle, reach = rng.uniform(0.0, 2 * pi, leaves), np.sqrt(rng.random(leaves))
    right, up = reach * np.cos(angle), reach * np.sin(angle)
    radius = min(spread) * rng.uniform(0.1, 0.26, leaves) * (1.25 - 0.6 * reach)
    lit = 0.65 * up + 0.35 * np.sign(canvas.sun[0]) * right + rng.normal(0.0, 0.4, leaves)
    height = np.maximum(0.1, y + spread[1] * up)
    # What is lit is drawn last.
    for light, *disc in sorted(np.stack([lit, spread[0] * right, height, radius]).T.tolist()):
        canvas.upright(x, z, ring(*disc), tones[min(4, max(0, int(2.5 * (light + 1.0))))])


def draw_tree(canvas: Canvas, x: float, z: float) -> None:
    """Draws a street tree."""
    rng = canvas.rng
    tall, broad, lean = rng.uniform(4.5, 7.5), rng.uniform(1.5, 2.3), rng.uniform(-0.2, 0.2)
    trunk = Surface((0.1, 0.075, 0.055), at=z, relief=0.5, memory=1.5, tags=("tree",))
    canvas.upright(x, z, bar((0.0, 0.0), (lean, tall - 1.0), 0.17, 0.09), trunk)
    for fork in (-0.6, 0.7):
        canvas.upright(x, z, bar((lean / 2, tall * 0.5), (fork, tall), 0.08, 0.03), trunk)
    green, leaves = (rng.uniform(0.07, 0.16), rng.uniform(0.15, 0.22), 0.05), int(2600 / z)
    draw_foliage(canvas, (x + lean, tall, z), (broad, broad), green, min(190, max(40, leaves)))


def draw_lamp_post(canvas: Canvas, x: float, z: float, colour: Rgb, power: float) -> None:
    """Draws a street lamp that leans over the road."""
    steel = Surface((0.16, 0.17, 0.17), at=z, emissivity=0.75, memory=1.0)
    head = replace(steel, albedo=WHITE, emission=shade(colour, 8.5), celsius=30.0)
    over = -1.5 if x > 0 else 1.5
    canvas.upright(x, z, bar((0.0, 0.0), (0.0, 6.6), 0.09, 0.055), steel)
    canvas.upright(x, z, bar((0.0, 6.6), (over, 7.0), 0.05, 0.04), steel)
    canvas.upright(x, z, bar((over * 0.75, 6.9), (over * 1.15, 7.0), 0.07, 0.07), head)
    canvas.lamps.append(Lamp((x + over, 6.9, z), colour, power, beam=False))


def draw_sign(canvas: Canvas, x: float, z: float) -> None:
    """Draws a sign on a post: a rimmed disc, or a plate with lettering."""
    rng = canvas.rng
    steel = Surface((0.3, 0.3, 0.3), at=z, emissivity=0.7)
    plate = replace(steel, albedo=pick(rng, SIGNS), emissivity=0.9, memory=-1.0, tags=("sign",))
    white = replace(plate, albedo=WHITE)
    parts = [(ring(0.0, 2.5, 0.34), plate), (ring(0.0, 2.5, 0.25), white)]
    if rng.random() < 0.4:
        parts = [(box(-0.45, 0.45, 2.1, 2.8), plate)]
        for line in (2.2, 2.4, 2.6):
            for letter in np.arange(-0.37, rng.uniform(0.1, 0.35), 0.1).tolist():
                parts.append((box(letter, letter + 0.06, line, line + 0.11), white))
    for outline, surface in ((bar((0.0, 0.0), (0.0, 2.7), 0.035, 0.035), steel), *parts):
        canvas.upright(x, z, outline, surface)


def draw_car(canvas: Canvas, x: float, z: float, *, oncoming: bool, running: bool) -> None:
    """Draws a car, a hull swept along its length, whose nearer bumper is at z.

    Where ``oncoming``, that is its nose. A car that is ``running`` has a hot bonnet, tyres and
    exhaust, and its lights are on at night.
    """
    rng = canvas.rng
    paint = Surface(
        albedo=pick(rng, PAINTS), at=z, mirror=0.12, emissivity=0.86, solar=13.0, memory=-1.5,
        tags=("car",),
    )  # fmt: skip
    pane = replace(paint, albedo=BLACK, mirror=0.2, emissivity=0.82, solar=4.0, memory=0.5)
    glass = replace(pane, tags=("car", "glass"))
    dark = replace(paint, albedo=BLACK, mirror=0.0, emissivity=0.95, memory=1.0)
    plate = replace(paint, albedo=WHITE, mirror=0.0)

    def working(surface: Surface, celsius: float, **changes: Any) -> Surface:
        return replace(surface, celsius=celsius, **changes) if running else surface

    def at(along: float, height: float, side: float) -> Vec:
        # The hull grows narrower from the windows' lower edge to the roof.
        half = 0.88 - 0.44 * max(0.0, height - 0.95)
        return x + side * half, height, z + (along if oncoming else 4.3 - along)

    road, warmth = replace(dark, axis=1, at=0.0, tags=("road",)), 8.0 if running else 4.0
    below = replace(road, normal=(0.0, 1.0, 0.0), solar=4.0, memory=warmth)
    tyre = working(dark, 27.0, tags=HOT)
    bonnet = working(paint, rng.uniform(33.0, 40.0), tags=HOT)
    canvas.polygon([at(a, 0.0, side) for a, side in box(0.1, 4.2, -1.0, 1.0)], below)
    for side in (-0.75, 0.75):
        canvas.upright(x, z, box(side - 0.1, side + 0.1, 0.0, 0.4), tyre)
    materials = {"paint": paint, "glass": glass, "bonnet": bonnet}
    strips = list(pairwise(HULL))
    for (a, low, material), (b, high, _) in reversed(strips) if oncoming else strips:
        size = hypot(b - a, high - low)
        rise = (low - high if oncoming else high - low) / size
        skin = replace(materials[material], normal=(0.0, (b - a) / size, rise))
        quad = [at(a, low, -1.0), at(a, low, 1.0), at(b, high, 1.0), at(b, high, -1.0)]
        canvas.polygon(quad, skin, casts=True)
    if abs(x - canvas.camera.x) > 0.88:  # then the camera sees a flank
        side = 1.0 if x < canvas.camera.x else -1.0
        rim = replace(tyre, albedo=(0.35, 0.35, 0.36))
        wheels = [(ring(a, 0.33, r), s) for r, s in ((0.33, tyre), (0.19, rim)) for a in AXLES]
        panes = [(FRONT_PANE, glass), (REAR_PANE, glass)]
        for outline, surface in ((BODY, paint), (CABIN, paint), *panes, *wheels):
            skin = replace(surface, normal=(side, 0.0, 0.0))
            canvas.polygon([at(a, h, side) for a, h in outline], skin, casts=True)
    _draw_bumper(canvas, (x, z), (paint, plate, dark), oncoming=oncoming, running=running)


def _draw_bumper(
    canvas: Canvas,
    at: tuple[float, float],
    skins: tuple[Surface, Surface, Surface],
    *,
    oncoming: bool,
    running: bool,
) -> None:
    """Draws the end of a car that the camera sees: lights, number plate, grille or exhaust.

    Args:
        canvas: What to draw on.
        at: The car's middle and its nearer bumper, x and z.
        skins: Its paint, its number plate, and what is dark and matt.
        oncoming: Whether it is the nose.
        running: Whether grille and exhaust are hot and the lights on.
    """
    (x, z), (paint, plate, dark) = at, skins

    def working(surface: Surface, celsius: float, **changes: Any) -> Surface:
        return replace(surface, celsius=celsius, **changes) if running else surface

    def end(middle: float, half: float, low: float, high: float, surface: Surface) -> None:
        canvas.upright(x, z, box(middle - half, middle + half, low, high), surface)

    end(0.0, 0.86, 0.28, 0.42, dark)
    if oncoming:
        low, apart, half, height = 0.36, 0.68, 0.16, 0.57
        end(0.0, 0.5, 0.45, 0.66, working(dark, 46.0, tags=HOT))
        light = working(replace(plate, memory=0.0), 30.0, emission=(9.0, 8.8, 8.2))
    else:
        low, apart, half, height = 0.52, 0.74, 0.13, 0.7
        end(0.52, 0.1 * running, 0.22, 0.33, working(dark, 70.0, tags=HOT))
        light = working(replace(paint, albedo=(0.35, 0.02, 0.02)), 26.0, emission=(1.6, 0.05, 0.04))
    for middle in (-apart, apart):
        end(middle, half, height, height + 0.15, light)
        if oncoming and running:
            canvas.lamps.append(Lamp((x + middle, 0.65, z), (1.0, 0.97, 0.9), 14.0, beam=True))
    end(0.0, 0.26, low, low + 0.12, plate)
    for letter in np.arange(-0.2, 0.21, 0.08).tolist():
        end(letter, 0.02, low + 0.02, low + 0.1, replace(plate, albedo=BLACK))
