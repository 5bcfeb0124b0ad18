"""The page of a night: what was asked, what came of it, and the pairs that are worth a look."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fusion_core.archive.run_figures import Histogram
from fusion_core.archive.schema import STAGES
from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.comparison_table import HEADINGS
from fusion_core.reports.page.band import (
    BAND_NIGHTS,
    bands,
    comparable,
    departures,
)
from fusion_core.reports.page.charts import histogram_chart, share_bars
from fusion_core.reports.page.environment import duration, number, render
from fusion_core.reports.page.footprint_map import Footprint, footprint_map
from fusion_core.reports.page.night import Night
from fusion_core.reports.page.thumbnails import Thumbnail, make_thumbnails
from fusion_core.reports.sheets import ShownPair
from fusion_core.storage.store import Storage

PICTURE_SECONDS = 120.0
"""No pair's pictures are begun after so long: a page is no reason to hold an output for longer."""

MOST_BYTES = 5_000_000
"""A page with pictures in it is no larger."""

_LISTED = 100


@dataclass(frozen=True)
class RunReport:
    """What the page of a night shows.

    Attributes:
        title: Its heading.
        summary: The run's summary.json.
        sentence: What it says in a sentence.
        before: Earlier runs of the output, the newest first.
        differences: How what was asked differs from the night before, in sentences.
        pairs: Pairs to show, each once.
        worst: By metric, places in ``pairs`` of those that scored lowest, the lowest first.
        sample: Places of pairs from all over the run.
        footprints: Of fused scenes.
        scenes: How many fused scenes have one.
        reasons: What failed or is undone by reason, from ``RunRows.reasons``.
    """

    title: str
    summary: Mapping[str, Any]
    sentence: str
    before: tuple[Night, ...] = ()
    differences: tuple[str, ...] | None = None
    pairs: tuple[ShownPair, ...] = ()
    worst: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    sample: tuple[int, ...] = ()
    footprints: tuple[Footprint, ...] = ()
    scenes: int = 0
    reasons: tuple[Mapping[str, Any], ...] = ()


def write_report(
    output: Storage, path: str, report: RunReport, seconds: float = PICTURE_SECONDS
) -> str:
    """Draw the pictures of a night's page, and write the page.

    Args:
        output: Where it goes.
        path: Its path there.
        report: What it shows.
        seconds: No pair's pictures are begun after so long.

    Returns:
        URL of the page.

    Raises:
        StorageError: A store gives no answer, or the page can't be written.
    """
    folder = path.rpartition("/")[0]
    thumbnails = make_thumbnails(output, folder, report.pairs, seconds=seconds)
    page = report_page(report, thumbnails).encode()
    if len(page) > MOST_BYTES:  # the ids alone may be long: the larger pictures have to do
        without = [one and replace(one, data={}) for one in thumbnails]
        page = report_page(report, without).encode()
    output.write(path, page)
    return output.url(path)


def report_page(report: RunReport, thumbnails: Sequence[Thumbnail | None]) -> str:
    """Return the page of a night.

    Args:
        report: What it shows.
        thumbnails: The pictures of its pairs; None for those without.
    """
    summary = report.summary
    night = Night.of_summary(str(summary["run_id"]), summary)
    others = comparable(night, report.before)
    left = departures(night, report.before)
    return render(
        "report.html",
        title=report.title,
        report=report,
        summary=summary,
        night=night,
        request=_request(summary.get("request")),
        counts=_counts(summary),
        rate=night.succeeded / night.seconds if night.seconds > 0 else None,
        stages=_stages(summary.get("stage_seconds", {})),
        charts=[_chart(metric, night, others) for metric in METRIC_NAMES] if night.metrics else [],
        band_nights=len(others),
        most_nights=BAND_NIGHTS,
        left=left,
        headings=HEADINGS,
        cards=_cards(report, thumbnails),
        worst=_worst(report),
        lists=_lists(summary),
        map=footprint_map(report.footprints) if report.footprints else None,
        listed=_LISTED,
        now=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
    )


def _request(found: Any) -> list[tuple[str, str]]:
    """Return what was asked as names and values, nested ones by dotted names."""

    def words(one: Any) -> str:
        return " ".join(map(str, one.values())) if isinstance(one, Mapping) else str(one)

    def flat(value: Any, name: str) -> list[tuple[str, str]]:
        if isinstance(value, Mapping) and value:
            return [
                row
                for key, one in value.items()
                for row in flat(one, f"{name}.{key}" if name else str(key))
            ]
        if isinstance(value, (list, tuple)):
            return [(name, ", ".join(map(words, value)))]
        return [(name, "" if value is None else str(value))]

    return flat(found, "") if isinstance(found, Mapping) and found else []


def _counts(summary: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return the counts of a night: what, how many, and whether that is bad."""
    told = {
        "found": ("pairs found", ""),
        "fused": ("fused", "good"),
        "failed": ("failed", "bad"),
        "undone": ("undone, to be tried again", "bad"),
        "skipped": ("newly archived", ""),
        "unfinished": ("not begun in time", "bad"),
        "done_before": ("done before", ""),
        "older": ("of an earlier image version", ""),
        "known_failed": ("failed before", ""),
        "waiting": ("waiting for another try", ""),
        "over_limit": ("over the limit", ""),
        "retries": ("calls made again", ""),
    }
    always = ("found", "fused", "failed")
    return [
        (text, int(summary.get(name, 0)), kind if summary.get(name) else "")
        for name, (text, kind) in told.items()
        if name in always or summary.get(name)
    ]


def _stages(by_device: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Return the time by stage in total, the hours by kind of machine, and a bar of the shares."""
    total = {
        stage: sum(float(spent.get(stage, 0)) for spent in by_device.values()) for stage in STAGES
    }
    on_gpu = sum(
        float(spent.get("fuse", 0)) for device, spent in by_device.items() if device != "cpu"
    )
    busy = sum(total.values())
    shares = {f"{stage}: {duration(spent)}": spent for stage, spent in total.items()}
    told = ", ".join(shares)
    return {
        "total": total,
        "busy": busy,
        "gpu_hours": on_gpu / 3600,
        "cpu_hours": (busy - on_gpu) / 3600,
        "devices": [device for device in by_device if device],
        "bar": share_bars(shares, f"Time by stage: {told}") if busy else None,
    }


def _chart(metric: str, night: Night, others: Sequence[Night]) -> dict[str, Any]:
    own = bands(night, others, metric)
    values = night.statistics(metric)
    rows = [
        (name, value, own.get(name), name in own and not own[name].low <= value <= own[name].high)
        for name, value in values.items()
    ]
    mean, band = values.get("mean"), own.get("mean")
    label = f"{HEADINGS[metric]} of {night.succeeded:,} pairs: mean {number(mean) or 'undefined'}"
    if band:
        label += f", band of {band.nights} nights {number(band.low)} to {number(band.high)}"
    known: list[Histogram] = [one.histograms[metric] for one in others if metric in one.histograms]
    return {
        "metric": metric,
        "heading": HEADINGS[metric],
        "left": [name for name, *_, out in rows if out],
        "rows": rows,
        "svg": histogram_chart(metric, night.histograms.get(metric), known, mean=mean, label=label),
    }


def _cards(report: RunReport, thumbnails: Sequence[Thumbnail | None]) -> list[dict[str, Any]]:
    return [
        {"place": place, "pair": pair, "thumbnail": thumbnail}
        for place, (pair, thumbnail) in enumerate(zip(report.pairs, thumbnails, strict=True))
    ]


def _worst(report: RunReport) -> list[dict[str, Any]]:
    """Return the lists of worst pairs; a pair that stands in several is shown in the first."""
    seen: set[int] = set()
    lists = []
    groups = [
        *((metric, HEADINGS[metric], places) for metric, places in report.worst.items()),
        ("sample", "Sample", report.sample),
    ]
    for name, heading, places in groups:
        entries = [(place, place not in seen) for place in places]
        seen.update(places)
        lists.append({"name": name, "heading": heading, "entries": entries})
    return lists


def _lists(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    counts = summary.get("counts", {})
    titles = {
        "unpaired": "Unpaired files (no counterpart)",
        "ambiguous": "Ambiguous files (same pair and role)",
        "unmatched": "Unmatched files (belong to no pair)",
        "misaligned": "Misaligned pairs",
        "remarks": "Remarks",
    }
    return [
        {
            "name": name,
            "title": title,
            "names": summary[name],
            "count": counts.get(name, len(summary[name])),
        }
        for name, title in titles.items()
        if summary.get(name)
    ]
