"""The command ``runs``: the last runs of an output, and how their settings changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict

from flows.desk.opening import began, flow_of, number, open_output
from flows.past_runs import PastRun, past_runs
from flows.requests import differences, mapping
from flows.summaries.base import Summary
from flows.summaries.listings import plain, table_cell

UNKNOWN = "unknown"
_DONE = ("fused", "scored", "detected")


class RunLine(BaseModel):
    """A run in the table.

    Attributes:
        run_id: The run.
        began: When it began.
        flow: The name of its flow.
        found: Pairs found.
        done: Pairs fused, or images scored or looked at.
        failed: Of them failed for good, likewise.
        undone: Of them undone.
        seconds: How long it took.
        settings_hash: Of its settings; ``unknown`` where its version noted none.
        model: What fused, likewise.
        unmet: How much wasn't as its settings expect.
        changed: What decides pixels and differs from the run before in the table.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    began: dt.datetime | None
    flow: str
    found: int
    done: int
    failed: int
    undone: int
    seconds: float
    settings_hash: str
    model: str
    unmet: int
    changed: tuple[str, ...] = ()


class RunTable(Summary):
    """The last runs of an output, the newest first."""

    output: str
    runs: tuple[RunLine, ...]

    def sentence(self) -> str:
        """Return how many there are, and what the newest did."""
        if not self.runs:
            return "No run has left a summary yet."
        newest = self.runs[0]
        return (
            f"{len(self.runs)} runs; the newest, {newest.run_id}: {newest.found} pairs found, "
            f"{newest.done} done, {newest.failed} failed, {newest.undone} undone."
        )

    def markdown(self) -> str:
        """Return it as people read it."""
        lines = [f"# Runs of {plain(self.output)}", ""]
        if not self.runs:
            return "\n".join([*lines, self.sentence(), ""])
        lines += ["| run | began (UTC) | flow | found | done | failed | undone | s | settings |"]
        lines[-1] += " model |"
        lines += [f"| --- | --- | --- |{' ---: |' * 5} --- | --- |"]
        for one in self.runs:
            when = f"{one.began:%Y-%m-%d %H:%M}" if one.began else UNKNOWN
            counts = (one.found, one.done, one.failed, one.undone, f"{one.seconds:.0f}")
            cells = (one.run_id, when, one.flow, *counts, one.settings_hash[:8], one.model)
            lines.append(f"| {' | '.join(table_cell(str(cell)) for cell in cells)} |")
        changed = [one for one in self.runs if one.changed]
        lines += (
            [
                "",
                *(
                    f"- {one.run_id} differs from the run before: " + plain("; ".join(one.changed))
                    for one in changed
                ),
            ]
            if changed
            else []
        )
        lines += [f"- {one.run_id}: {one.unmet} not as expected" for one in self.runs if one.unmet]
        return "\n".join(lines) + "\n"


def runs(url: str, block: str | None = None, *, last: int = 20) -> RunTable:
    """List the last runs of an output that left a summary.

    Args:
        url: The output's.
        block: Name of the Secret block with its storage options.
        last: So many.

    Raises:
        SettingsError: There is nothing at the URL.
        FuseArchiveError: The store failed, or the credentials can't be had.
    """
    output = open_output(url, block)
    found = list(islice(past_runs(output), last + 1))
    lines = [_line(one, _before(found[place + 1 :], one)) for place, one in enumerate(found)]
    return RunTable(output=output.url(""), runs=tuple(lines[:last]))


def _before(older: list[PastRun], run: PastRun) -> PastRun | None:
    """Return the run before of the same flow."""
    flow = flow_of(run.summary)
    return next((one for one in older if flow_of(one.summary) == flow), None)


def _line(run: PastRun, before: PastRun | None) -> RunLine:
    summary, request = run.summary, run.request or {}
    unmet = summary.get("unmet")
    changed = [] if before is None else differences(before.request, run.request, deciding=True)
    return RunLine(
        run_id=run.run_id,
        began=began(run.run_id),
        flow=flow_of(summary),
        **{name: int(number(summary, name)) for name in ("found", "failed", "undone")},
        done=_done(summary),
        seconds=float(number(summary, "seconds")),
        settings_hash=str(request.get("settings_hash") or UNKNOWN),
        model=_model(request),
        unmet=len(unmet) if isinstance(unmet, list) else 0,
        changed=tuple(changed),
    )


def _done(summary: Mapping[str, Any]) -> int:
    if any(name in summary for name in _DONE):
        return int(sum(number(summary, name) for name in _DONE))
    models = mapping(summary.get("models"))  # of an evaluation
    return int(sum(number(mapping(one), "fused") for one in models.values()))


def _model(request: Mapping[str, Any]) -> str:
    names = [mapping(request.get("model")).get("name"), *mapping(request.get("models"))]
    return ", ".join(str(name) for name in names if name) or UNKNOWN
