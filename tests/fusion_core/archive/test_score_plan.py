"""Which fused images are scored, and in which chunks."""

from collections import Counter
from collections.abc import Collection, Sequence

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_tables import (
    HOURS,
    LIMITS,
    NOW,
    REPROCESS,
    SCORE_COLUMNS,
    SCORE_KEYS,
    VERSIONS,
    Tried,
    at_hour,
    fate,
    histories,
    make_pairing,
    make_rows,
    with_column,
)

from fusion_core.archive.attempts import Patience
from fusion_core.archive.fused_images import IMAGES_SCHEMA
from fusion_core.archive.plan import ScoreRef, cut_chunks, make_plan

IMAGES = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.sampled_from("mn")),
    st.tuples(VERSIONS, st.integers(0, 50)),
    max_size=4,
)


def images_of(
    images: dict[tuple[str, str], tuple[str, int]], archived: Collection[str] = ()
) -> pa.Table:
    pairs = make_pairing({pair_id: ("v", "v", 1) for pair_id, _ in images}, archived)
    sources = {row["pair_id"]: row for row in pairs.pairs.to_pylist()}
    rows = [
        {
            **sources[pair_id],
            "fused_path": f"{method}/{pair_id}",
            "fused_bytes": size,
            "fused_version": version,
            "method": method,
        }
        for (pair_id, method), (version, size) in sorted(images.items())
    ]
    return pa.Table.from_pylist(rows, schema=IMAGES_SCHEMA)


def score_rows(tried: Sequence[Tried]) -> pa.Table:
    return make_rows(tried, SCORE_COLUMNS)


@settings(max_examples=60)
@given(
    images=IMAGES,
    archived=st.sets(st.sampled_from("ab")),
    tried=histories(SCORE_KEYS),
    reprocess=REPROCESS,
    limit=LIMITS,
    hours=HOURS,
    now=NOW,
)
def test_every_image_is_exactly_one_of_todo_done_failed_waiting_archived_and_left(
    images: dict[tuple[str, str], tuple[str, int]],
    archived: set[str],
    tried: list[Tried],
    reprocess: str,
    limit: int | None,
    hours: float,
    now: int,
) -> None:
    fates = {}
    for (pair_id, method), (version, _) in sorted(images.items()):
        own = [one for one in tried if one.key == (pair_id, method, "v", "v", version)]
        fates[pair_id, method] = fate(
            own, reprocess, archived=pair_id in archived, hours=hours, now=now
        )
    told = Counter(fates.values())
    plan = make_plan(
        make_pairing({}),
        score_rows(tried),
        reprocess,
        limit,
        images_of(images, archived),
        patience=Patience(hours, at_hour(now)),
    )
    found = [(row["pair_id"], row["method"]) for row in plan.todo.to_pylist()]
    assert found == [key for key, known in fates.items() if known == "todo"][:limit]
    assert (plan.done, plan.known_failed) == (told["done"], told["failed"])
    assert (plan.waiting, plan.archived) == (told["waiting"], told["archived"])
    assert len(found) + plan.over_limit == told["todo"]
    assert plan.todo_bytes == sum(3 + images[key][1] for key in found)
    for row in plan.todo.to_pylist():
        numbers = [one.number or 0 for one in tried if one.key[0] == row["pair_id"]]
        assert row["attempt"] == max(numbers, default=0) + 1  # whatever the method


def test_a_scored_image_is_scored_again_when_any_of_its_three_files_changes() -> None:
    images = images_of({("a", "m"): ("v1", 1), ("a", "n"): ("v1", 1), ("b", "m"): ("v1", 1)})
    pairing = make_pairing({})
    keys = [(pair_id, method, "v", "v", "v1") for pair_id, method in ("am", "an", "bm")]
    rows = score_rows([Tried(key, "ok", number=1) for key in keys])
    assert make_plan(pairing, rows, images=images).done == 3
    for column in ("ir_version", "vi_version", "fused_version"):
        changed = with_column(images, column, ["v9", *images[column].to_pylist()[1:]])
        todo = make_plan(pairing, rows, images=changed).todo
        assert list(
            zip(*(todo[name].to_pylist() for name in ("pair_id", "method")), strict=True)
        ) == [("a", "m")]


def test_images_of_one_pair_in_different_chunks_have_different_names() -> None:
    images = images_of({("a", "m"): ("v", 5), ("a", "n"): ("v", 7)})
    todo = make_plan(make_pairing({}), score_rows([]), images=images).todo
    singles = list(cut_chunks(todo, "key", 1))
    (whole,) = cut_chunks(todo, "key", 9)
    assert whole.pairs == tuple(ScoreRef(**row) for row in todo.to_pylist())
    assert [ref.file_bytes for ref in whole.pairs] == [8, 10]
    names = [chunk.part_id for chunk in (*singles, whole, *whole.halves())]
    assert len(set(names)) == 5
