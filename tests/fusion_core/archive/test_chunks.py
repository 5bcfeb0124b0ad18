"""How what is to be done is cut into chunks, and these into halves."""

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_tables import PAIRS, make_pairing, make_rows, with_column

from fusion_core.archive.plan import Chunk, PairRef, cut_chunks, make_plan


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
    for again in (todo, todo.to_batches(max_chunksize=2)):
        cut = cut_chunks(again, "model-settings", chunk_pairs, chunk_bytes=chunk_bytes)
        assert list(cut) == chunks
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
    todo = make_plan(make_pairing(dict.fromkeys(names, ("v", "v", 1))), make_rows([])).todo
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
    (wide,) = cut_chunks(todo, "key", 9, chunk_pixels=1 << 30)
    assert (wide.part_id, wide.pairs) == (plain.part_id, plain.pairs)
    assert [chunk.pixels for chunk in (*chunks, plain, wide)] == [1 << 24, 1, 0, (1 << 24) + 1]


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
    plan = make_plan(make_pairing(pairs), make_rows([]))
    chunks = list(cut_chunks(plan.todo, "key", 32))
    assert [len(chunk.pairs) for chunk in chunks] == [32] * 312 + [16]
    assert [pair.pair_id for chunk in chunks for pair in chunk.pairs] == [*pairs]


@settings(max_examples=60)
@given(count=st.integers(2, 9))
def test_halving_comes_down_to_single_pairs_with_names_of_their_own(count: int) -> None:
    pairs = dict.fromkeys("abcdefghi"[:count], ("v", "v", 1))
    plan = make_plan(make_pairing(pairs), make_rows([]))
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


def test_a_chunk_is_given_twice_what_its_pairs_may_take() -> None:
    table = make_pairing(dict.fromkeys("abc", ("v", "v", 1))).pairs
    todo = table.append_column("pixels", pa.array([0, 150_000_000, 50_000_000]))
    (photographs,) = cut_chunks(table, "key", 9)
    (scenes,) = cut_chunks(todo, "key", 9, chunk_pixels=1 << 30)
    assert photographs.budget(600.0) == 3600.0
    assert scenes.budget(600.0) == 6000.0  # as a scene's deadline counts for each 100 megapixels
    assert scenes.halves()[0].budget(600.0) >= 1200.0


def test_halves_are_fused_as_the_whole_one_is_and_know_what_they_are_half_of() -> None:
    pairs = cut_one("abcd").pairs
    whole = Chunk("id", pairs, split_from=("before",), in_tiles=True, pixels=7)
    assert whole.halves() == tuple(
        Chunk(f"id{letter}", half, ("before", "id"), in_tiles=True, pixels=7)
        for letter, half in (("a", pairs[:2]), ("b", pairs[2:]))
    )
    assert not cut_one("a").in_tiles


def test_attempts_at_a_pair_are_not_what_names_its_chunk() -> None:
    """Or a run that is told twice what to do would do it twice."""
    todo = make_plan(make_pairing({"a": ("v", "v", 1)}), make_rows([])).todo
    later = with_column(todo, "attempt", [5])
    ((first,), (second,)) = (cut_chunks(one, "key", 9) for one in (todo, later))
    assert first.part_id == second.part_id
    assert [one.pairs[0].attempt for one in (first, second)] == [1, 5]


def cut_one(names: str) -> Chunk:
    """All pairs of these names in one chunk."""
    (chunk,) = cut_chunks(make_pairing(dict.fromkeys(names, ("v", "v", 1))).pairs, "key", 99)
    return chunk


def test_a_chunk_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Chunk("id", ()).part_id = "other"  # type: ignore[misc]


def test_each_clip_is_a_chunk_of_its_own_among_photographs() -> None:
    paths = {
        "a": ("ir/a.png", "vi/a.png"),
        "b": ("ir/b.png", "vi/b.png"),
        "c": ("ir/c.MP4", "vi/c.mp4"),
        "d": ("ir/d/{frame}.png", "vi/d.mkv"),
        "e": ("ir/e.png", "vi/e.png"),
        "f": ("ir/f/{frame}.png", "vi/f/{frame}.png"),
    }
    todo = make_plan(make_pairing(dict.fromkeys(paths, ("v", "v", 1000))), make_rows([])).todo
    for side in (0, 1):
        column = [paths[pair_id][side] for pair_id in todo["pair_id"].to_pylist()]
        todo = with_column(todo, f"{('ir', 'vi')[side]}_path", column)
    chunks = list(cut_chunks(todo, "key", 9, chunk_pixels=100))
    names = [[pair.pair_id for pair in chunk.pairs] for chunk in chunks]
    assert names == [["a", "b"], ["c"], ["d"], ["e"], ["f"]]
    # Whoever works on one has time for all pixels that its frames may have.
    assert [chunk.pixels > 0 for chunk in chunks] == [False, True, True, False, True]
    size = chunks[1].pairs[0].vi_bytes
    assert chunks[1].pixels >= 800 * size
    assert 10 * size <= chunks[4].pixels < chunks[1].pixels
    assert chunks[1].budget(60) > chunks[3].budget(60)
