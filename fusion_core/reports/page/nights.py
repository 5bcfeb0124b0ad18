"""The list of an output's nights, ``index.html``, and what is kept for it from night to night."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from fusion_core.archive.layout import RUNS_FOLDER
from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.comparison_table import HEADINGS
from fusion_core.reports.page.band import Departure, departures
from fusion_core.reports.page.charts import night_line
from fusion_core.reports.page.environment import number, render, shown
from fusion_core.reports.page.night import Night

MOST_NIGHTS = 400
"""So many of the newest runs are listed: a year of nights, and some."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)

    version: int = 1
    nights: tuple[Night, ...]


def read_kept(body: bytes) -> list[Night]:
    """Return the nights that were kept; none where it can't be read, or is of another version."""
    try:
        kept = _Kept.model_validate_json(body)
    except ValidationError:
        return []
    return list(kept.nights) if kept.version == _Kept.model_fields["version"].default else []


def kept_body(nights: Sequence[Night]) -> bytes:
    """Return what is kept of nights, of the newest of them."""
    return _Kept(nights=tuple(newest(nights))).model_dump_json(exclude_defaults=True).encode()


def newest(nights: Sequence[Night]) -> list[Night]:
    """Return the newest nights, the newest first; ids begin with the moment of the start."""
    by_id = {night.run_id: night for night in nights}
    return [by_id[run_id] for run_id in sorted(by_id, reverse=True)[:MOST_NIGHTS]]


def nights_page(nights: Sequence[Night], folders: Collection[str], title: str) -> str:
    """Return the page that lists the runs of an output.

    Args:
        nights: The runs, in any order.
        folders: Ids of those whose folders are still there; others are no links.
        title: The heading.
    """
    known = newest(nights)
    there = frozenset(folders)
    rows = [
        _row(night, known[place + 1 :], night.run_id in there)
        for place, night in enumerate(known)
        if night.is_night or not night.flow
    ]
    others = [
        _row(night, (), night.run_id in there)
        for night in known
        if night.flow and not night.is_night
    ]
    ended = [row for row in rows if row["night"].is_night]
    return render(
        "nights.html",
        title=title,
        rows=rows,
        others=others,
        lines=_lines(ended[::-1]),
        headings=HEADINGS,
        most=MOST_NIGHTS,
        totals={
            "fused": sum(row["night"].succeeded for row in ended),
            "failed": sum(row["night"].failed for row in ended),
            "seconds": sum(row["night"].seconds for row in ended),
        },
        now=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
    )


def _row(night: Night, before: Sequence[Night], is_there: bool) -> dict[str, Any]:
    left = departures(night, before)
    last = next((one for one in before if one.is_night), None)
    changed = (
        last is not None
        and bool(last.settings_hash)
        and (last.settings_hash, last.model_hash) != (night.settings_hash, night.model_hash)
    )
    return {
        "night": night,
        "when": f"{night.began:%Y-%m-%d %H:%M}" if night.began else shown(night.run_id),
        "link": _link(night) if night.report and is_there else None,
        "left": {one.metric for one in left},
        "changed": changed and night.is_night,
        "marks": [*night.unmet, *_told(left)],
    }


def _link(night: Night) -> str:
    return f"{RUNS_FOLDER}/{quote(night.run_id)}/report.html"


def _told(left: Sequence[Departure]) -> list[str]:
    """Return one mark for each metric that left its band."""
    directions: dict[str, str] = {one.metric: one.direction for one in left}
    return [f"{HEADINGS[metric]} {where} the band" for metric, where in directions.items()]


def _lines(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a line of means for each metric, from the oldest night to the newest."""
    lines = []
    for metric in METRIC_NAMES:
        values = [row["night"].metrics.get(metric, {}).get("mean") for row in rows]
        known = [value for value in values if value is not None]
        if not known:
            continue
        marked = [metric in row["left"] for row in rows]
        label = (
            f"{HEADINGS[metric]}: mean of {len(known)} nights from {number(min(known))} to "
            f"{number(max(known))}, the last {number(known[-1])}; {sum(marked)} left their band"
        )
        svg = night_line(values, marked, label)
        lines.append({"heading": HEADINGS[metric], "last": known[-1], "svg": svg})
    return lines
