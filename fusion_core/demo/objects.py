"""Draws the things of a synthetic street: people, trees, lamp posts and signs.

Each function that draws a whole thing returns the lights that it carries, mostly none.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fusion_core.demo.canvas import Canvas, Rgb, Surface
from fusion_core.demo.view import Lamp

Point = tuple[float, float]

SKIN: tuple[Rgb, ...] = ((0.45, 0.28, 0.2), (0.3, 0.18, 0.12), (0.12, 0.07, 0.05))
COATS: tuple[Rgb, ...] = (
    (0.04, 0.045, 0.06),
    (0.06, 0.05, 0.045),
    (0.03, 0.06, 0.12),
    (0.22, 0.03, 0.03),
    (0.3, 0.28, 0.24),
    (0.05, 0.1, 0.06),
)
TROUSERS: tuple[Rgb, ...] = ((0.03, 0.03, 0.04), (0.04, 0.06, 0.11), (0.12, 0.1, 0.07))
SIGNS: tuple[tuple[Rgb, Rgb], ...] = (
    ((0.5, 0.03, 0.03), (0.75, 0.75, 0.75)),
    ((0.03, 0.1, 0.45), (0.7, 0.7, 0.72)),
    ((0.65, 0.45, 0.03), (0.05, 0.05, 0.05)),
)
TONES = 5


def choose(rng: np.random.Generator, options: Sequence[Rgb]) -> Rgb:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def shade(colour: Rgb, factor: float) -> Rgb:
    """A colour made brighter or darker, kept within [0, 0.95]."""
    red, green, blue = (min(0.95, max(0.0, channel * factor)) for channel in colour)
    return (red, green, blue)


def limb(start: Point, end: Point, wide: float, narrow: float) -> list[Point]:
    """The outline of a tapered bar; ``wide`` and ``narrow`` are half its breadth at the ends."""
    along = np.subtract(end, start)
    across = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
    (ax, ay), (bx, by), (nx, ny) = start, end, across.tolist()
    return [
        (ax + nx * wide, ay + ny * wide),
        (bx + nx * narrow, by + ny * narrow),
        (bx - nx * narrow, by - ny * narrow),
        (ax - nx * wide, ay - ny * wide),
    ]


def draw_person(canvas: Canvas, x: float, z: float, rng: np.random.Generator) -> list[Lamp]:
    """Draws a pedestrian whose feet are at (x, z): skin near 34 degrees, clothes cooler."""
    size = float(rng.uniform(0.92, 1.06))
    stride = float(rng.uniform(-0.26, 0.26))
    swing = float(rng.uniform(0.06, 0.2))
    cloth = Surface(
        albedo=choose(rng, COATS), at=z, texture="grain", relief=0.15, solar=0.0, tags=("person",)
    )
    coat = replace(cloth, celsius=float(rng.uniform(24.0, 27.0)))
    legs = replace(cloth, albedo=choose(rng, TROUSERS), celsius=float(rng.uniform(22.0, 24.5)))
    skin = replace(cloth, albedo=choose(rng, SKIN), celsius=34.0, texture="plain", emissivity=0.98)
    hair = replace(skin, albedo=(0.03, 0.025, 0.02), celsius=28.0)
    shoes = replace(cloth, albedo=(0.03, 0.03, 0.03), celsius=18.0)

    def part(outline: Sequence[Point], surface: Surface) -> None:
        canvas.flat([(right * size, up * size) for right, up in outline], (x, z), surface)

    def ball(right: float, up: float, radius: float, surface: Surface) -> None:
        canvas.disc((x + right * size, up * size, z), radius * size, surface)

    for side, step in ((-1, -stride), (1, stride)):
        knee = (side * 0.09 + 0.6 * step, 0.5)
        foot = (side * 0.09 + step, 0.08)
        part(limb((side * 0.09, 0.95), knee, 0.1, 0.075), legs)
        part(limb(knee, foot, 0.075, 0.055), legs)
        part([(foot[0] - 0.06, 0.0), (foot[0] - 0.05, 0.1), (foot[0] + 0.12, 0.05)], shoes)
        part([(foot[0] - 0.06, 0.0), (foot[0] + 0.12, 0.05), (foot[0] + 0.13, 0.0)], shoes)
        hand = (side * 0.27 - 0.7 * step, 0.86)
        elbow = (side * (0.25 + 0.4 * swing), 1.14)
        part(limb((side * 0.2, 1.42), elbow, 0.07, 0.06), coat)
        part(limb(elbow, hand, 0.06, 0.05), coat)
        ball(*hand, 0.06, skin)
    part(limb((0.0, 1.46), (0.0, 0.88), 0.23, 0.17), coat)
    part(limb((0.0, 1.53), (0.0, 1.46), 0.08, 0.23), coat)
    # A coat is warmest where it lies close to the body.
    warm = replace(coat, celsius=(coat.celsius or 0.0) + 2.0)
    part(limb((0.0, 1.46), (0.0, 1.05), 0.13, 0.07), warm)
    part(limb((0.0, 1.48), (0.0, 1.6), 0.055, 0.055), skin)
    ball(0.0, 1.68, 0.115, hair)
    if rng.random() < 0.7:
        ball(0.0, 1.655, 0.1, skin)
    return []


def draw_foliage(
    canvas: Canvas,
    centre: tuple[float, float, float],
    spread: tuple[float, float],
    rng: np.random.Generator,
    colour: Rgb,
    leaves: int,
) -> None:
    """Draws a clump of leaves: many small discs, the lower ones darker, with gaps between.

    Args:
        canvas: what to draw on.
        centre: world point of the clump's middle.
        spread: half its breadth and half its height in metres.
        rng: source of chance.
        colour: reflectance of a lit leaf.
        leaves: number of discs.
    """
    x, y, z = centre
    surfaces = [
        Surface(
            albedo=shade(colour, 0.35 + 0.9 * tone / (TONES - 1)),
            at=z,
            normal=(0.0, 0.6, -0.8),
            texture="leaves",
            relief=0.6,
            solar=5.0,
            memory=-0.6 + 0.5 * tone / TONES,
            tags=("tree",),
        )
        for tone in range(TONES)
    ]
    angle = rng.uniform(0.0, 2 * np.pi, leaves)
    reach = np.sqrt(rng.random(leaves))
    right, up = np.cos(angle) * reach, np.sin(angle) * reach
    radius = min(spread) * rng.uniform(0.1, 0.26, leaves) * (1.25 - 0.6 * reach)
    towards_sun = 0.65 * up + 0.35 * np.sign(canvas.sun[0]) * right
    tone = np.clip((towards_sun + 1.0) * 0.5 * TONES + rng.normal(0.0, 0.9, leaves), 0, TONES - 1)
    for index in np.argsort(towards_sun + rng.normal(0.0, 0.5, leaves)):
        canvas.disc(
            (x + spread[0] * right[index], max(0.1, y + spread[1] * up[index]), z),
            float(radius[index]),
            surfaces[int(tone[index])],
        )


def draw_tree(canvas: Canvas, x: float, z: float, rng: np.random.Generator) -> list[Lamp]:
    """Draws a street tree whose trunk stands at (x, z)."""
    tall = float(rng.uniform(4.5, 7.5))
    broad = float(rng.uniform(1.5, 2.3))
    trunk = Surface(
        albedo=(0.1, 0.075, 0.055), at=z, texture="grain", relief=0.5, memory=1.5, tags=("tree",)
    )
    lean = float(rng.uniform(-0.2, 0.2))
    canvas.flat(limb((0.0, 0.0), (lean, tall - 1.0), 0.17, 0.09), (x, z), trunk)
    for fork in (-0.6, 0.7):
        canvas.flat(limb((lean / 2, tall * 0.5), (fork, tall), 0.08, 0.03), (x, z), trunk)
    green = (float(rng.uniform(0.07, 0.16)), float(rng.uniform(0.15, 0.22)), 0.05)
    leaves = int(np.clip(2600 / z, 40, 190))
    draw_foliage(canvas, (x + lean, tall, z), (broad, broad * 0.95), rng, green, leaves)
    return []


def draw_lamp_post(canvas: Canvas, x: float, z: float, colour: Rgb, power: float) -> list[Lamp]:
    """Draws a street lamp that leans over the road, and returns its light."""
    steel = Surface(albedo=(0.16, 0.17, 0.17), at=z, emissivity=0.75, memory=1.0, tags=("post",))
    glow = shade(colour, 0.95)
    head = replace(
        steel,
        albedo=(0.5, 0.5, 0.5),
        emission=(9 * glow[0], 9 * glow[1], 9 * glow[2]),
        celsius=30.0,
        tags=("lamp",),
    )
    over = -1.5 if x > 0 else 1.5
    canvas.flat(limb((0.0, 0.0), (0.0, 6.6), 0.09, 0.055), (x, z), steel)
    canvas.flat(limb((0.0, 6.6), (over, 7.0), 0.05, 0.04), (x, z), steel)
    canvas.flat(limb((over * 0.75, 6.9), (over * 1.15, 7.0), 0.07, 0.07), (x, z), head, casts=False)
    return [Lamp((x + over, 6.9, z), colour, power, beam=False)]


def draw_sign(canvas: Canvas, x: float, z: float, rng: np.random.Generator) -> list[Lamp]:
    """Draws a road sign on a post at (x, z)."""
    steel = Surface(albedo=(0.3, 0.3, 0.3), at=z, emissivity=0.7, tags=("post",))
    rim, face = SIGNS[int(rng.integers(len(SIGNS)))]
    plate = replace(steel, albedo=rim, emissivity=0.9, solar=7.0, memory=-1.0, tags=("sign",))
    canvas.flat(limb((0.0, 0.0), (0.0, 2.7), 0.035, 0.035), (x, z), steel)
    if rng.random() < 0.6:
        canvas.disc((x, 2.5, z), 0.34, plate)
        canvas.disc((x, 2.5, z), 0.25, replace(plate, albedo=face), casts=False)
    else:
        canvas.flat([(-0.33, 2.1), (-0.33, 2.8), (0.33, 2.8), (0.33, 2.1)], (x, z), plate)
        inner = [(-0.2, 2.2), (0.0, 2.7), (0.2, 2.2)]
        canvas.flat(inner, (x, z), replace(plate, albedo=face), casts=False)
    return []
