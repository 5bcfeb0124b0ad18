"""Draws the houses of a synthetic street, with windows, plinths, eaves and gardens."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from fusion_core.demo.canvas import Canvas, Rgb, Surface
from fusion_core.demo.objects import choose, draw_foliage, shade

FACADES: tuple[tuple[Rgb, str], ...] = (
    ((0.27, 0.12, 0.08), "brick"),
    ((0.33, 0.19, 0.12), "brick"),
    ((0.42, 0.37, 0.28), "plain"),
    ((0.52, 0.5, 0.45), "plain"),
    ((0.3, 0.31, 0.32), "slabs"),
)
ROOM_LIGHTS: tuple[Rgb, ...] = ((1.0, 0.75, 0.42), (0.9, 0.95, 0.85), (1.0, 0.88, 0.6))


def draw_houses(
    canvas: Canvas, side: int, clear: float, far: float, rng: np.random.Generator
) -> None:
    """Draws the houses and gardens along one side of a street, the farthest first.

    Args:
        canvas: what to draw on.
        side: -1 for the left side, 1 for the right.
        clear: metres from the street's middle that no house comes nearer than.
        far: metres from the camera to the end of the row.
        rng: source of chance.
    """
    lots: list[tuple[float, float]] = []
    z = float(rng.uniform(-6.0, 4.0))
    while z < far:
        deep = float(rng.uniform(9.0, 20.0))
        lots.append((z, z + deep))
        z += deep + (float(rng.uniform(4.0, 12.0)) if rng.random() < 0.5 else 0.4)
    for near, end in reversed(lots):
        if rng.random() < 0.18:
            for z in np.arange(end, near, -3.0):
                place = (side * float(rng.uniform(9.5, 13.0)), 1.6, max(float(z), 3.0))
                draw_foliage(canvas, place, (2.2, 2.1), rng, (0.1, 0.16, 0.05), 60)
        else:
            _draw_house(canvas, side * (clear + float(rng.uniform(0.2, 1.6))), near, end, rng)


def _draw_house(
    canvas: Canvas, front: float, near: float, far: float, rng: np.random.Generator
) -> None:
    """A house whose front wall is x = ``front``, and whose gable z = ``near`` faces the camera."""
    side = 1 if front > 0 else -1
    back = front + side * 12.0
    high = 3.2 * int(rng.integers(2, 6)) + 0.8
    albedo, pattern = FACADES[int(rng.integers(len(FACADES)))]
    wall = Surface(
        albedo=shade(albedo, float(rng.uniform(0.8, 1.15))), plane="wall", at=front,
        normal=(-float(side), 0.0, 0.0), texture="brick" if pattern == "brick" else "grain",
        relief=0.35 if pattern == "brick" else 0.12, solar=11.0,
        memory=float(rng.uniform(1.5, 4.0)), tags=("building",),
    )  # fmt: skip
    gable = replace(wall, plane="facing", at=near, normal=(0.0, 0.0, -1.0))

    def along(left: float, right: float, low: float, up: float, surface: Surface) -> None:
        corners = ((left, low), (left, up), (right, up), (right, low))
        canvas.solid([(front, y, z) for z, y in corners], surface)

    def across(left: float, right: float, low: float, up: float, surface: Surface) -> None:
        corners = ((left, low), (left, up), (right, up), (right, low))
        canvas.solid([(front + side * x, y, near) for x, y in corners], surface)

    roof = [(front, high, near), (front, high, far), (back, high, far), (back, high, near)]
    for first, second in pairwise([*roof, roof[0]]):
        face = [first, second, (second[0], 0.0, second[2]), (first[0], 0.0, first[2])]
        canvas.solid(face, wall, casts=True)
    canvas.solid(roof, wall, casts=True)
    along(near, far, 0.0, high, wall)
    if near > 1.0:
        across(0.0, 12.0, 0.0, high, gable)
    for panel, surface, end, depth in ((along, wall, far, near), (across, gable, 12.0, 0.0)):
        if panel is across and near <= 1.0:
            continue
        panel(depth, end, 0.0, 0.5, replace(surface, albedo=shade(wall.albedo, 0.6)))
        panel(depth, end, high - 0.35, high, replace(surface, albedo=shade(wall.albedo, 0.75)))
        _draw_windows(panel, surface, (depth + 1.0, end - 1.8), high, rng)


def _draw_windows(
    panel: Callable[[float, float, float, float, Surface], None],
    wall: Surface,
    span: tuple[float, float],
    high: float,
    rng: np.random.Generator,
) -> None:
    """Windows floor by floor; a few rooms are lit at night, and panes mirror the cold sky."""
    frame = replace(wall, albedo=(0.5, 0.5, 0.48), texture="plain", relief=0.0)
    pane = replace(
        frame, albedo=(0.03, 0.035, 0.04), mirror=float(rng.uniform(0.04, 0.16)),
        emissivity=0.8, solar=3.0, memory=1.0, tags=("building", "glass"),
    )  # fmt: skip
    pitch = float(rng.uniform(2.4, 3.4))
    for floor in np.arange(1.0, high - 2.0, 3.2):
        for left in np.arange(*span, pitch):
            glass = replace(pane, memory=0.5 * float(rng.integers(0, 7)))
            if rng.random() < 0.13:
                tint, power = choose(rng, ROOM_LIGHTS), 0.25 * float(rng.integers(1, 4))
                glass = replace(glass, emission=(tint[0] * power, tint[1] * power, tint[2] * power))
            panel(left - 0.1, left + 1.3, floor - 0.1, floor + 1.6, frame)
            panel(left, left + 0.57, floor, floor + 1.5, glass)
            panel(left + 0.63, left + 1.2, floor, floor + 1.5, glass)
