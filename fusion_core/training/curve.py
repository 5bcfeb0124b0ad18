"""Draws a training's losses and validation metrics against its steps."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image, ImageDraw, ImageFont

from fusion_core.training.record import TrainingRecord

Points = list[tuple[int, float | None]]
Curves = Mapping[str, Points]

_WIDTH, _PANEL, _TOP, _LEFT, _RIGHT, _BELOW = 900, 300, 48, 76, 150, 44
_COLOURS = ("#1f4e9c", "#d1601f", "#2f7d4f", "#8a3fa0", "#a8871b", "#4b4b4b", "#c2185b", "#1b8a9e")
_FONT_SIZE = 13
_TICKS = 5
_MARKED = 40  # curves of fewer points show each of them, longer ones the last
_METRICS = ("qabf", "ssim", "vif", "scd")


def draw_curve(records: Sequence[TrainingRecord], title: str) -> bytes:
    """Draw the records of a training as a PNG.

    The upper panel has the training loss with its terms and the validation loss; the lower one,
    where there were validations, four of the metrics.

    Args:
        records: Records in their order, at least one.
        title: Heading of the image.
    """
    validations = [(r.step, r.validation) for r in records if r.validation]
    losses: dict[str, Points] = {"loss": [(r.step, r.loss) for r in records]}
    for name in records[0].terms:
        losses[name] = [(r.step, r.terms[name]) for r in records if name in r.terms]
    if validations:
        losses["validation"] = [(step, scores.loss) for step, scores in validations]
    metrics: dict[str, Points] = {
        name.upper(): [(step, scores.metrics[name]) for step, scores in validations]
        for name in _METRICS
    }
    panels = [("loss", losses)] + ([("validation metrics", metrics)] if validations else [])
    image = Image.new("RGB", (_WIDTH, _PANEL * len(panels) + _TOP), "white")
    draw = ImageDraw.Draw(image)
    draw.text((_LEFT, 12), title, fill="black", font=ImageFont.load_default(size=18))
    last = max(record.step for record in records)
    for row, (name, curves) in enumerate(panels):
        _draw_panel(draw, name, curves, top=_TOP + row * _PANEL, last=last)
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


@dataclass(frozen=True)
class _Axes:
    """Turns steps and values into pixels of one panel.

    Attributes:
        top: First row of the panel.
        last: The last step.
        ticks: Round values that span the curves, lowest first.
    """

    top: int
    last: int
    ticks: Sequence[float]

    left: ClassVar[int] = _LEFT
    right: ClassVar[int] = _WIDTH - _RIGHT

    @property
    def upper(self) -> int:
        """Row of the highest tick."""
        return self.top + 20

    @property
    def lower(self) -> int:
        """Row of the lowest tick."""
        return self.top + _PANEL - _BELOW

    def column(self, step: float) -> float:
        """Return where a step lies."""
        return self.left + (self.right - self.left) * step / self.last

    def row(self, value: float) -> float:
        """Return where a value lies."""
        low, high = self.ticks[0], self.ticks[-1]
        return self.lower - (self.lower - self.upper) * (value - low) / (high - low)


def _draw_panel(
    draw: ImageDraw.ImageDraw, name: str, curves: Curves, *, top: int, last: int
) -> None:
    """Draw axes, curves and their names into the panel that begins at row ``top``."""
    drawn = {
        key: [(step, value) for step, value in points if value is not None]
        for key, points in curves.items()
    }
    values = [value for points in drawn.values() for _, value in points] or [0.0]
    axes = _Axes(top, last, _ticks(min(values), max(values)))
    _draw_axes(draw, axes, name)
    _draw_curves(draw, axes, drawn)


def _draw_axes(draw: ImageDraw.ImageDraw, axes: _Axes, name: str) -> None:
    font = ImageFont.load_default(size=_FONT_SIZE)
    left, right, lower = axes.left, axes.right, axes.lower
    for tick in axes.ticks:
        y = axes.row(tick)
        draw.line([(left, y), (right, y)], fill="#e0e0e0")
        draw.text((left - 8, y), f"{tick:.4g}", fill="black", font=font, anchor="rm")
    for tick in _ticks(0, axes.last):
        if tick <= axes.last:
            x = axes.column(tick)
            draw.line([(x, lower), (x, lower + 4)], fill="black")
            draw.text((x, lower + 7), f"{tick:g}", fill="black", font=font, anchor="mt")
    draw.line([(left, axes.upper), (left, lower), (right, lower)], fill="black")
    draw.text((left, axes.top), name, fill="black", font=font)
    draw.text((right, lower + 24), "steps", fill="black", font=font, anchor="rt")


def _draw_curves(
    draw: ImageDraw.ImageDraw, axes: _Axes, curves: Mapping[str, Sequence[tuple[int, float]]]
) -> None:
    """Draw each curve, and its name at its colour right of the axes."""
    font, right = ImageFont.load_default(size=_FONT_SIZE), axes.right
    for index, (key, points) in enumerate(curves.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        path = [(axes.column(step), axes.row(value)) for step, value in points]
        draw.line(path, fill=colour, width=2)
        for x, y in path if len(path) < _MARKED else path[-1:]:
            draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=colour)
        y = axes.upper + 22 * index
        draw.line([(right + 14, y + 7), (right + 34, y + 7)], fill=colour, width=3)
        draw.text((right + 40, y), key, fill="black", font=font)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers, at least two, that span ``low`` to ``high``.

    Their distance is 1, 2 or 5 times a power of ten.
    """
    span = (high - low) or abs(high) or 1.0
    rough = span / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough * (1 - 1e-9))
    first, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, max(end, first + 1) + 1)]
