"""The bins that histograms of the metrics have, the same every night so that nights compare."""

from __future__ import annotations

BINS_VERSION = 1
"""Raised when an edge changes; histograms of another version are not compared."""


def _even(low: float, high: float, count: int) -> tuple[float, ...]:
    return tuple(round(low + k * (high - low) / count, 9) for k in range(count + 1))


def _doubling(low: float, doublings: int) -> tuple[float, ...]:
    """Return edges of which every fourth is twice as large: for what has no upper end."""
    return tuple(round(low * 2 ** (k / 4), 9) for k in range(4 * doublings + 1))


BIN_EDGES: dict[str, tuple[float, ...]] = {
    "vif": _even(0.0, 2.0, 40),
    "ag": _doubling(0.25, 8),
    "scd": _even(-2.0, 2.0, 40),
    "qabf": _even(0.0, 1.0, 40),
    "sf": _doubling(0.5, 8),
    "en": _even(0.0, 8.0, 40),
    "ssim": _even(-0.5, 1.5, 40),
}
"""By metric the edges of its bins, rising; what lies beyond counts in the first or last bin."""
