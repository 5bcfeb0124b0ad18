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
_DOUBLINGS = 20  # after so many, the distance stays
_FOR_EVER = 1e6  # hours, a century: what is longer, above all infinite, fits into no date


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
    # The store said so, while its listing didn't.
    at_reading = pc.and_(pc.equal(status, "skipped"), pc.is_valid(rows["stage"]))
    again = pc.or_(undone, at_reading)
    marked = {
        "done": pc.equal(status, "ok"),
        "failed": pc.and_(pc.equal(status, "failed"), pc.invert(healed)),
        "skipped": pc.equal(status, "skipped"),
        "again": again,
        "undone": undone.cast(pa.int32()),
        "run": pc.if_else(again, rows["run_id"], None),
    }
    kept = {name: rows[name] for name in (*key, "history", "ended")}
    table = pa.table(kept | marked).take(_order(rows))
    lasts = ("failed", "skipped", "again", "history", "ended")
    folded = table.group_by(list(key), use_threads=False).aggregate(  # "last" needs the order
        [("done", "max"), ("undone", "sum"), ("run", "count_distinct")]
        + [(name, "last", pc.ScalarAggregateOptions(skip_nulls=False)) for name in lasts]
    )
    folded = folded.select(
        [*key, "done_max", "undone_sum", "run_count_distinct", *(f"{n}_last" for n in lasts)]
    ).rename_columns([*key, "done", "tries", "runs", *lasts])
    waiting = pc.and_(folded["again"], _too_early(folded, patience))
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
    return rows.take(_order(rows))


def _order(rows: pa.Table) -> pa.Array:
    """Return the places of attempts in their order."""
    by = {name: rows[name] for name in ("ended", "run_id")}
    numbered = pa.table({"number": pc.fill_null(rows["attempt"], 0), **by})
    return pc.sort_indices(numbered, [(name, "ascending") for name in numbered.column_names])


def _too_early(folded: pa.Table, patience: Patience) -> pa.ChunkedArray:
    """Tell whether 0, 1, 3, 7 … times the hours after the last attempt are still to come."""
    doublings = pc.max_element_wise(pc.subtract(folded["runs"], 1), 0)
    times = pc.subtract(pc.power(2, pc.min_element_wise(doublings, _DOUBLINGS)), 1)
    hours = pc.multiply(times.cast(pa.float64()), min(patience.hours, _FOR_EVER))
    seconds = pc.round(pc.multiply(pc.min_element_wise(hours, _FOR_EVER), 3600.0))
    due = pc.add(folded["ended"], seconds.cast(pa.int64()).cast(pa.duration("s")))
    # Without a distance no clock is asked: that of the worker may be ahead.
    return pc.and_(pc.greater(seconds, 0), pc.greater(due, patience.now))
