from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_tables import HISTORY, PAIRS, ROWS_SCHEMA, make_pairing, make_rows, with_column

from fusion_core.archive.plan import Chunk, PairRef, Plan, cut_chunks, make_plan


def ids(plan: Plan) -> list[str]:
    found: list[str] = plan.todo["pair_id"].to_pylist()
    return found


def ok_rows(plan: Plan) -> list[tuple[str, str, str, None]]:
    names = ("pair_id", "ir_version", "vi_version")
    return [(*(row[name] for name in names), None) for row in plan.todo.to_pylist()]


@settings(max_examples=60)
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
            todo.append(pair_id)
    plan = make_plan(make_pairing(pairs), make_rows(history), reprocess, limit)
    assert ids(plan) == todo[:limit]
    assert (plan.done, plan.known_failed) == (done, failed)
    assert len(plan.todo) + plan.done + plan.known_failed + plan.over_limit == len(pairs)
    assert plan.todo_bytes == sum(3 * pairs[pair_id][2] for pair_id in ids(plan))


@settings(max_examples=60)
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


@settings(max_examples=60)
@given(
    pairs=PAIRS,
    chunk_pairs=st.integers(1, 9),
    chunk_bytes=st.integers(1, 400),
)
def test_chunks_partition_the_todo_in_order_within_their_bounds(
    pairs: dict[str, tuple[str, str, int]], chunk_pairs: int, chunk_bytes: int
) -> None:
    todo = make_pairing(pairs).pairs
    chunks = list(cut_chunks(todo, "model-settings", chunk_pairs, chunk_bytes=chunk_bytes))
    flat = [pair for chunk in chunks for pair in chunk.pairs]
    assert flat == [PairRef(**row) for row in todo.to_pylist()]
    sizes = [[pair.ir_bytes + pair.vi_bytes for pair in chunk.pairs] for chunk in chunks]
    for size in sizes:
        assert 1 <= len(size) <= chunk_pairs
        assert len(size) == 1 or sum(size) <= chunk_bytes
    for size, following in pairwise(sizes):  # none ends sooner than it must
        assert len(size) == chunk_pairs or sum(size) + following[0] > chunk_bytes
    names = [chunk.part_id for chunk in chunks]
    assert len(set(names)) == len(names)
    assert list(cut_chunks(todo, "model-settings", chunk_pairs, chunk_bytes=chunk_bytes)) == chunks
    if chunks:
        others = [
            cut_chunks(todo, "model-2-settings", chunk_pairs, chunk_bytes=chunk_bytes),
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
    todo = table.append_column("pixels", pa.array([1 << 23, 1 << 23, 1]))
    chunks = list(cut_chunks(todo, "key", 9))
    assert [len(chunk.pairs) for chunk in chunks] == [2, 1]
    # neither pairs nor names know of the pixels
    (plain,) = cut_chunks(todo.drop_columns(["pixels"]), "key", 9)
    assert plain.pairs == chunks[0].pairs + chunks[1].pairs
    wide = list(cut_chunks(todo, "key", 9, chunk_pixels=1 << 30))
    assert wide == [plain]


@settings(max_examples=60)
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


def test_many_pairs_are_cut_without_a_seam() -> None:
    pairs = {f"{k:05}": ("v", "v", 1) for k in range(10_000)}
    plan = make_plan(make_pairing(pairs), ROWS_SCHEMA.empty_table())
    chunks = list(cut_chunks(plan.todo, "key", 32))
    assert [len(chunk.pairs) for chunk in chunks] == [32] * 312 + [16]
    assert [pair.pair_id for chunk in chunks for pair in chunk.pairs] == [*pairs]


@settings(max_examples=60)
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


def test_a_chunk_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Chunk("id", ()).part_id = "other"  # type: ignore[misc]
