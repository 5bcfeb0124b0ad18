"""Opens an output for a look at it, and tells what its runs are called and when they began."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from flows.credentials import StorageCredentials
from flows.requests import mapping
from fusion_core.errors import SettingsError
from fusion_core.storage import Storage

_RUN_ID = re.compile(r"([0-9]{8}T[0-9]{6}Z)-[0-9a-f]{8}")


def open_output(url: str, block: str | None = None) -> Storage:
    """Return the storage of an output.

    Args:
        url: The output's.
        block: Name of the Secret block with its storage options.

    Raises:
        SettingsError: There is nothing at the URL.
        FuseArchiveError: The store failed, or the credentials can't be had.
    """
    output = Storage(url, StorageCredentials(block))
    if not any(len(batch) for batch in output.list_batches()):
        raise SettingsError(
            f"there is nothing below {output.url('').rstrip('/')}; expected an output of runs. "
            "Check the URL"
        )
    return output


def began(run_id: str) -> dt.datetime | None:
    """Return when a run began, by its id; None where that is no run's."""
    found = _RUN_ID.fullmatch(run_id)
    try:
        return dt.datetime.strptime(f"{found[1]}+0000", "%Y%m%dT%H%M%SZ%z") if found else None
    except ValueError:  # the 31st of February
        return None


def flow_of(summary: Mapping[str, Any]) -> str:
    """Return the name of the flow that a summary is of; ``unknown`` for what none of ours wrote."""
    named = mapping(summary.get("request")).get("flow")
    told = {"fused": "fuse-archive", "scored": "score-archive", "models": "evaluate"}
    told |= {"detected": "detect-archive"}
    return str(named or next((flow for key, flow in told.items() if key in summary), "unknown"))


def number(summary: Mapping[str, Any], name: str) -> float:
    """Return a number of a summary, 0 where it has none: anybody may have written it."""
    value = summary.get(name)
    return value if isinstance(value, (int, float)) else 0


def ago(moment: dt.datetime, now: dt.datetime) -> str:
    """Return how long ago a moment was, as people say it."""
    seconds = max((now - moment).total_seconds(), 0.0)
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
