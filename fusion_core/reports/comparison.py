"""Compares fusion methods by the means of their scores, over the same pairs for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.metrics import METRIC_NAMES

DIGITS = 4
"""Decimals of a printed mean. Means that are printed alike share a rank, so that no table shows two
equal numbers of which one is better."""

_COUNTED = ("method", *METRIC_NAMES)


@dataclass(frozen=True)
class Comparison:
    """The mean scores of several methods over the same pairs.

    Attributes:
        methods: Their names, in the order of the table.
        images: By method, the number of its images with an ok row.
        pairs: Number of pairs that every compared method has an ok row of.
        counts: By metric, the number of those pairs where it is defined for every method; its
            means are over them.
        means: By method and metric; None where there is nothing to take the mean of.
        metric_version: Version of the metrics' definitions.
    """

    methods: tuple[str, ...]
    images: dict[str, int]
    pairs: int
    counts: dict[str, int]
    means: dict[str, dict[str, float | None]]
    metric_version: str

    def ranks(self, metric: str) -> dict[str, int | None]:
        """Return each method's rank by a metric: 1 has the highest mean, equal means share one."""
        printed = {
            method: None if (mean := self.means[method][metric]) is None else round(mean, DIGITS)
            for method in self.methods
        }
        present = [mean for mean in printed.values() if mean is not None]
        return {
            method: None if mean is None else 1 + sum(other > mean for other in present)
            for method, mean in printed.items()
        }

    def mean_ranks(self) -> dict[str, float | None]:
        """Return each method's mean rank over the metrics that rank it."""
        by_metric = [self.ranks(metric) for metric in METRIC_NAMES]
        found = {
            method: [rank for ranks in by_metric if (rank := ranks[method]) is not None]
            for method in self.methods
        }
        return {
            method: sum(ranks) / len(ranks) if ranks else None for method, ranks in found.items()
        }


def compare(rows: pa.Table, methods: Sequence[str], metric_version: str) -> Comparison:
    """Compare methods over the pairs that all of them have.

    A method without any ok row is not compared, since it would leave no pair to the others.

    Args:
        rows: One row per method and pair: ``method``, ``pair_id``, ``status`` and the metrics.
        methods: Their names, in the order of the table.
        metric_version: Version of the definitions that the rows' scores follow.
    """
    rows = rows.filter(pc.is_in(rows["method"], value_set=pa.array(methods, pa.string())))
    ok = rows.filter(pc.equal(rows["status"], "ok"))
    images = {name: int(pc.sum(pc.equal(ok["method"], name)).as_py() or 0) for name in methods}
    compared = sum(count > 0 for count in images.values())
    # Counts leave nulls out, so they tell of each pair how many methods have a value.
    of_pair = ok.group_by("pair_id").aggregate([(name, "count") for name in _COUNTED])
    means: dict[str, dict[str, float | None]] = {name: {} for name in methods}
    counts = {}
    for metric in METRIC_NAMES:
        common = of_pair.filter(pc.equal(of_pair[f"{metric}_count"], compared))["pair_id"]
        counts[metric] = len(common)
        same = ok.filter(pc.is_in(ok["pair_id"], value_set=common.combine_chunks()))
        for name in methods:
            values = same.filter(pc.equal(same["method"], name))[metric]
            means[name][metric] = pc.mean(values).as_py()
    pairs = pc.sum(pc.equal(of_pair["method_count"], compared)).as_py() or 0
    return Comparison(
        methods=tuple(methods),
        images=images,
        pairs=int(pairs),
        counts=counts,
        means=means,
        metric_version=metric_version,
    )
