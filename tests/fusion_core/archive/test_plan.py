"""Which pairs are fused, which are left alone, and what is told of them."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_tables import (
    FEW_PAIRS,
    HOURS,
    LIMITS,
    NOW,
    PAIR_KEYS,
    REPROCESS,
    Tried,
    at_hour,
    fate,
    histories,
    last_of,
    make_pairing,
    make_rows,
)

from fusion_core.archive.attempts import Patience, last_attempts
from fusion_core.archive.plan import Plan, cut_chunks, make_plan

KEY = ("a", "v", "v")
ONE = {"a": ("v", "v", 1)}


def ids(plan: Plan) -> list[str]:
    found: list[str] = plan.todo["pair_id"].to_pylist()
    return found


def counts(plan: Plan) -> dict[str, int]:
    """How many are left alone, by the reason."""
    reasons = {
        "done": plan.done,
        "failed": plan.known_failed,
        "waiting": plan.waiting,
        "archived": plan.archived,
    }
    return {name: count for name, count in reasons.items() if count}


def ok_rows(plan: Plan) -> list[Tried]:
    names = ("pair_id", "ir_version", "vi_version")
    return [
        Tried(tuple(row[name] for name in names), "ok", number=row["attempt"])
        for row in plan.todo.to_pylist()
    ]


def planned(*tried: Tried, archived: bool = False, now: float = 0, **options: Any) -> Plan:
    """Plan the pair ``a`` after these attempts at it, with a distance that grows by an hour."""
    pairing = make_pairing(ONE, "a" if archived else "")
    return make_plan(pairing, make_rows(tried), patience=Patience(1.0, at_hour(now)), **options)


@settings(max_examples=60)
@given(
    pairs=FEW_PAIRS,
    archived=st.sets(st.sampled_from("abcd")),
    tried=histories(PAIR_KEYS),
    others=histories(PAIR_KEYS),
    reprocess=REPROCESS,
    limit=LIMITS,
    hours=HOURS,
    now=NOW,
)
def test_the_plan_is_what_plain_python_plans(
    pairs: dict[str, tuple[str, str, int]],
    archived: set[str],
    tried: list[Tried],
    others: list[Tried],
    reprocess: str,
    limit: int | None,
    hours: float,
    now: int,
) -> None:
    """``others`` are attempts with another model: they count for nothing but the numbers."""
    of_pair = {
        pair_id: [one for one in tried if one.key == (pair_id, ir, vi)]
        for pair_id, (ir, vi, _) in pairs.items()
    }
    fates = {
        pair_id: fate(
            of_pair[pair_id], reprocess, archived=pair_id in archived, hours=hours, now=now
        )
        for pair_id in sorted(pairs)
    }
    todo = [pair_id for pair_id, known in fates.items() if known == "todo"]
    plan = make_plan(
        make_pairing(pairs, archived),
        make_rows(tried),
        reprocess,
        limit,
        numbers=last_attempts(make_rows(tried + others)),
        patience=Patience(hours, at_hour(now)),
    )
    assert ids(plan) == todo[:limit]
    assert plan.over_limit == len(todo) - len(plan.todo)
    assert counts(plan) == Counter(known for known in fates.values() if known != "todo")
    assert plan.todo_bytes == sum(3 * pairs[pair_id][2] for pair_id in ids(plan))
    for row in plan.todo.to_pylist():
        own = of_pair[row["pair_id"]]
        numbers = [one.number or 0 for one in tried + others if one.key[0] == row["pair_id"]]
        assert row["attempt"] == max(numbers, default=0) + 1
        assert row["tries"] == sum(one.is_undone for one in own)
        assert row["history"] == (last_of(own).history if own else None)
        assert row["archived"] == ("GLACIER" if row["pair_id"] in archived else None)


@settings(max_examples=20)
@given(pairs=FEW_PAIRS, tried=histories(PAIR_KEYS))
def test_after_success_there_is_nothing_to_do_until_a_version_changes(
    pairs: dict[str, tuple[str, str, int]], tried: list[Tried]
) -> None:
    plan = make_plan(make_pairing(pairs), make_rows(tried), "failed")
    tried = tried + ok_rows(plan)
    again = make_plan(make_pairing(pairs), make_rows(tried))
    assert len(again.todo) == 0
    assert again.done == len(pairs)
    for pair_id, (ir, vi, size) in pairs.items():
        for changed in (("v3", vi, size), (ir, "v3", size)):
            new = make_pairing({**pairs, pair_id: changed})
            assert ids(make_plan(new, make_rows(tried))) == [pair_id]


@pytest.mark.parametrize(
    ("stages", "left"),
    [
        (("decode", "read"), {}),
        (("read", "decode"), {"failed": 1}),
        (("pair",), {"failed": 1}),
        (("encode",), {"failed": 1}),
        (("fuse",), {}),  # a poisoned GPU, or memory
        (("crash",), {}),  # a lost node
        (("score",), {}),
        (("write",), {}),
    ],
)
def test_rows_of_older_schemas_blame_a_pair_at_stages_where_it_is_to_blame(
    stages: tuple[str, ...], left: dict[str, int]
) -> None:
    tried = [Tried(KEY, "failed", stage, hour=hour) for hour, stage in enumerate(stages)]
    for rows in (tried, tried[::-1]):
        plan = planned(*rows, now=5)
        assert counts(plan) == left
        assert ids(plan) == ([] if left else ["a"])


def test_a_pair_that_failed_is_left_alone_wherever_it_did_until_it_is_asked_for() -> None:
    given_up = Tried(KEY, "failed", "fuse", number=3)
    assert counts(planned(given_up, now=1e4)) == {"failed": 1}
    assert planned(given_up, reprocess="failed").todo["attempt"].to_pylist() == [4]


def test_a_pair_is_left_alone_for_one_reason_at_most() -> None:
    """It was fused, and failed or had to wait when all were asked for again."""
    for second in (Tried(KEY, "failed", "pair", number=2), Tried(KEY, "undone", "fuse", number=2)):
        plan = planned(Tried(KEY, "ok", number=1), second)
        assert counts(plan) == {"done": 1}


def test_what_is_archived_gets_one_row_and_is_looked_at_again_when_it_no_longer_is() -> None:
    assert planned(archived=True).todo["archived"].to_pylist() == ["GLACIER"]
    skipped = Tried(KEY, "skipped", number=1)
    for reprocess in ("none", "failed", "all"):
        assert counts(planned(skipped, archived=True, reprocess=reprocess)) == {"archived": 1}
    again = planned(skipped).todo.to_pylist()
    assert [(row["attempt"], row["tries"], row["archived"]) for row in again] == [(2, 0, None)]


def test_what_was_fused_before_it_was_archived_is_done_unless_all_are_asked_for() -> None:
    fused, skipped = Tried(KEY, "ok", number=1), Tried(KEY, "skipped", number=2)
    assert counts(planned(fused, archived=True)) == {"done": 1}
    assert ids(planned(fused, archived=True, reprocess="all")) == ["a"]
    assert counts(planned(fused, skipped, archived=True, reprocess="all")) == {"archived": 1}


def test_what_the_store_calls_archived_and_its_listing_does_not_waits_like_the_undone() -> None:
    tried = [
        Tried(KEY, "skipped", "read", number=number, hour=number, run=f"r{number}")
        for number in (1, 2)
    ]
    assert ids(planned(tried[0], now=1)) == ["a"]
    assert counts(planned(*tried, now=2.5)) == {"waiting": 1}
    assert ids(planned(*tried, now=2.5, reprocess="failed")) == ["a"]
    assert ids(planned(*tried, now=3)) == ["a"]
    assert counts(planned(*tried, now=3, archived=True)) == {"archived": 1}


def test_the_history_of_a_pair_reaches_whoever_tries_it_next() -> None:
    tried = [Tried(KEY, "undone", "fuse", number=number) for number in (1, 2)]
    other = Tried(("a", "v0", "v"), "undone", "read", number=3)  # before the file changed
    plan = planned(*tried, other)
    ((ref,),) = (chunk.pairs for chunk in cut_chunks(plan.todo, "key", 9))
    assert (ref.attempt, ref.tries, ref.history) == (4, 2, tried[1].history)
    elsewhere = pa.table({"pair_id": ["a", "b"], "attempt": pa.array([8, 9], pa.int32())})
    plan = planned(*tried, numbers=last_attempts(elsewhere))
    assert plan.todo["attempt"].to_pylist() == [9]


def test_limits_work_an_archive_off_in_steps() -> None:
    pairing = make_pairing(dict.fromkeys("abcde", ("v", "v", 1)))
    tried: list[Tried] = []
    steps = []
    while len((plan := make_plan(pairing, make_rows(tried), limit=2)).todo):
        steps.append((ids(plan), plan.over_limit))
        tried += ok_rows(plan)
    assert steps == [(["a", "b"], 3), (["c", "d"], 1), (["e"], 0)]
