"""The conventions: which definition of a metric is meant, where the field is split."""

from __future__ import annotations

from typing import Literal, get_args

from fusion_core.errors import MetricError

Convention = Literal["published", "textbook"]
"""``published``: what reproduces the tables of fusion papers; ``textbook``: what the papers that
introduced the metrics define. Where the two differ, the metric's own documentation says how."""

METRIC_NAMES = ("vif", "ag", "scd", "qabf", "sf", "en", "ssim")
"""The metrics, in the order of the published tables."""

METRIC_VERSIONS: dict[Convention, str] = {"published": "published-1", "textbook": "textbook-1"}
"""Name of each set of definitions: windows, borders, ranges and sums over sources as each metric's
documentation states them. A name changes whenever one of its definitions does, so that values that
carry the same name can be compared."""

METRIC_VERSION = METRIC_VERSIONS["published"]
"""The set that reproduces the published TNO table, and scores what fuse-archive makes."""

VIF_WINDOWS = (17, 9, 5, 3)
"""Side of VIF's Gaussian window at each scale, finest first, in pixels."""


def check_convention(convention: str) -> None:
    """Raise MetricError where there is no such convention."""
    if convention not in get_args(Convention):
        raise MetricError(
            f"found the convention {convention!r}; expected one of {list(get_args(Convention))}"
        )
