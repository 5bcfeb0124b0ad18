"""Tells what of a night left the band in which the nights before it lay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.page.night import Night

BAND_NIGHTS = 14
"""So many nights make the band: two weeks, so that every weekday counts twice."""

LEAST_NIGHTS = 2

# 28 figures are looked at a night: at four standard deviations one in 500 nights is marked though
# nothing changed, at three one in 13.
_DEVIATIONS = 4.0
_OF_NORMAL = 1.4826  # standard deviation of a normal distribution over its median deviation
# Two nights say little of how nights differ, so a shift by less than a quarter of the pairs' own
# standard deviation is never marked.
_OF_PAIRS = 0.25
# Standard errors over that of the mean, for normally distributed pairs.
_ERRORS = {"mean": 1.0, "p05": 2.11, "median": 1.25, "p95": 2.11}


@dataclass(frozen=True)
class Band:
    """Where a figure of a metric may lie.

    Attributes:
        low: Lower end.
        high: Upper end.
        nights: How many nights it is made of.
    """

    low: float
    high: float
    nights: int


@dataclass(frozen=True)
class Departure:
    """A figure of a night that left its band.

    Attributes:
        metric: The metric.
        statistic: ``mean``, ``p05``, ``median`` or ``p95``.
        value: The night's.
        band: The band that it left.
    """

    metric: str
    statistic: str
    value: float
    band: Band

    @property
    def direction(self) -> str:
        """``above`` or ``below``."""
        return "above" if self.value > self.band.high else "below"


def comparable(night: Night, before: Sequence[Night]) -> list[Night]:
    """Return the nights that make a night's band, the newest first.

    Those of the same model and settings, where there are two or more; else all of the same
    definitions of the metrics.

    Args:
        night: The night.
        before: Those before it, the newest first.
    """
    known = [
        one
        for one in before
        if one.is_night and one.succeeded and one.metric_version == night.metric_version
    ]
    same = [one for one in known if _made_of(one) == _made_of(night)]
    return (same if len(same) >= LEAST_NIGHTS else known)[:BAND_NIGHTS]


def bands(night: Night, others: Sequence[Night], metric: str) -> dict[str, Band]:
    """Return the bands of a metric's figures, of those that enough nights tell.

    Args:
        night: The night that is looked at; the fewer pairs it has, the wider they are.
        others: Those that make the band, from ``comparable``.
        metric: The metric.
    """
    deviation = night.metrics.get(metric, {}).get("std") or 0.0
    error = deviation / math.sqrt(max(night.succeeded, 1))
    found = {}
    for statistic, factor in _ERRORS.items():
        values = [own[statistic] for one in others if statistic in (own := one.statistics(metric))]
        if len(values) < LEAST_NIGHTS:
            continue
        middle = median(values)
        between = _OF_NORMAL * median(abs(value - middle) for value in values)
        half = max(_DEVIATIONS * between, _DEVIATIONS * factor * error, _OF_PAIRS * deviation, 1e-9)
        found[statistic] = Band(middle - half, middle + half, len(values))
    return found


def departures(night: Night, before: Sequence[Night]) -> list[Departure]:
    """Return what of a night left the band of those before it.

    Args:
        night: The night.
        before: Those before it, the newest first.
    """
    if not (night.is_night and night.succeeded):
        return []
    others = comparable(night, before)
    return [
        Departure(metric, statistic, value, own[statistic])
        for metric in METRIC_NAMES
        for own in [bands(night, others, metric)]
        for statistic, value in night.statistics(metric).items()
        if statistic in own and not own[statistic].low <= value <= own[statistic].high
    ]


def _made_of(night: Night) -> tuple[str, str]:
    return night.model_hash, night.settings_hash
