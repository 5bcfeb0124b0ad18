"""The command ``failures``: which pairs failed or are undone, and why."""

from __future__ import annotations

import datetime as dt
from typing import Any

from flows.desk.opening import open_output
from flows.past_runs import past_runs
from flows.summaries.base import Summary
from flows.summaries.listings import plain, table_cell
from fusion_core.archive import MANIFEST_FOLDER, ROWS_ASKED, InVain, Wanted, find_rows
from fusion_core.errors import SettingsError
from fusion_core.storage import Storage, scratch_folder

_LISTED = 50


class Failures(Summary):
    """What failed or is undone in an output, by its newest rows, or in one run.

    Attributes:
        output: URL of the output.
        looked_at: Which rows.
        count: How many pairs, of each method.
        reasons: How many by ``status``, ``stage``, ``cause`` and ``error_type``, the most frequent
            first, each with its ``count`` and the ``example`` of one pair.
        pairs: The first of them by pair id: the last attempt, with its reason.
    """

    output: str
    looked_at: str
    count: int
    reasons: tuple[dict[str, Any], ...]
    pairs: tuple[dict[str, Any], ...]

    def sentence(self) -> str:
        """Return how many there are, and of which reasons."""
        if not self.count:
            return f"Nothing failed or is undone in {self.looked_at}."
        told = (f"{one['count']} {_reason(one)}" for one in self.reasons)
        return plain(f"{self.count} failed or are undone in {self.looked_at}: {', '.join(told)}.")

    def markdown(self) -> str:
        """Return it as people read it."""
        lines = [f"# What failed in {plain(self.output)}", "", self.sentence()]
        if not self.count:
            return "\n".join([*lines, ""])
        lines += ["", "| pairs | status | stage | blamed on | error | such as |"]
        lines += ["| ---: | --- | --- | --- | --- | --- |"]
        for one in self.reasons:
            names = ("count", "status", "stage", "cause", "error_type", "example")
            lines.append(_row(one[name] for name in names))
        lines += ["", "| pair | method | attempt | run | status | reason |"]
        lines += ["| --- | --- | ---: | --- | --- | --- |"]
        for one in self.pairs[:_LISTED]:
            names = ("pair_id", "method", "attempt", "run_id", "status", "error_message")
            lines.append(_row(one[name] for name in names))
        if more := self.count - min(len(self.pairs), _LISTED):
            lines += ["", f"… and {more} more: `--json` lists those that were asked for"]
        return "\n".join(lines) + "\n"


def failures(
    url: str,
    block: str | None = None,
    *,
    run: str | None = None,
    last_days: float | None = None,
    table: str = MANIFEST_FOLDER,
    most: int = 1000,
) -> Failures:
    """List what failed or is undone: by the newest row of each pair, or in one run.

    Args:
        url: The output's.
        block: Name of the Secret block with its storage options.
        run: Id of the run whose attempts are looked at, or ``last``. Default: all runs; a pair
            that failed once and is done since isn't listed then.
        last_days: Only attempts that ended in so many days.
        table: The table.
        most: So many pairs are listed; all are counted.

    Raises:
        SettingsError: There is nothing at the URL, or no such run.
        FuseArchiveError: A file can't be read, the store failed, or the credentials can't be had.
    """
    output = open_output(url, block)
    since = None
    if last_days is not None:
        since = dt.datetime.now(dt.UTC) - dt.timedelta(days=last_days)
    run_id = _run_id(output, run)
    wanted = Wanted(run_id=run_id, since=since)
    with scratch_folder() as folder:
        found = InVain(find_rows(output, table, ROWS_ASKED, wanted), folder, since)
        pairs = found.first(most)
        reasons = found.reasons()
    looked_at = f"the run {run_id}" if run_id else "the newest rows of all pairs"
    return Failures(
        output=output.url(""),
        looked_at=looked_at + (f" of the last {last_days:g} days" if since else ""),
        count=sum(one["count"] for one in reasons),
        reasons=tuple(reasons),
        pairs=tuple(pairs),
    )


def _run_id(output: Storage, run: str | None) -> str | None:
    if run != "last":
        return run
    newest = next(past_runs(output), None)
    if newest is None:
        raise SettingsError(
            f"no run has left a summary in {output.url('')}, so none is the last; expected one. "
            "Leave run out to look at all rows"
        )
    return newest.run_id


def _reason(one: dict[str, Any]) -> str:
    return f"{one['status']} at {one['stage']} ({one['error_type'] or one['cause']})"


def _row(values: Any) -> str:
    cells = ("" if value is None else table_cell(str(value)) for value in values)
    return f"| {' | '.join(cells)} |"
