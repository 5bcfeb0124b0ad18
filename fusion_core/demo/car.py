"""Draws a car of a synthetic street as a hull that is swept along its length."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from fusion_core.demo.canvas import UP, Canvas, Rgb, Surface, Vec
from fusion_core.demo.objects import choose
from fusion_core.demo.view import Lamp

At = Callable[[float, float, float], Vec]  # (along, height, side) of a car to a world point

PAINTS: tuple[Rgb, ...] = (
    (0.62, 0.62, 0.63),
    (0.3, 0.31, 0.33),
    (0.03, 0.03, 0.035),
    (0.4, 0.03, 0.03),
    (0.03, 0.07, 0.28),
    (0.07, 0.12, 0.1),
    (0.5, 0.46, 0.36),
)
HALF_WIDTH = 0.88
ROOF_HALF_WIDTH = 0.66
BELT = 0.95
LENGTH = 4.3
# (metres behind the nose, metres above the ground, what the strip up to the next point is made of)
HULL: tuple[tuple[float, float, str], ...] = (
    (0.0, 0.3, "nose"),
    (0.0, 0.76, "bonnet"),
    (1.2, BELT, "glass"),
    (1.95, 1.43, "paint"),
    (3.2, 1.45, "glass"),
    (3.95, BELT + 0.03, "paint"),
    (LENGTH, 0.92, "paint"),
    (LENGTH, 0.3, "end"),
)


def _half_width(height: float) -> float:
    share = max(0.0, (height - BELT) / (1.45 - BELT))
    return HALF_WIDTH + share * (ROOF_HALF_WIDTH - HALF_WIDTH)


def draw_car(
    canvas: Canvas, x: float, z: float, oncoming: bool, running: bool, rng: np.random.Generator
) -> list[Lamp]:
    """Draws a car whose nearest end is at z and whose middle is at x.

    A running car has a warm bonnet, tyres and exhaust, and its lights are on at night.

    Args:
        canvas: what to draw on.
        x: metres right of the road's middle.
        z: metres from the camera to the nearer bumper.
        oncoming: whether the nose, rather than the tail, is the nearer end.
        running: whether the engine is warm and the lights are lit.
        rng: source of chance.

    Returns:
        The lit headlights that face the camera.
    """
    paint = Surface(
        albedo=choose(rng, PAINTS), at=z, mirror=0.12, emissivity=0.86, solar=13.0, memory=-1.5,
        tags=("car",),
    )  # fmt: skip
    glass = replace(
        paint, albedo=(0.02, 0.025, 0.03), mirror=0.2, emissivity=0.82, solar=4.0, memory=0.5,
        tags=("car", "glass"),
    )  # fmt: skip
    dark = replace(paint, albedo=(0.025, 0.025, 0.025), mirror=0.0, emissivity=0.95, memory=1.0)
    hot = ("car", "engine") if running else ("car",)
    materials = {
        "paint": paint,
        "glass": glass,
        "bonnet": replace(paint, celsius=float(rng.uniform(33, 40)), tags=hot)
        if running
        else paint,
    }
    tyre = replace(dark, celsius=27.0, tags=hot) if running else dark

    def at(along: float, height: float, side: float) -> Vec:
        return (x + side, height, z + (along if oncoming else LENGTH - along))

    below = replace(
        dark, plane="ground", normal=UP, memory=8.0 if running else 4.0, solar=4.0, tags=("road",),
    )  # fmt: skip
    corners = ((0.1, -0.9), (0.1, 0.9), (LENGTH - 0.1, 0.9), (LENGTH - 0.1, -0.9))
    canvas.solid([at(along, 0.0, side) for along, side in corners], below)
    for side in (-0.75, 0.75):
        outline = [(side - 0.1, 0.0), (side - 0.1, 0.4), (side + 0.1, 0.4), (side + 0.1, 0.0)]
        canvas.flat(outline, (x, z + 0.15), tyre)

    strips = list(pairwise(HULL))
    for (start, low, material), (end, high, _) in reversed(strips) if oncoming else strips:
        rise, run = high - low, end - start
        size = float(np.hypot(rise, run))
        forward = -1.0 if oncoming else 1.0
        normal = (0.0, run / size, forward * rise / size)
        a, b = _half_width(low), _half_width(high)
        quad = [at(start, low, -a), at(start, low, a), at(end, high, b), at(end, high, -b)]
        canvas.solid(quad, replace(materials.get(material, paint), normal=normal), casts=True)
    _draw_side(canvas, at, x, paint, glass, tyre)
    return _draw_end(canvas, x, z, oncoming, running, paint, dark, hot)


def _draw_side(
    canvas: Canvas,
    at: At,
    x: float,
    paint: Surface,
    glass: Surface,
    tyre: Surface,
) -> None:
    """The flank that the camera sees, if it sees one."""
    offset = x - canvas.camera.x
    if abs(offset) < HALF_WIDTH:
        return
    side = -1.0 if offset > 0 else 1.0
    flank = replace(paint, normal=(side, 0.0, 0.0))
    # The hull without its cabin: the outline stays below the windows.
    body = [(along, height) for along, height, _ in HULL if height < 1.2]
    canvas.solid([at(a, h, side * HALF_WIDTH) for a, h in body], flank, casts=True)
    cabin = ((1.2, BELT), (1.95, 1.43), (3.2, 1.45), (3.95, BELT))
    canvas.solid([at(a, h, side * _half_width(h)) for a, h in cabin], flank, casts=True)
    pane = replace(glass, normal=(side, 0.0, 0.0))
    for window in (
        ((1.45, BELT + 0.03), (2.05, 1.37), (2.5, 1.38), (2.5, BELT + 0.03)),
        ((2.6, BELT + 0.03), (2.6, 1.38), (3.15, 1.38), (3.7, BELT + 0.03)),
    ):
        canvas.solid([at(a, h, side * _half_width(h)) for a, h in window], pane)
    rim = replace(tyre, albedo=(0.35, 0.35, 0.36))
    for axle in (0.75, 3.45):
        for radius, surface in ((0.33, tyre), (0.19, rim)):
            turns = np.linspace(0.0, 2 * np.pi, 14, endpoint=False)
            canvas.solid(
                [
                    at(axle + radius * float(np.cos(t)), 0.33 + radius * float(np.sin(t)),
                       side * (HALF_WIDTH + 0.01))
                    for t in turns
                ],
                surface,
            )  # fmt: skip


def _draw_end(
    canvas: Canvas,
    x: float,
    z: float,
    oncoming: bool,
    running: bool,
    paint: Surface,
    dark: Surface,
    hot: tuple[str, ...],
) -> list[Lamp]:
    """The bumper, lights and plate of the nearer end."""

    def box(left: float, right: float, low: float, high: float, surface: Surface) -> None:
        outline = [(left, low), (left, high), (right, high), (right, low)]
        canvas.flat(outline, (x, z), replace(surface, at=z), casts=False)

    box(-0.86, 0.86, 0.28, 0.42, dark)
    plate = replace(paint, albedo=(0.7, 0.7, 0.68), mirror=0.0)
    lamps: list[Lamp] = []
    if oncoming:
        grille = replace(dark, celsius=46.0, tags=hot) if running else dark
        box(-0.5, 0.5, 0.45, 0.66, grille)
        box(-0.25, 0.25, 0.36, 0.46, plate)
        light = replace(paint, albedo=(0.6, 0.6, 0.6), mirror=0.1, memory=0.0)
        if running:
            light = replace(light, emission=(9.0, 8.8, 8.2), celsius=30.0)
        for side in (-0.68, 0.68):
            box(side - 0.16, side + 0.16, 0.57, 0.72, light)
            if running:
                lamps.append(Lamp((x + side, 0.65, z), (1.0, 0.97, 0.9), 14.0, beam=True))
    else:
        box(-0.26, 0.26, 0.52, 0.64, plate)
        red = replace(paint, albedo=(0.35, 0.02, 0.02), mirror=0.05)
        if running:
            red = replace(red, emission=(1.6, 0.05, 0.04), celsius=26.0)
            pipe = replace(dark, celsius=70.0, tags=hot)
            box(0.42, 0.62, 0.22, 0.33, pipe)
        for side in (-0.74, 0.74):
            box(side - 0.13, side + 0.13, 0.68, 0.86, red)
    return lamps
