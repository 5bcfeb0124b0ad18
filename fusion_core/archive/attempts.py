"""What the manifest tells of earlier attempts: done, failed for good, or to be tried again, when.

A row that failed is a verdict, and stands. One that is undone blames a worker, a GPU, memory, time
or a store: the next run tries again, and the ones after it with a distance that grows. Columns in,
columns out; no row becomes a Python object.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

ATTEMPT_COLUMNS = ("status", "stage", "attempt", "history", "run_id", "ended")
"""Columns of the manifest that tell of attempts, beside a key."""

FINAL_STAGES = ("decode", "pair", "encode")
"""Stages at which a row of a schema before 5, which names no cause, blames the pair."""

_HIGHEST = 1 << 30  # attempt that a next one can be counted from, whatever a row says
_LONGEST = 20  # doublings of the distance; 2 to the power of 20 hours is for ever


@dataclass(frozen=True)
class Patience:
    """When what is undone is tried again.

    Attributes:
        hours: The distance grows from this: the next run tries at once, the one after it when so
            many hours have passed, then three times, seven times as many. They are counted from
            the ``ended`` of the last attempt, so that clocks may be off by minutes.
        now: The time to count to (UTC).
    """

    hours: float = 0.0
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


def attempts_by_version(rows: pa.Table, key: tuple[str, ...], patience: Patience) -> pa.Table:
    """Fold attempts to one row for each version of a pair's files.

    Args:
        rows: ``key`` and ``ATTEMPT_COLUMNS``, in any order.
        key: The columns that tell one from another.
        patience: When what is undone is tried again.

    Returns:
        ``key``; ``done``: whether an attempt was ok; of the last one, by its number, whether it
        has ``failed`` for good, was ``skipped``, or is undone and ``waiting`` for its time;
        ``tries``: how many ended undone; ``history`` of the last one.
    """
    status, old = rows["status"], pc.is_null(rows["attempt"])
    failed_before = pc.and_(pc.equal(status, "failed"), old)
    blames_pair = pc.is_in(rows["stage"], value_set=pa.array(FINAL_STAGES))
    healed = pc.and_(failed_before, pc.invert(blames_pair))
    undone = pc.or_(pc.equal(status, "undone"), healed)
    at_reading = pc.and_(pc.equal(status, "skipped"), pc.is_valid(rows["stage"]))
    marked = {
        "done": pc.equal(status, "ok"),
        "failed": pc.and_(pc.equal(status, "failed"), pc.invert(healed)),
        "skipped": pc.equal(status, "skipped"),
        "again": pc.or_(undone, at_reading),
        "undone": undone.cast(pa.int32()),
    }
    for name, values in marked.items():
        rows = rows.append_column(name, values)
    table = in_order(rows)
    lasts = ("failed", "skipped", "again", "history", "ended")
    folded = table.group_by(list(key), use_threads=False).aggregate(  # "last" needs the order
        [("done", "max"), ("undone", "sum"), ("run_id", "count_distinct")]
        + [(name, "last", pc.ScalarAggregateOptions(skip_nulls=False)) for name in lasts]
    )
    folded = folded.select(
        [*key, "done_max", "undone_sum", "run_id_count_distinct", *(f"{n}_last" for n in lasts)]
    ).rename_columns([*key, "done", "tries", "runs", *lasts])
    waiting = pc.and_(folded["again"], pc.greater(_due(folded, patience.hours), patience.now))
    return folded.append_column("waiting", waiting).select(
        [*key, "done", "failed", "skipped", "waiting", "tries", "history"]
    )


def last_attempts(rows: pa.Table) -> pa.Table:
    """Return the number of the last attempt by pair id, as ``last_attempt``.

    Args:
        rows: ``pair_id`` and ``attempt``, of any model and settings.
    """
    folded = rows.group_by("pair_id").aggregate([("attempt", "max")])
    last = pc.min_element_wise(folded["attempt_max"], _HIGHEST, skip_nulls=False)
    return pa.table({"pair_id": folded["pair_id"], "last_attempt": last.cast(pa.int32())})


def in_order(rows: pa.Table) -> pa.Table:
    """Sort attempts by their number; those before schema 5 have none, and come first by time."""
    numbered = rows.append_column("number", pc.fill_null(rows["attempt"], 0))
    order = [(name, "ascending") for name in ("number", "ended", "run_id")]
    ordered = numbered.sort_by(order)
    return ordered.drop_columns(["number"])


def _due(folded: pa.Table, hours: float) -> pa.ChunkedArray:
    """Return when each is to be tried again: 0, 1, 3, 7 … times the hours after the last time."""
    doublings = pc.min_element_wise(pc.subtract(folded["runs"], 1), _LONGEST)
    times = pc.subtract(pc.power(2, doublings), 1)
    seconds = pc.multiply(times.cast(pa.float64()), hours * 3600.0)
    return pc.add(folded["ended"], pc.cast(pc.round(seconds), pa.int64()).cast(pa.duration("s")))
