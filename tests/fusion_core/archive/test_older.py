"""What an earlier image version made counts as done, is told of, and is made anew if asked for."""

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_tables import FEW_PAIRS, PAIR_KEYS, REPROCESS, Tried, fate, histories
from plan_tables import make_pairing as pairing_of
from plan_tables import make_rows as rows_of

from fusion_core.archive.attempts import Patience
from fusion_core.archive.older import split_by_version, standing_rows
from fusion_core.archive.plan import PAIR_KEY, Plan, make_plan

KEY = ("a", "v", "v")
PAIRS = pairing_of({"a": ("v", "v", 1)})
OK_BEFORE = rows_of([Tried(KEY, "ok")])


def planned(*tried: Tried, reprocess: str = "none") -> Plan:
    return make_plan(PAIRS, rows_of(tried), reprocess, older=OK_BEFORE)


def told(plan: Plan) -> tuple[int, int, int, int]:
    return len(plan.todo), plan.done, plan.older, plan.known_failed


@settings(max_examples=60)
@given(
    pairs=FEW_PAIRS,
    tried=histories(PAIR_KEYS),
    before=st.sets(st.sampled_from(PAIR_KEYS)),
    reprocess=REPROCESS,
)
def test_the_plan_is_what_plain_python_plans(
    pairs: dict[str, tuple[str, str, int]],
    tried: list[Tried],
    before: set[tuple[str, str, str]],
    reprocess: str,
) -> None:
    fates = {}
    for pair_id, (ir, vi, _) in sorted(pairs.items()):
        own = [one for one in tried if one.key == (pair_id, ir, vi)]
        older = (pair_id, ir, vi) in before
        fates[pair_id] = fate(own, reprocess, archived=False, hours=1.0, now=5, older=older)
    plan = make_plan(
        pairing_of(pairs),
        rows_of(tried),
        reprocess,
        patience=Patience(1.0, rows_of([Tried(KEY, "ok", hour=5)])["ended"][0].as_py()),
        older=rows_of([Tried(key, "ok") for key in before]),
    )
    counts = Counter(fates.values())
    assert plan.todo["pair_id"].to_pylist() == [name for name in fates if fates[name] == "todo"]
    assert plan.older == counts["older"]
    assert plan.done == counts["done"] + counts["older"]
    assert (plan.known_failed, plan.waiting) == (counts["failed"], counts["waiting"])


def test_an_image_of_before_stands_unless_it_is_to_be_made_anew() -> None:
    assert told(planned()) == (0, 1, 1, 0)
    assert told(planned(reprocess="failed")) == (0, 1, 1, 0)
    assert told(planned(reprocess="older")) == (1, 0, 0, 0)
    assert told(planned(reprocess="all")) == (1, 0, 0, 0)
    assert told(planned(Tried(KEY, "ok", number=2))) == (0, 1, 0, 0)
    assert told(planned(Tried(KEY, "ok", number=2), reprocess="older")) == (0, 1, 0, 0)


def test_a_pair_that_could_not_be_made_anew_keeps_its_image_of_before() -> None:
    failed = Tried(KEY, "failed", "decode", number=2)
    assert told(planned(failed)) == (0, 1, 1, 0)
    assert told(planned(failed, reprocess="older")) == (0, 0, 0, 1)
    assert told(planned(failed, reprocess="failed")) == (1, 0, 0, 0)


def test_an_image_of_before_of_other_files_counts_for_nothing() -> None:
    changed = pairing_of({"a": ("v2", "v", 1)})
    assert told(make_plan(changed, rows_of([]), older=OK_BEFORE)) == (1, 0, 0, 0)


def versioned(*rows: tuple[str, str, str]) -> pa.Table:
    """Rows of a pair id, a settings hash and a status."""
    names = ("pair_id", "settings_hash", "status")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return pa.table(columns | {"ir_version": ["v"] * len(rows), "vi_version": ["v"] * len(rows)})


def test_failed_rows_of_an_earlier_version_count_for_nothing() -> None:
    rows = versioned(
        ("a", "now", "ok"), ("b", "now", "failed"), ("c", "other", "ok"), ("d", "one", "ok")
    )
    rows = pa.concat_tables([rows, versioned(("e", "two", "ok"), ("f", "one", "failed"))])
    own, older = split_by_version(rows, "now", ("one", "two"))
    assert own["pair_id"].to_pylist() == ["a", "b"]
    assert older["pair_id"].to_pylist() == ["d", "e"]
    assert len(split_by_version(rows, "now", ())[1]) == 0


def test_rows_by_weights_that_the_name_stood_for_before_are_older() -> None:
    rows = versioned(
        *(("a", "now", "ok"), ("b", "now", "ok"), ("c", "now", "ok"), ("d", "now", "failed")),
        *(("e", "one", "ok"), ("f", "one", "ok"), ("g", "other", "ok")),
    ).append_column("model_hash", pa.array([*"NBXB", *"NBB"]))
    own, older = split_by_version(rows, "now", ["one"], model_hash="N", models_before=["B"])
    assert own["pair_id"].to_pylist() == ["a"]
    assert older["pair_id"].to_pylist() == ["b", "e", "f"]
    own, older = split_by_version(rows, "now", ["one"], model_hash="N")
    assert (own["pair_id"].to_pylist(), older["pair_id"].to_pylist()) == (["a"], ["e"])


@pytest.mark.parametrize(
    ("status", "stands"), [("ok", "now"), ("failed", "one"), ("undone", "one"), (None, "one")]
)
def test_a_table_is_of_the_rows_that_stand(status: str | None, stands: str) -> None:
    own = versioned(("z", "now", "ok"), *([("a", "now", status)] if status else []))
    older = versioned(("a", "one", "ok"))
    found = standing_rows(own, older, PAIR_KEY).sort_by("pair_id").to_pylist()
    assert [(row["pair_id"], row["settings_hash"]) for row in found] == [
        ("a", stands),
        ("z", "now"),
    ]
    assert standing_rows(own, older.slice(0, 0), PAIR_KEY) is own
