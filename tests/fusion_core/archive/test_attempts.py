"""What earlier attempts say of the next one: when it is due, its number, and its past."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_tables import PAIR_COLUMNS, PAIR_KEYS, Tried, at_hour, histories, make_rows

from fusion_core.archive.attempts import (
    ATTEMPT_COLUMNS,
    Patience,
    attempts_by_version,
    in_order,
    last_attempts,
)

KEY = ("a", "v", "v")


def folded(*tried: Tried, hours: float = 0.0, now: float = 0.0) -> dict[str, Any]:
    """What the attempts at one pair amount to."""
    state = attempts_by_version(make_rows(tried), PAIR_COLUMNS, Patience(hours, at_hour(now)))
    (row,) = state.to_pylist()
    assert tuple(row.pop(name) for name in PAIR_COLUMNS) == KEY
    found: dict[str, Any] = row
    return found


def undone(number: int, hour: float = 0, run: str = "r1", stage: str = "fuse") -> Tried:
    return Tried(KEY, "undone", stage, number=number, hour=hour, run=run)


def assert_due(hour: float, *tried: Tried, hours: float) -> None:
    """It waits until this hour, and no longer; where that is 0, it never waits."""
    assert not folded(*tried, hours=hours, now=hour)["waiting"]
    assert folded(*tried, hours=hours, now=hour - 0.01)["waiting"] is (hour > 0)


def test_the_columns_told_of_are_those_of_a_plan() -> None:
    assert {*ATTEMPT_COLUMNS} | {*PAIR_COLUMNS} == {*make_rows([]).column_names}


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (Tried(KEY, "ok", number=2), {"done"}),
        (Tried(KEY, "failed", "decode", number=2), {"failed"}),
        (Tried(KEY, "failed", "fuse", number=2), {"failed"}),
        (Tried(KEY, "undone", "fuse", number=2), {"waiting"}),
        (Tried(KEY, "skipped", number=2), {"skipped"}),
        (Tried(KEY, "skipped", "read", number=2), {"skipped", "waiting"}),
    ],
)
def test_the_last_attempt_decides(last: Tried, said: set[str]) -> None:
    first = undone(1, run="r0")
    state = folded(last, first, hours=1.0, now=-5)
    assert {name for name in ("done", "failed", "skipped", "waiting") if state[name]} == said


def test_a_pair_that_was_ok_once_is_done_whatever_came_later() -> None:
    assert folded(Tried(KEY, "ok", number=1), undone(2))["done"]
    assert folded(Tried(KEY, "ok"), Tried(KEY, "failed", "decode", number=1))["done"]


def test_runs_that_try_again_lie_further_and_further_apart() -> None:
    tried = [undone(1, hour=5, run="r1")]
    assert_due(0, *tried, hours=12.0)  # the next run, even if clocks are off
    for number, factor in ((2, 1), (3, 3), (4, 7), (5, 15)):
        tried.append(undone(number, hour=5 * number, run=f"r{number}"))
        assert_due(5 * number + 12 * factor, *tried, hours=12.0)
        assert_due(0, *tried, hours=0.0)


def test_attempts_of_one_run_count_once_towards_the_distance_and_each_as_a_try() -> None:
    tried = [undone(number, hour=number, run="r1") for number in (1, 2, 3)]
    assert_due(0, *tried, hours=12.0)
    assert folded(*tried)["tries"] == 3
    assert_due(21, *tried, undone(4, hour=9, run="r2"), hours=12.0)


@pytest.mark.parametrize("other", ["ok", "failed", "skipped"])
def test_a_run_with_another_outcome_does_not_grow_the_distance(other: str) -> None:
    """Such as one that found it archived: the first attempt after that is the first."""
    before = Tried(KEY, other, None if other != "failed" else "decode", number=1, run="r1")
    assert_due(0, before, undone(2, hour=5, run="r2"), hours=12.0)


@pytest.mark.parametrize("hours", [12.0, 1e5, 1e300, float("inf")])
def test_any_distance_and_number_of_runs_has_a_date(hours: float) -> None:
    tried = [undone(number, run=f"r{number}") for number in range(1, 71)]
    assert folded(*tried, hours=hours, now=24 * 365 * 100)["waiting"]
    assert not folded(tried[0], hours=hours)["waiting"]
    assert not folded(Tried(KEY, "ok", number=1), hours=hours)["waiting"]


def test_rows_of_older_schemas_that_blame_a_machine_are_tries_without_a_history() -> None:
    old = [Tried(KEY, "failed", "fuse", hour=hour, run=f"r{hour}") for hour in (1, 2)]
    state = folded(*old, hours=12.0, now=3)
    assert state == {
        **{"done": False, "failed": False, "skipped": False},
        **{"waiting": True, "tries": 2, "history": None},
    }
    verdict = Tried(KEY, "failed", "decode", hour=3)
    assert (folded(*old, verdict)["failed"], folded(*old, verdict)["tries"]) == (True, 2)


def test_the_history_is_that_of_the_last_attempt_if_it_has_one() -> None:
    tried = [undone(1, run="r1"), undone(2, run="r2")]
    assert folded(*tried[::-1])["history"] == tried[1].history
    # One whose row tells none takes none from an earlier one.
    assert folded(*tried, Tried(KEY, "skipped", number=3))["history"] is None


def test_each_version_of_a_pairs_files_begins_anew() -> None:
    rows = make_rows([undone(1), Tried(("a", "v2", "v"), "failed", "decode", number=2)])
    state = attempts_by_version(rows, PAIR_COLUMNS, Patience()).sort_by("ir_version").to_pylist()
    assert [(row["ir_version"], row["tries"], row["failed"]) for row in state] == [
        ("v", 1, False),
        ("v2", 0, True),
    ]


def test_numbers_and_not_clocks_tell_which_attempt_was_last() -> None:
    ahead = Tried(KEY, "failed", "decode", number=1, hour=0.1)
    assert not folded(ahead, undone(2, hour=0))["failed"]
    # Without a number it came before all that have one, and clocks are all there is.
    old = Tried(KEY, "failed", "decode", hour=9)
    assert not folded(old, undone(1, hour=0))["failed"]
    assert folded(old, Tried(KEY, "failed", "fuse", hour=8))["failed"]


@settings(max_examples=60)
@given(tried=histories(PAIR_KEYS), data=st.data())
def test_the_order_of_rows_means_nothing(tried: list[Tried], data: st.DataObject) -> None:
    patience = Patience(3.0, at_hour(40))
    order = [(name, "ascending") for name in PAIR_COLUMNS]
    shuffled = data.draw(st.permutations(tried))
    states = [
        attempts_by_version(make_rows(rows), PAIR_COLUMNS, patience).sort_by(order)
        for rows in (tried, shuffled)
    ]
    assert states[0].equals(states[1])
    places = [(*one.place, one.key) for one in tried]
    found = [
        (row["attempt"] or 0, row["ended"], row["run_id"])
        for row in in_order(make_rows(shuffled)).to_pylist()
    ]
    assert found == [(number, at_hour(hour), run) for number, hour, run, _ in sorted(places)]


def test_the_last_number_is_that_over_all_rows_of_a_pair_id() -> None:
    rows = make_rows(
        [
            undone(1),
            undone(7),
            Tried(("a", "v2", "v"), "ok", number=3),
            Tried(("b", "v", "v"), "ok"),
        ]
    )
    found = {row["pair_id"]: row["last_attempt"] for row in last_attempts(rows).to_pylist()}
    assert found == {"a": 7, "b": None}
    assert last_attempts(rows).column_names == ["pair_id", "last_attempt"]


def test_patience_counts_to_now_unless_told() -> None:
    before = dt.datetime.now(dt.UTC)
    assert before <= Patience().now <= dt.datetime.now(dt.UTC)
    assert Patience().hours == 0


def test_no_rows_are_no_attempts() -> None:
    state = attempts_by_version(make_rows([]), PAIR_COLUMNS, Patience())
    assert len(state) == 0
    assert state.schema.field("history").type == pa.string()
