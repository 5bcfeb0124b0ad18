import datetime as dt
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.fused_images import IMAGES_SCHEMA
from fusion_core.pairing import PAIRS_SCHEMA, Pairing
from fusion_core.plan import Chunk, PairRef, Plan, ScoreRef, cut_chunks, make_plan

ROWS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("pair_id", "ir_version", "vi_version", "status", "stage")]
    + [("ended", pa.timestamp("us", tz="UTC"))]
)
START = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
VERSIONS = st.sampled_from(["v1", "v2"])
STAGES = st.sampled_from([None, "read", "decode", "pair", "crash", "write"])
PAIRS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.tuples(VERSIONS, VERSIONS, st.integers(0, 50)), max_size=8
)
HISTORY = st.lists(st.tuples(st.sampled_from("abcdefgh"), VERSIONS, VERSIONS, STAGES), max_size=20)


def make_pairing(pairs: dict[str, tuple[str, str, int]]) -> Pairing:
    rows = [
        {
            "pair_id": pair_id,
            "ir_path": f"ir/{pair_id}",
            "ir_bytes": size,
            "ir_version": ir,
            "vi_path": f"vi/{pair_id}",
            "vi_bytes": 2 * size,
            "vi_version": vi,
        }
        for pair_id, (ir, vi, size) in sorted(pairs.items())
    ]
    return Pairing(pa.Table.from_pylist(rows, schema=PAIRS_SCHEMA), (), (), ())


def make_rows(history: list[tuple[str, str, str, str | None]]) -> pa.Table:
    """Rows in the order of time; a stage is where the pair failed, None a success."""
    rows = [
        {
            "pair_id": pair_id,
            "ir_version": ir,
            "vi_version": vi,
            "status": "failed" if stage else "ok",
            "stage": stage,
            "ended": START + dt.timedelta(seconds=k),
        }
        for k, (pair_id, ir, vi, stage) in enumerate(history)
    ]
    return pa.Table.from_pylist(rows[::-1], schema=ROWS_SCHEMA)


def ids(plan: Plan) -> list[str]:
    found: list[str] = plan.todo["pair_id"].to_pylist()
    return found


def ok_rows(plan: Plan) -> list[tuple[str, str, str, None]]:
    names = ("pair_id", "ir_version", "vi_version")
    return [(*(row[name] for name in names), None) for row in plan.todo.to_pylist()]


@settings(deadline=None, max_examples=60)
@given(
    pairs=PAIRS,
    history=HISTORY,
    reprocess=st.sampled_from(["none", "failed", "all"]),
    limit=st.none() | st.integers(1, 9),
)
def test_the_plan_is_what_plain_python_plans(
    pairs: dict[str, tuple[str, str, int]], history: Any, reprocess: str, limit: int | None
) -> None:
    todo, done, failed = [], 0, 0
    for pair_id, (ir, vi, _) in sorted(pairs.items()):
        stages = [row[3] for row in history if row[:3] == (pair_id, ir, vi)]
        is_done = None in stages
        hopeless = bool(stages) and not is_done and stages[-1] not in ("read", "write")
        if is_done and reprocess != "all":
            done += 1
        elif hopeless and reprocess == "none":
            failed += 1
        else:
            todo.append((pair_id, len(stages)))
    plan = make_plan(make_pairing(pairs), make_rows(history), reprocess, limit)
    found = list(zip(ids(plan), plan.todo["attempts"].to_pylist(), strict=True))
    assert found == todo[:limit]
    assert (plan.done, plan.known_failed) == (done, failed)
    assert len(plan.todo) + plan.done + plan.known_failed + plan.over_limit == len(pairs)
    assert plan.todo_bytes == sum(3 * pairs[pair_id][2] for pair_id in ids(plan))


@settings(deadline=None, max_examples=60)
@given(pairs=PAIRS, history=HISTORY)
def test_after_success_there_is_nothing_to_do_until_a_version_changes(
    pairs: dict[str, tuple[str, str, int]], history: Any
) -> None:
    plan = make_plan(make_pairing(pairs), make_rows(history), "failed")
    history = history + ok_rows(plan)
    again = make_plan(make_pairing(pairs), make_rows(history))
    assert len(again.todo) == 0
    assert again.done == len(pairs)
    for pair_id, (ir, vi, size) in pairs.items():
        for changed in (("v3", vi, size), (ir, "v3", size)):
            new = make_pairing({**pairs, pair_id: changed})
            assert ids(make_plan(new, make_rows(history))) == [pair_id]


@pytest.mark.parametrize(
    ("stages", "todo"), [(("decode", "read"), ["a"]), (("read", "decode"), []), (("read",), ["a"])]
)
def test_the_latest_failure_decides_whether_to_try_again(
    stages: tuple[str, ...], todo: list[str]
) -> None:
    pairing = make_pairing({"a": ("v", "v", 1)})
    rows = make_rows([("a", "v", "v", stage) for stage in stages])
    assert ids(make_plan(pairing, rows)) == todo
    assert ids(make_plan(pairing, rows.take([*range(len(rows))][::-1]))) == todo


def test_limits_work_an_archive_off_in_steps() -> None:
    pairing = make_pairing(dict.fromkeys("abcde", ("v", "v", 1)))
    history: Any = []
    steps = []
    while len((plan := make_plan(pairing, make_rows(history), limit=2)).todo):
        steps.append((ids(plan), plan.over_limit))
        history += ok_rows(plan)
    assert steps == [(["a", "b"], 3), (["c", "d"], 1), (["e"], 0)]


@settings(deadline=None, max_examples=60)
@given(
    pairs=PAIRS,
    chunk_pairs=st.integers(1, 9),
    chunk_bytes=st.integers(1, 400),
    attempts=st.lists(st.integers(0, 3), min_size=8, max_size=8),
)
def test_chunks_partition_the_todo_in_order_within_their_bounds(
    pairs: dict[str, tuple[str, str, int]],
    chunk_pairs: int,
    chunk_bytes: int,
    attempts: list[int],
) -> None:
    table = make_pairing(pairs).pairs
    tried = pa.array(attempts[: len(table)], pa.int64())
    todo = table.append_column("attempts", tried)
    chunks = list(cut_chunks(todo, "model-settings", chunk_pairs, chunk_bytes))
    flat = [pair for chunk in chunks for pair in chunk.pairs]
    assert flat == [PairRef(**row) for row in table.to_pylist()]
    sizes = [[pair.ir_bytes + pair.vi_bytes for pair in chunk.pairs] for chunk in chunks]
    for size in sizes:
        assert 1 <= len(size) <= chunk_pairs
        assert len(size) == 1 or sum(size) <= chunk_bytes
    for size, following in pairwise(sizes):  # none ends sooner than it must
        assert len(size) == chunk_pairs or sum(size) + following[0] > chunk_bytes
    names = [chunk.part_id for chunk in chunks]
    assert len(set(names)) == len(names)
    assert list(cut_chunks(todo, "model-settings", chunk_pairs, chunk_bytes)) == chunks
    if chunks:
        others = [
            cut_chunks(todo, "model-2-settings", chunk_pairs, chunk_bytes),
            cut_chunks(with_column(todo, "attempts", more(tried)), "model-settings", chunk_pairs),
            cut_chunks(with_column(todo, "ir_version", ["v9"] * len(todo)), "model-settings", 9),
            cut_chunks(with_column(todo, "vi_version", ["v9"] * len(todo)), "model-settings", 9),
        ]
        for other in others:
            assert not {*names} & {chunk.part_id for chunk in other}


def chunk_sizes(pixels: list[int] | None, chunk_pairs: int, chunk_pixels: int) -> list[list[str]]:
    """The pairs of each chunk, of pairs a, b, c … with so many pixels."""
    names = "abcdefghij"[: len(pixels) if pixels is not None else 10]
    todo = make_plan(
        make_pairing(dict.fromkeys(names, ("v", "v", 1))), ROWS_SCHEMA.empty_table()
    ).todo
    if pixels is not None:
        todo = todo.append_column("pixels", pa.array(pixels, pa.int64()))
    chunks = cut_chunks(todo, "key", chunk_pairs, chunk_pixels=chunk_pixels)
    return [[pair.pair_id for pair in chunk.pairs] for chunk in chunks]


@pytest.mark.parametrize(
    ("pixels", "chunks"),
    [
        ([5, 5, 5, 5, 5], ["ab", "cd", "e"]),  # small ones together, as many as fit
        ([50, 50, 50], ["a", "b", "c"]),  # larger ones than fit, alone
        ([2, 3, 50, 2, 3], ["ab", "c", "de"]),  # and not with small ones
        ([1, 1, 1, 1, 1], ["abc", "de"]),  # three pairs are a chunk all the same
        ([10, 1, 9, 1], ["a", "bc", "d"]),  # exactly full is not too full
        ([0, 0, 50], ["ab", "c"]),
    ],
)
def test_large_scenes_make_chunks_of_their_own(pixels: list[int], chunks: list[str]) -> None:
    assert chunk_sizes(pixels, 3, 10) == [[*chunk] for chunk in chunks]


def test_without_a_column_of_pixels_a_bound_on_them_means_nothing() -> None:
    assert chunk_sizes(None, 4, 1) == [[*"abcd"], [*"efgh"], [*"ij"]]


def test_by_default_a_chunk_ends_at_sixteen_million_pixels() -> None:
    table = make_pairing(dict.fromkeys("abc", ("v", "v", 1))).pairs
    todo = table.append_column("attempts", pa.array([0] * 3))
    todo = todo.append_column("pixels", pa.array([1 << 23, 1 << 23, 1]))
    chunks = list(cut_chunks(todo, "key", 9))
    assert [len(chunk.pairs) for chunk in chunks] == [2, 1]
    # neither pairs nor names know of the pixels
    (plain,) = cut_chunks(todo.drop_columns(["pixels"]), "key", 9)
    assert plain.pairs == chunks[0].pairs + chunks[1].pairs
    wide = list(cut_chunks(todo, "key", 9, chunk_pixels=1 << 30))
    assert wide == [plain]


@settings(deadline=None, max_examples=60)
@given(
    pixels=st.lists(st.integers(0, 40), min_size=1, max_size=10),
    chunk_pairs=st.integers(1, 5),
    chunk_pixels=st.integers(1, 60),
)
def test_chunks_of_scenes_keep_order_and_bounds_and_end_no_sooner_than_they_must(
    pixels: list[int], chunk_pairs: int, chunk_pixels: int
) -> None:
    found = chunk_sizes(pixels, chunk_pairs, chunk_pixels)
    area = dict(zip("abcdefghij", pixels, strict=False))
    assert [name for chunk in found for name in chunk] == [*area][: len(pixels)]
    sums = [sum(area[name] for name in chunk) for chunk in found]
    for chunk, total in zip(found, sums, strict=True):
        assert len(chunk) == 1 or (len(chunk) <= chunk_pairs and total <= chunk_pixels)
    for (chunk, following), total in zip(pairwise(found), sums, strict=False):
        assert len(chunk) == chunk_pairs or total + area[following[0]] > chunk_pixels


def more(attempts: pa.Array) -> list[int]:
    return [number + 1 for number in attempts.to_pylist()]


def with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values))


def test_many_pairs_are_cut_without_a_seam() -> None:
    pairs = {f"{k:05}": ("v", "v", 1) for k in range(10_000)}
    plan = make_plan(make_pairing(pairs), ROWS_SCHEMA.empty_table())
    chunks = list(cut_chunks(plan.todo, "key", 32))
    assert [len(chunk.pairs) for chunk in chunks] == [32] * 312 + [16]
    assert [pair.pair_id for chunk in chunks for pair in chunk.pairs] == [*pairs]


@settings(deadline=None, max_examples=60)
@given(count=st.integers(2, 9))
def test_halving_comes_down_to_single_pairs_with_names_of_their_own(count: int) -> None:
    pairs = dict.fromkeys("abcdefghi"[:count], ("v", "v", 1))
    plan = make_plan(make_pairing(pairs), ROWS_SCHEMA.empty_table())
    (whole,) = cut_chunks(plan.todo, "key", 99)
    chunks, names, singles = [whole], set(), []
    while chunks:
        chunk = chunks.pop()
        assert chunk.part_id not in names
        names.add(chunk.part_id)
        if len(chunk.pairs) == 1:
            singles += [*chunk.pairs]
            continue
        halves = chunk.halves()
        assert halves == chunk.halves()
        assert abs(len(halves[0].pairs) - len(halves[1].pairs)) <= 1
        assert halves[0].pairs + halves[1].pairs == chunk.pairs
        chunks += reversed(halves)
    assert tuple(singles) == whole.pairs


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


@settings(deadline=None, max_examples=60)
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


def test_a_chunk_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Chunk("id", ()).part_id = "other"  # type: ignore[misc]
