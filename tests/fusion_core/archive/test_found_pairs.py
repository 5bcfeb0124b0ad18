"""Pairing over local files finds what pairing in memory does."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.archive.found_by_index import find_by_index
from fusion_core.archive.found_pairs import find_by_templates
from fusion_core.archive.pairing import PAIRS_SCHEMA, Pairing, pair_by_index, pair_by_templates
from fusion_core.errors import SettingsError
from fusion_core.storage.listing import LISTING_SCHEMA

IR, VI = "{pair}_ir*", "{pair}_vi*"
# Bytes sort otherwise than UTF-16 does, and than people do.
NAMES = st.sampled_from(["a", "A", "B", "é", "e\u0301", "", "d/", "\uffff", "\U0001f600", " ", "0"])
PATHS = st.lists(
    st.builds(
        "{}{}{}".format,
        NAMES,
        st.sampled_from(["_ir", "_vi", "_", "_ir_vi"]),
        st.sampled_from([".png", ".tif", ""]),
    ),
    unique=True,
)
ROOTS = ("s3://b/x", "s3a://b/x")


def listing(paths: Iterable[str]) -> pa.Table:
    rows = [
        {
            "path": path,
            "bytes": len(path),
            "version": f"v-{path}",
            "archived": "GLACIER" if "é" in path else None,
        }
        for path in paths
    ]
    return pa.Table.from_pylist(rows, schema=LISTING_SCHEMA)


def in_parts(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    for k in range(0, len(table), rows):
        yield table.slice(k, rows)


def found(table: pa.Table, rows: int = 3, ir: str = IR, vi: str = VI) -> Pairing:
    with tempfile.TemporaryDirectory() as folder:
        return find_by_templates(in_parts(table, rows), ir, vi, Path(folder)).read()


def assert_same(one: Pairing, other: Pairing) -> None:
    assert one.pairs.equals(other.pairs)
    assert one.pairs.schema == PAIRS_SCHEMA
    for name in ("unpaired", "ambiguous", "unmatched", "index_rows"):
        assert getattr(one, name) == getattr(other, name), name


@settings(max_examples=25)
@given(paths=PATHS, rows=st.integers(1, 9))
def test_templates_find_the_same_as_in_memory(paths: list[str], rows: int) -> None:
    table = listing(paths)
    assert_same(found(table, rows), pair_by_templates(table, IR, VI))


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_neighbours_are_told_across_batches(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the sorted claims are cut, each is judged once, by all of its neighbours."""
    monkeypatch.setattr("fusion_core.archive.sorted_claims.BATCH_ROWS", rows)
    names = ["a_ir", "a_vi", "b_ir", "b_ir.png", "b_vi", "c_vi", "d_ir", "d_vi", "d_vi.png"]
    names += ["e_ir", "f_ir", "f_ir1", "f_ir2", "g_ir", "g_vi", "readme"]
    table = listing(names)
    assert_same(found(table, 4), pair_by_templates(table, IR, VI))


def written(path: str, how: int) -> str:
    return [path, f"./{path}", f"s3://b/x/{path}", f"s3a://b/x//{path}", f"y/../{path}"][how]


ROW = st.tuples(
    st.sampled_from("123é"), st.sampled_from("abcd"), st.sampled_from("cdef"), st.integers(0, 24)
)


@settings(max_examples=25)
@given(
    rows=st.lists(ROW, max_size=7),
    present=st.lists(st.sampled_from(["a", "b", "c", "d", "./c", "e", "f", "g"]), unique=True),
    prefixes=st.sampled_from([("",), ("a",), ("c", "e")]),
)
def test_an_index_finds_the_same_as_in_memory(
    rows: list[tuple[str, str, str, int]], present: list[str], prefixes: tuple[str, ...]
) -> None:
    index = pa.table(
        {
            "pair_id": pa.array([row[0] for row in rows], pa.string()),
            "ir": pa.array([written(row[1], row[3] % 5) for row in rows], pa.string()),
            "vi": pa.array([written(row[2], row[3] // 5) for row in rows], pa.string()),
        }
    )
    table = listing(path for path in present if path.startswith(prefixes))
    with tempfile.TemporaryDirectory() as folder:
        pairs = find_by_index(
            in_parts(table, 3), in_parts(index, 2), Path(folder), roots=ROOTS, prefixes=prefixes
        ).read()
    assert_same(pairs, pair_by_index(table, index, ROOTS, prefixes))


def test_the_first_path_outside_of_the_source_is_named_with_its_row(tmp_path: Path) -> None:
    odd = ["./1", "s3://elsewhere/2", "/3", "../4"]
    index = pa.table({"pair_id": ["a", "b", "c", "d"], "ir": ["1", "2", "3", "4"], "vi": odd})
    with pytest.raises(SettingsError, match=r"'s3://elsewhere/2' in the column vi of row 2"):
        find_by_index([listing(["1"])], in_parts(index, 1), tmp_path, roots=ROOTS)
    listed = listing(["1", "s3://elsewhere/2", "/3", "../4"])  # strange names, and there
    pairs = find_by_index([listed], in_parts(index, 1), tmp_path, roots=ROOTS)
    assert pairs.read().ambiguous == ()


def test_pairs_of_many_batches_stay_sorted(tmp_path: Path) -> None:
    count = 150_000  # several row groups of every file
    names = pa.array([f"{k * 7919 % count:06}" for k in range(count)])
    tables = [
        pa.table(
            {
                "path": pc.binary_join_element_wise(side, names, "/"),
                "bytes": pa.repeat(pa.scalar(1, pa.int64()), count),
                "version": names,
                "archived": pa.nulls(count, pa.string()),
            },
            schema=LISTING_SCHEMA,
        )
        for side in ("ir", "vi")
    ]
    pairs = find_by_templates(tables, "ir/{n}", "vi/{n}", tmp_path)
    ids = pairs.pairs.read(["pair_id"])["pair_id"]
    assert len(ids) == count
    assert ids.equals(pc.take(ids, pc.sort_indices(ids)))
    assert (len(pairs.unpaired), len(pairs.ambiguous), len(pairs.unmatched)) == (0, 0, 0)
