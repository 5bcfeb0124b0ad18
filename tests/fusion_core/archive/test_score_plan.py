"""Which fused images are scored, and in which chunks."""

from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_tables import STAGES, VERSIONS, make_pairing, make_rows, with_column

from fusion_core.archive.fused_images import IMAGES_SCHEMA
from fusion_core.archive.plan import ScoreRef, cut_chunks, make_plan

METHODS = st.sampled_from(["m", "n"])
IMAGES = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), METHODS), st.tuples(VERSIONS, st.integers(0, 50)), max_size=8
)
SCORED = st.lists(st.tuples(st.sampled_from("abcd"), METHODS, VERSIONS, STAGES), max_size=20)


def images_of(images: dict[tuple[str, str], tuple[str, int]]) -> pa.Table:
    pairs = make_pairing({pair_id: ("v", "v", 1) for pair_id, _ in images})
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


def score_rows(history: list[tuple[str, str, str, str | None]]) -> pa.Table:
    rows = make_rows([(pair_id, "v", "v", stage) for pair_id, _, _, stage in history])
    newest_first = history[::-1]
    rows = rows.append_column("method", pa.array([row[1] for row in newest_first], pa.string()))
    versions = pa.array([row[2] for row in newest_first], pa.string())
    return rows.append_column("fused_version", versions)


@settings(max_examples=60)
@given(
    images=IMAGES,
    history=SCORED,
    reprocess=st.sampled_from(["none", "failed", "all"]),
    limit=st.none() | st.integers(1, 9),
)
def test_every_image_is_exactly_one_of_todo_done_failed_and_left(
    images: dict[tuple[str, str], tuple[str, int]],
    history: Any,
    reprocess: str,
    limit: int | None,
) -> None:
    todo, done, failed = [], 0, 0
    for (pair_id, method), (version, _) in sorted(images.items()):
        stages = [row[3] for row in history if row[:3] == (pair_id, method, version)]
        is_done = None in stages
        hopeless = bool(stages) and not is_done and stages[-1] not in ("read", "write")
        if is_done and reprocess != "all":
            done += 1
        elif hopeless and reprocess == "none":
            failed += 1
        else:
            todo.append((pair_id, method))
    pairing, table = make_pairing({}), images_of(images)
    plan = make_plan(pairing, score_rows(history), reprocess, limit, table)
    found = [(row["pair_id"], row["method"]) for row in plan.todo.to_pylist()]
    assert found == todo[:limit]
    assert (plan.done, plan.known_failed) == (done, failed)
    assert len(plan.todo) + plan.done + plan.known_failed + plan.over_limit == len(images)
    assert plan.todo_bytes == sum(3 + images[key][1] for key in found)


def test_a_scored_image_is_scored_again_when_any_of_its_three_files_changes() -> None:
    images = images_of({("a", "m"): ("v1", 1), ("a", "n"): ("v1", 1), ("b", "m"): ("v1", 1)})
    pairing = make_pairing({})
    rows = score_rows([(pair_id, method, "v1", None) for pair_id, method in ("am", "an", "bm")])
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
    assert whole.pairs == tuple(ScoreRef(**row) for row in images.to_pylist())
    assert [ref.file_bytes for ref in whole.pairs] == [8, 10]
    names = [chunk.part_id for chunk in (*singles, whole, *whole.halves())]
    assert len(set(names)) == 5
