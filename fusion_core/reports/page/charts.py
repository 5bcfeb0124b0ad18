"""Draws the small charts of the pages as SVG: histograms beside their band, and lines of nights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median

from markupsafe import Markup

from fusion_core.archive.run_figures import Histogram
from fusion_core.metrics.bins import BIN_EDGES, BINS_VERSION

_WIDTH, _HEIGHT, _FLOOR = 360, 132, 108
_LINE_WIDTH, _LINE_HEIGHT = 240, 48
_TICKS = 4


def histogram_chart(
    metric: str,
    own: Histogram | None,
    others: Sequence[Histogram],
    *,
    mean: float | None,
    label: str,
) -> Markup:
    """Draw how a metric is distributed tonight, over the band of the nights before.

    Args:
        metric: The metric.
        own: Tonight's histogram.
        others: Those of the nights before; the band is from the lowest to the highest share of
            each bin, and a line marks their median.
        mean: Tonight's mean, marked.
        label: What the chart says, in words.
    """
    edges = BIN_EDGES[metric]
    known = [_shares(one, len(edges) - 1) for one in others]
    nights = [shares for shares in known if shares]
    tonight = _shares(own, len(edges) - 1) if own else []
    first, end = _occupied([*nights, tonight], len(edges) - 1)
    top = max((share for shares in [*nights, tonight] for share in shares), default=0.0) or 1.0
    step = _WIDTH / (end - first)

    def x(edge: float) -> float:
        return round((edge - first) * step, 1)

    def y(share: float) -> float:
        return round(_FLOOR - share / top * (_FLOOR - 6), 1)

    parts = []
    if nights:
        by_bin = [[shares[k] for shares in nights] for k in range(first, end)]
        upper, lower, middle = (
            [y(kind(values)) for values in by_bin] for kind in (max, min, median)
        )
        parts += [Markup('<path class="band" d="{}"/>').format(_area(upper, lower, step))]
    for k in range(first, end):
        if tonight and tonight[k]:
            high = y(tonight[k])
            parts.append(
                Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}"/>').format(
                    *(round(x(k) + 1, 1), high, round(step - 2, 1), round(_FLOOR - high, 1))
                )
            )
    if nights:
        parts += [Markup('<path class="median" d="{}"/>').format(_steps(middle, step))]
    if mean is not None:
        place = x(min(max(_place(edges, mean), first), end))
        parts.append(Markup('<path class="mean" d="M{0} 0V{1}"/>').format(place, _FLOOR))
    parts.append(_axis(edges[first : end + 1], step))
    return _svg("histogram", (_WIDTH, _HEIGHT), label, parts)


def night_line(values: Sequence[float | None], marked: Sequence[bool], label: str) -> Markup:
    """Draw a figure over the nights, from the oldest to the newest.

    Args:
        values: The figure of each night; None leaves a gap.
        marked: Which nights are marked.
        label: What the line says, in words.
    """
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    span = (high - low) or 1.0
    step = (_LINE_WIDTH - 12) / max(len(values) - 1, 1)
    drawn, parts, begun = [], [], False
    for k, value in enumerate(values):
        if value is None:
            begun = False
            continue
        x = round(6 + k * step, 1)
        y = round(_LINE_HEIGHT - 8 - (value - low) / span * (_LINE_HEIGHT - 16), 1)
        drawn.append(f"{'L' if begun else 'M'}{x} {y}")
        begun = True
        if marked[k] or k == len(values) - 1:
            kind = "left" if marked[k] else "last"
            parts.append(Markup('<circle class="{}" cx="{}" cy="{}" r="4"/>').format(kind, x, y))
    line = Markup('<path class="line" d="{}"/>').format("".join(drawn))
    return _svg("nights", (_LINE_WIDTH, _LINE_HEIGHT), label, [line, *parts])


def share_bars(shares: Mapping[str, float], label: str) -> Markup:
    """Draw shares of a whole as one bar of coloured pieces.

    Args:
        shares: By name; their order is that of the colours.
        label: What the bar says, in words.
    """
    total = sum(shares.values()) or 1.0
    parts, left = [], 0.0
    for k, (name, share) in enumerate(shares.items()):
        width = 360 * share / total
        piece = (
            '<rect class="piece-{}" x="{}" y="0" width="{}" height="18"><title>{}</title></rect>'
        )
        parts.append(Markup(piece).format(k % 6, round(left, 1), round(width, 1), name))
        left += width
    return _svg("shares", (360, 18), label, parts)


def _svg(kind: str, size: tuple[int, int], label: str, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="{}" role="img" aria-label="{}" viewBox="0 0 {} {}"'
        ' preserveAspectRatio="none">{}</svg>'
        if kind == "shares"
        else '<svg class="{}" role="img" aria-label="{}" viewBox="0 0 {} {}">{}</svg>'
    ).format(kind, label, *size, Markup("").join(parts))


def _shares(histogram: Histogram, bins: int) -> list[float]:
    """Return the share of the pairs in each bin; nothing where they can't be compared."""
    total = sum(histogram.counts)
    if len(histogram.counts) != bins or histogram.bins != BINS_VERSION or total <= 0:
        return []
    return [max(count, 0) / total for count in histogram.counts]


def _occupied(all_shares: Sequence[Sequence[float]], bins: int) -> tuple[int, int]:
    """Return the first bin that is drawn, and the one behind the last."""
    used = [k for k in range(bins) if any(shares and shares[k] > 0 for shares in all_shares)]
    if not used:
        return 0, bins
    first, end = max(used[0] - 1, 0), min(used[-1] + 2, bins)
    while end - first < min(8, bins):  # a few broad bars would look like many pairs
        first, end = max(first - 1, 0), min(end + 1, bins)
    return first, end


def _place(edges: Sequence[float], value: float) -> float:
    """Return where a value lies, in bins from the first edge."""
    for k, (low, high) in enumerate(pairwise(edges)):
        if value <= high:
            return k + max(0.0, value - low) / (high - low)
    return float(len(edges) - 1)


def _steps(heights: Sequence[float], step: float) -> str:
    ends = ((round(k * step, 1), round((k + 1) * step, 1), y) for k, y in enumerate(heights))
    return "M" + "L".join(f"{left} {y}L{right} {y}" for left, right, y in ends)


def _area(upper: Sequence[float], lower: Sequence[float], step: float) -> str:
    back = [
        f"{round((k + 1) * step, 1)} {lower[k]}L{round(k * step, 1)} {lower[k]}"
        for k in reversed(range(len(lower)))
    ]
    return f"{_steps(upper, step)}L{'L'.join(back)}Z"


def _axis(edges: Sequence[float], step: float) -> Markup:
    last = len(edges) - 1
    places = sorted({round(k * last / _TICKS) for k in range(_TICKS + 1)})
    parts = [Markup('<path class="axis" d="M0 {0}H{1}"/>').format(_FLOOR, _WIDTH)]
    for k in places:
        anchor = "start" if k == 0 else "end" if k == last else "middle"
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="{}">{:.3g}</text>').format(
                round(k * step, 1), _HEIGHT - 6, anchor, edges[k]
            )
        )
    return Markup("").join(parts)
