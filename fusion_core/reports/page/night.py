"""What the pages know of an earlier night: a few figures of its summary."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from fusion_core.archive.run_figures import Histogram
from fusion_core.metrics import METRIC_NAMES

FUSING = "fuse-archive"
_FLOWS = (
    *(("fused", FUSING), ("scored", "score-archive"), ("detected", "detect-archive")),
    ("models", "evaluate"),
)
_COUNTS = ("found", "failed", "undone", "skipped", "unfinished", "done_before")

# A summary of hand or of a later version may hold anything; whatever doesn't fit is left out.
_LONGEST = 300


class Night(BaseModel):
    """A run that an output has had, in figures.

    Attributes:
        run_id: The run.
        flow: Its flow; empty where it left no summary.
        succeeded: Pairs that it fused, or images that it scored or looked at.
        found: And further counts, as its summary has them.
        seconds: Its duration.
        metrics: By metric, mean, std, min and max.
        histograms: By metric, how it was distributed.
        metric_version: Names the metrics' definitions.
        settings_hash: Of its settings.
        model_hash: Of its model.
        model: Its model as it was given.
        unmet: Expectations that it broke.
        report: Whether it has a page of its own.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    flow: str = ""
    succeeded: int = 0
    found: int = 0
    failed: int = 0
    undone: int = 0
    skipped: int = 0
    unfinished: int = 0
    done_before: int = 0
    seconds: float = 0.0
    metrics: dict[str, dict[str, float | None]] = {}
    histograms: dict[str, Histogram] = {}
    metric_version: str = ""
    settings_hash: str = ""
    model_hash: str = ""
    model: str = ""
    unmet: tuple[str, ...] = ()
    report: bool = False

    @classmethod
    def of_summary(cls, run_id: str, summary: Mapping[str, Any] | None) -> Self:
        """Return what a summary says of its run, by whatever version it was written.

        Args:
            run_id: The run.
            summary: Its summary.json; None where it left none.
        """
        if summary is None:
            return cls(run_id=run_id)
        flow = next((flow for name, flow in _FLOWS if name in summary), "")
        request = summary.get("request")
        request = request if isinstance(request, dict) else {}
        model = request.get("model")
        model = model if isinstance(model, dict) else {}
        values = {name: summary[name] for name in (*_COUNTS, "seconds") if name in summary}
        known = {
            **values,
            "metrics": _known_metrics(summary.get("metrics")),
            "histograms": _known_metrics(summary.get("histograms")),
            "metric_version": _text(summary.get("metric_version")),
            "settings_hash": _text(request.get("settings_hash")),
            "model_hash": _text(model.get("sha256")),
            "model": _text(model.get("name")),
            "unmet": tuple(_text(one) for one in _listed(summary.get("unmet"))),
            "report": bool(summary.get("report")),
            "succeeded": _succeeded(summary),
        }
        try:
            return cls(run_id=run_id, flow=flow, **known)
        except ValidationError:
            return cls(run_id=run_id, flow=flow)

    @property
    def began(self) -> dt.datetime | None:
        """The moment in its id."""
        try:
            return dt.datetime.strptime(self.run_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        except ValueError:
            return None

    @property
    def is_night(self) -> bool:
        """Whether it was a fusing run that came to its summary."""
        return self.flow == FUSING

    def statistics(self, metric: str) -> dict[str, float]:
        """Return a metric's mean and quantiles, as far as they are known."""
        found = {"mean": self.metrics.get(metric, {}).get("mean")}
        if metric in self.histograms:
            names = ("p05", "median", "p95")
            found |= dict(zip(names, self.histograms[metric].quantiles, strict=False))
        return {name: value for name, value in found.items() if value is not None}


def _succeeded(summary: Mapping[str, Any]) -> Any:
    models = summary.get("models")
    if isinstance(models, dict):
        return sum(one.get("fused", 0) for one in models.values() if isinstance(one, dict))
    done = (summary[name] for name in ("fused", "scored", "detected") if name in summary)
    return next(done, 0)


def _known_metrics(found: Any) -> dict[str, Any]:
    """Return the entries of the seven metrics; means alone, as comparisons have them, are none."""
    if not isinstance(found, dict):
        return {}
    return {name: found[name] for name in METRIC_NAMES if isinstance(found.get(name), dict)}


def _listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _text(found: Any) -> str:
    return found[:_LONGEST] if isinstance(found, str) else ""
