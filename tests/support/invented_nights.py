"""Summaries of invented nights, as summary.json has them, for the pages."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.archive.run_figures import QUANTILES
from fusion_core.metrics import METRIC_NAMES
from fusion_core.metrics.bins import BIN_EDGES
from fusion_core.reports.page.night import Night

USUAL = {
    "vif": (0.8, 0.12),
    "ag": (4.7, 1.2),
    "scd": (1.6, 0.2),
    "qabf": (0.58, 0.07),
    "sf": (12.0, 3.0),
    "en": (7.1, 0.35),
    "ssim": (0.97, 0.05),
}
"""Mean and standard deviation of each metric."""

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "javascript:alert(3)",
    "\u202egnp.exe\u2066",
    "{{ 7 * 7 }}{% include 'x' %}",
    "]]>--></style></title>&amp;\x00\n\x1b[2J",
    "a/../../b c#d?e=%41",
)
"""Names as an archive may have them."""


def run_id(number: int) -> str:
    return f"202611{1 + number:02}T023000Z-{number:08x}"


def histogram_of(metric: str, values: NDArray[np.float64]) -> dict[str, Any]:
    edges = np.array(BIN_EDGES[metric])
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].tolist()
    return {"counts": counts, "quantiles": np.quantile(values, QUANTILES).tolist(), "bins": 1}


def summary_of(number: int, *, shift: float = 0.0, pairs: int = 300, **more: Any) -> dict[str, Any]:
    """Return the summary of a night whose VIF is lower by so many standard deviations."""
    rng = np.random.default_rng(number)
    values = {
        name: rng.normal(mean - shift * deviation * (name == "vif"), deviation, pairs)
        for name, (mean, deviation) in USUAL.items()
    }
    metrics = {
        name: {
            "mean": float(own.mean()),
            "std": float(own.std()),
            "min": float(own.min()),
            "max": float(own.max()),
        }
        for name, own in values.items()
    }
    counts = {"found": pairs + 3, "fused": pairs, "failed": 2, "undone": 1, "done_before": 1203}
    request = {"settings_hash": "057bad97edcb64ca", "model": {"name": "mean", "sha256": "ab" * 32}}
    known = {
        "run_id": run_id(number),
        "output": "s3://out",
        "contact_sheet": None,
        **counts,
        "seconds": 42.0,
        "metrics": metrics,
        "histograms": {name: histogram_of(name, values[name]) for name in METRIC_NAMES},
        "metric_version": "published-1",
        "failures": [],
        "undone_pairs": [],
        "counts": {},
        "stage_seconds": {"cpu": {"read": 1.5, "fuse": 30.0, "score": 8.5}},
        "request": request,
        "report": "s3://out/report.html",
    }
    made: dict[str, Any] = json.loads(json.dumps(known | more))
    return made


def night_of(number: int, **more: Any) -> Night:
    return Night.of_summary(run_id(number), summary_of(number, **more))


def nights(count: int, **more: Any) -> list[Night]:
    """Return the first nights, the newest first."""
    return [night_of(number, **more) for number in reversed(range(count))]
