"""The command ``retry``: the settings by which exactly these pairs are run again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import islice
from typing import Any

from pydantic import ValidationError

from flows.desk.opening import flow_of, open_output
from flows.past_runs import past_runs
from flows.requests import HIDDEN, Request, mapping
from fusion_core.archive import MANIFEST_FOLDER, Wanted, find_rows
from fusion_core.errors import SettingsError
from fusion_core.settings import LOOK_BACK, ExpectationSettings, FuseArchiveSettings, in_words
from fusion_core.storage import Storage

_LOOKED_AT = 100  # summaries; a run of this flow is among the first, as a rule
_MOST_DAYS = 366
_NOT_FOR_SOME = ("limit", "date", "dry_run", *ExpectationSettings.model_fields)
"""Settings that say something of a night as a whole, not of some pairs."""

_NOT_BELIEVED = ("ray_address", "credentials_block")
"""Whoever may write to the output may have written its summaries: what they say never leads to
another cluster, which would run code, nor to somebody's credentials."""


def retry(
    url: str, pairs: Sequence[str], block: str | None = None, **changes: Any
) -> FuseArchiveSettings:
    """Return the settings by which a run tries exactly these pairs again, though they failed.

    They are those of the last run that fused, but for what is said of a night as a whole, such as
    limits and expectations, and for cluster and credentials, which have to be named again. Where
    the prefix holds a date, all days since the first attempt at any of the pairs are looked at. A
    pair that is done stays so, unless ``reprocess`` is ``all``.

    Args:
        url: The output's.
        pairs: Ids of the pairs.
        block: Name of the Secret block with the storage options, also of the run.
        changes: Settings that are to be others than those of the last run.

    Raises:
        SettingsError: There is nothing at the URL, no pair was named, a pair has no row, or no run
            has noted its settings.
        FuseArchiveError: A file can't be read, the store failed, or the credentials can't be had.
    """
    ids = tuple(dict.fromkeys(pairs))
    if not ids:
        raise SettingsError("no pair was named; expected ids, as `fuse-archive failures` has them")
    output = open_output(url, block)
    values = dict(mapping(_last_request(output).get("settings")))
    first = _first_attempt(output, ids)
    for name in (*_NOT_FOR_SOME, *_NOT_BELIEVED):
        values.pop(name, None)
    values |= {"output": url, "pairs": ids, "reprocess": "failed"}
    values |= {"credentials_block": block, **changes}
    hidden = [name for name, value in values.items() if HIDDEN in str(value)]
    if hidden:
        raise SettingsError(
            f"the last run's {', '.join(hidden)} had a query, which is noted nowhere; expected the "
            "whole URL. Give it again"
        )
    try:
        settings = FuseArchiveSettings.model_validate(values)
        if settings.prefix_has_date and not {"date", "days"} & changes.keys():
            settings = _looking_back(settings, first)
    except ValidationError as error:
        told = "; ".join(": ".join(filter(None, one)) for one in in_words(error))
        raise SettingsError(
            f"the last run's settings can't be used again: {told}; expected those of a run of this "
            "version. Give what is refused anew"
        ) from error
    return settings


def _last_request(output: Storage) -> Request:
    """Return what the last fusing run was asked for, rather no retry's than one."""
    found: list[Request] = [
        run.request
        for run in islice(past_runs(output), _LOOKED_AT)
        if run.request and flow_of(run.summary) == "fuse-archive"
    ]
    if not found:
        raise SettingsError(
            f"no run of fuse-archive has noted its settings in {output.url('')}; expected a "
            "summary.json with its request, as this version writes it. Use `fuse-archive run` "
            "with --pairs and --reprocess failed"
        )
    return next((one for one in found if not one.get("pairs_asked")), found[0])


def _first_attempt(output: Storage, pairs: tuple[str, ...]) -> dt.date:
    """Return the date of the earliest run that has tried any of the pairs."""
    dates: dict[str, dt.date] = {}
    for rows in find_rows(output, MANIFEST_FOLDER, ["pair_id", "date"], Wanted(pairs=pairs)):
        for row in rows.to_pylist():
            dates[row["pair_id"]] = min(row["date"], dates.get(row["pair_id"], row["date"]))
    if missing := [one for one in pairs if one not in dates]:
        named = ", ".join(map(repr, missing))
        raise SettingsError(
            f"{output.url('')} has no row of {named}; expected ids as the column pair_id of the "
            "manifest has them. `fuse-archive failures` lists those that failed or are undone"
        )
    return min(dates.values())


def _looking_back(settings: FuseArchiveSettings, first: dt.date) -> FuseArchiveSettings:
    """Have as many days looked at as it takes to find what a run of that date has found."""
    today = settings.run_date(dt.datetime.now(dt.UTC))
    days = max((today - first).days, 0) + (settings.days or LOOK_BACK)
    values = settings.model_dump()
    if days > _MOST_DAYS:  # so long ago: as that run did
        return FuseArchiveSettings(**{**values, "date": first})
    return FuseArchiveSettings(**{**values, "days": days})
