"""Reads the means that papers published, to be shown beside those of a run."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from fusion_core.metrics import METRIC_NAMES

_FILE = "published.csv"


@dataclass(frozen=True)
class PublishedRow:
    """One method's row of a published table.

    Attributes:
        method: The method's name, as printed.
        images: Number of images that the means are over.
        means: By metric, as printed.
        source: Where the row was published.
    """

    method: str
    images: int
    means: Mapping[str, float]
    source: str


@cache
def published_sets() -> Mapping[str, tuple[PublishedRow, ...]]:
    """Return the published rows by the name of their image set, in the order of the data file."""
    text = (resources.files("fusion_core.reports") / _FILE).read_text(encoding="utf-8")
    sets: dict[str, tuple[PublishedRow, ...]] = {}
    for line in csv.DictReader(text.splitlines()):
        means = {metric: float(line[metric]) for metric in METRIC_NAMES}
        row = PublishedRow(line["method"], int(line["images"]), means, line["source"])
        sets[line["set"]] = (*sets.get(line["set"], ()), row)
    return sets
