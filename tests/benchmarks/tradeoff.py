"""Draws what a detector sees against what the metrics measure, of all methods of the record."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from fusion_core.reports import published_sets

WIDTH, HEIGHT, MARGIN = 760, 460, 60
ACROSS, UP = (0.62, 1.14), (0.54, 0.96)  # VIF and AP
FRONTIER = ("around-hot", "around-hot-half", "maximum")
LABELLED = "msrs_labelled"


def drawing(record: Mapping[str, Any]) -> str:
    """Return the drawing as SVG: VIF across, AP of people up, on the labelled pairs of MSRS.

    Lines show the two bars, the paper's VIF and the AP on infrared alone; what is right of the one
    and above the other would pass both. The methods made by hand are joined.
    """
    results = record["results"]
    seen = results["detection"][LABELLED]
    points = {
        name: (means[LABELLED]["vif"], seen[name]["person ap50"])
        for name, means in results["means"].items()
    }
    published = next(row for row in published_sets()["msrs"] if row.method == "RefineFuse")
    bars = published.means["vif"], seen["infrared"]["person ap50"]
    joined = " ".join("{:.1f},{:.1f}".format(*_place(*points[name])) for name in FRONTIER)
    parts = [
        *_frame(),
        *_bars(*bars),
        f'<polyline points="{joined}" fill="none" stroke="#999" stroke-dasharray="2 3"/>',
        *(part for name, at in points.items() for part in _point(name, at)),
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _place(vif: float, ap: float) -> tuple[float, float]:
    across = (vif - ACROSS[0]) / (ACROSS[1] - ACROSS[0])
    up = (ap - UP[0]) / (UP[1] - UP[0])
    return MARGIN + across * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)


def _frame() -> list[str]:
    left, bottom = _place(ACROSS[0], UP[0])
    right, top = _place(ACROSS[1], UP[1])
    parts = [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}" fill="none" stroke="black"/>',
        _text(WIDTH / 2, HEIGHT - 15, "VIF, mean over the labelled pairs of MSRS", "middle"),
        _text(8, 24, "AP of people at IoU 0.5, same pairs", "start"),
    ]
    for step in range(7, 12):
        x, y = _place(step / 10, UP[0])
        parts.append(_text(x, y + 18, f"{step / 10:.1f}", "middle"))
    for step in range(6, 10):
        x, y = _place(ACROSS[0], step / 10)
        parts.append(_text(x - 8, y + 4, f"{step / 10:.1f}", "end"))
    return parts


def _bars(vif: float, ap: float) -> list[str]:
    x, y = _place(vif, ap)
    left, bottom = _place(ACROSS[0], UP[0])
    right, top = _place(ACROSS[1], UP[1])
    line = '<path d="{}" stroke="#c33" stroke-dasharray="6 4"/>'
    return [
        line.format(f"M{x:.1f} {bottom:.1f}V{top:.1f}"),
        line.format(f"M{left:.1f} {y:.1f}H{right:.1f}"),
        _text(x + 4, bottom - 6, f"{vif:.3f}, the paper's", "start"),
        _text(left + 6, y - 6, f"{ap:.3f}, infrared alone", "start"),
    ]


def _point(name: str, at: tuple[float, float]) -> list[str]:
    x, y = _place(*at)
    own = name.startswith("refinefuse")
    seed = "seed" in name
    colour = "#1b6" if own else "#36c"
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2.5 if seed else 4.5}" fill="{colour}"/>'
    return [dot] if seed else [dot, _text(x + 7, y + 4, name, "start")]


def _text(x: float, y: float, said: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'
