"""The command ``status``: what is at work on an output, what the last run did, what is left."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from flows.desk.opening import ago, began, flow_of, number, open_output
from flows.past_runs import PastRun, past_runs
from flows.summaries.archive import ArchiveSummary
from flows.summaries.base import Summary
from flows.summaries.detect import DetectSummary
from flows.summaries.evaluation import EvaluationSummary
from flows.summaries.listings import plain
from flows.summaries.run import RunSummary
from flows.summaries.score import ScoreSummary
from fusion_core.archive import (
    TABLES,
    LeaseRecord,
    Mark,
    begun_before,
    declared_intents,
    newest_generation,
    publications,
    published_since,
    read_record,
    read_row_groups,
    record_path,
    superseding_since,
)
from fusion_core.storage import Storage, written_at

_KINDS: dict[str, type[ArchiveSummary]] = {
    "fuse-archive": RunSummary,
    "score-archive": ScoreSummary,
    "evaluate": EvaluationSummary,
    "detect-archive": DetectSummary,
}
_LEFT = ("undone", "waiting", "unfinished", "over_limit", "archived")


class LeaseHolder(BaseModel):
    """A run that holds an output: it is at work, or it died and nobody has taken over yet.

    Attributes:
        run_id: The run, or the command that keeps house.
        host: Its machine.
        since: When it began.
        heartbeat: When it last gave a sign of life, by the store's clock; None where unknown.
        alive: Whether that was shorter ago than others wait for one.
        published: Its rows that can be read, by their status.
        commits: Of how many chunks the rows can be read …
        declared: … of so many that it has begun or is about to.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    host: str
    since: dt.datetime | None
    heartbeat: dt.datetime | None
    alive: bool
    published: dict[str, int]
    commits: int
    declared: int


class LastRun(BaseModel):
    """The last run that left a summary.

    Attributes:
        run_id: The run.
        flow: The name of its flow.
        began: When it began.
        sentence: What it did.
        unmet: What wasn't as its settings expect.
        left: How many pairs it left for later, by why.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    flow: str
    began: dt.datetime | None
    sentence: str
    unmet: tuple[str, ...]
    left: dict[str, int]


class Status(Summary):
    """What ``status`` tells of an output.

    Attributes:
        output: Its URL.
        now: When it was looked at.
        holder: Who holds it, if anybody does.
        last: The last run with a summary.
        without_summary: A later run that has ended and left none, for it failed before its end.
        left_open: What was begun and not finished, and what goes on with it.
    """

    output: str
    now: dt.datetime
    holder: LeaseHolder | None
    last: LastRun | None
    without_summary: str | None
    left_open: tuple[str, ...]

    def sentence(self) -> str:
        """Return whether anybody is at work, and what the last run did."""
        if self.holder is None:
            told = "Nobody is at work"
        elif self.holder.alive:
            told = f"{self.holder.run_id} is at work"
        else:
            told = f"{self.holder.run_id} died"
        last = f"; the last run: {self.last.sentence}" if self.last else "; no run has ended yet."
        return plain(told + last)

    def markdown(self) -> str:
        """Return it as people read it."""
        lines = [f"# Status of {plain(self.output)}", "", *self._holder_lines()]
        if self.last is None:
            lines.append("- no run has left a summary yet")
        else:
            when = f", {ago(self.last.began, self.now)}" if self.last.began else ""
            lines.append(f"- last run: {self.last.flow} {self.last.run_id}{when}")
            lines.append(f"- it did: {plain(self.last.sentence)}")
            left = ", ".join(f"{count} {name}" for name, count in self.last.left.items())
            lines.append(f"- left for later: {left or 'nothing'}")
        if self.without_summary:
            lines.append(
                f"- {self.without_summary} ended since and left no summary: it failed before its "
                "end, see its log"
            )
        lines += [f"- left open: {plain(one)}" for one in self.left_open]
        return "\n".join(lines) + "\n"

    def _holder_lines(self) -> list[str]:
        one = self.holder
        if one is None:
            return ["- nobody is at work"]
        beat = f"heartbeat {ago(one.heartbeat, self.now)}" if one.heartbeat else "heartbeat unknown"
        since = f", began {ago(one.since, self.now)}" if one.since else ""
        what = "is at work" if one.alive else "gives no sign of life"
        rows = ", ".join(f"{count} {status}" for status, count in one.published.items())
        return [
            f"- {one.run_id} on {plain(one.host)} {what}{since}, {beat}",
            f"- its rows that can be read: {rows or 'none'}; {one.commits} of {one.declared} "
            "chunks that it has declared so far",
        ]


def status(url: str, block: str | None = None) -> Status:
    """Say what is at work on an output, what the last run did, and what is left.

    Args:
        url: The output's.
        block: Name of the Secret block with its storage options.

    Raises:
        SettingsError: There is nothing at the URL.
        FuseArchiveError: The store failed, or the credentials can't be had.
    """
    output, now = open_output(url, block), dt.datetime.now(dt.UTC)
    generation = newest_generation(output)
    record = read_record(output, generation) if generation else None
    holder = None
    if record is not None and not record.released:
        holder = _holder(output, generation, record, now)
    last = next(past_runs(output), None)
    return Status(
        output=output.url(""),
        now=now,
        holder=holder,
        last=_last(last) if last else None,
        without_summary=_without_summary(record, last),
        left_open=tuple(_left_open(output, holder)),
    )


def _holder(output: Storage, generation: int, record: LeaseRecord, now: dt.datetime) -> LeaseHolder:
    beat = written_at(output.info(record_path(generation)))
    found: Counter[str] = Counter()
    for table in TABLES:
        groups, _ = published_since(output, Mark(generation=generation), table)
        for rows in read_row_groups(output, groups, ["run_id", "status"]):
            told = zip(rows["run_id"].to_pylist(), rows["status"].to_pylist(), strict=True)
            found.update(status for run_id, status in told if run_id == record.run_id)
    return LeaseHolder(
        run_id=record.run_id,
        host=record.host,
        since=began(record.run_id),
        heartbeat=beat,
        alive=beat is None or (now - beat).total_seconds() <= record.patience,
        published=dict(sorted(found.items())),
        commits=sum(len(one.parts) for _, one in publications(output, generation)),
        declared=sum(map(len, declared_intents(output, generation))),
    )


def _last(run: PastRun) -> LastRun:
    summary, flow = run.summary, flow_of(run.summary)
    unmet = summary.get("unmet")
    left = {name: int(number(summary, name)) for name in _LEFT}
    return LastRun(
        run_id=run.run_id,
        flow=flow,
        began=began(run.run_id),
        sentence=_sentence(flow, summary),
        unmet=tuple(map(str, unmet)) if isinstance(unmet, list) else (),
        left={name: count for name, count in left.items() if count},
    )


def _sentence(flow: str, summary: dict[str, Any]) -> str:
    try:
        return _KINDS[flow].model_validate(summary).sentence()
    except (KeyError, ValidationError):  # of another flow, or another version
        return "its summary can't be read by this version"


def _without_summary(record: LeaseRecord | None, last: PastRun | None) -> str | None:
    """Return the run that ended last, where it left no summary."""
    if record is None or not record.released or began(record.run_id) is None:
        return None
    later = last is None or record.run_id > last.run_id
    return record.run_id if later else None


def _left_open(output: Storage, holder: LeaseHolder | None) -> list[str]:
    found = []
    if holder is not None and not holder.alive:
        found.append(
            f"what {holder.run_id} had begun; the next run closes it, publishes what it committed "
            "and goes on"
        )
    if begun := begun_before(output):
        found.append(f"{len(begun)} pairs half forgotten; `fuse-archive clean --yes` goes on")
    if superseding_since(output):
        found.append("superseded images half removed; `fuse-archive clean --yes` goes on")
    return found
