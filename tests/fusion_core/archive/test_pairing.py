import io
from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.archive.index_file import read_index
from fusion_core.archive.pairing import (
    PAIRS_SCHEMA,
    Pairing,
    pair_by_index,
    pair_by_templates,
)
from fusion_core.errors import SettingsError
from fusion_core.storage.listing import LISTING_SCHEMA

IR, VI = "{pair}_ir*", "{pair}_vi*"
PATHS = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["a", "b", "é", "", "d/"]),
        st.sampled_from(["_ir", "_vi", "_", "_ir_vi", "_vi_ir"]),
        st.sampled_from([".png", ".tif", ""]),
    ),
    unique=True,
)
IDS = st.sampled_from(["1", "2", "3"])
INDEX = st.lists(st.tuples(IDS, st.sampled_from("abcd"), st.sampled_from("cdef")), max_size=6)


def listing(paths: Iterable[str]) -> pa.Table:
    rows = [{"path": path, "bytes": len(path), "version": f"v-{path}"} for path in paths]
    return pa.Table.from_pylist(rows, schema=LISTING_SCHEMA)


def parts(pairing: Pairing) -> tuple[list[tuple[str, str, str]], list[str], list[str], list[str]]:
    names = (pairing.pairs[name].to_pylist() for name in ("pair_id", "ir_path", "vi_path"))
    return (
        list(zip(*names, strict=True)),
        list(pairing.unpaired),
        list(pairing.ambiguous),
        list(pairing.unmatched),
    )


def naive(claims: list[tuple[str, str, str]], paths: Iterable[str]) -> Pairing:
    """Pairing in plain Python from claims (path, side, pair id)."""
    by_key: dict[tuple[str, str], list[str]] = {}
    for path, side, pair_id in claims:
        by_key.setdefault((side, pair_id), []).append(path)
    sides_of: dict[str, set[str]] = {}
    for path, side, _ in claims:
        sides_of.setdefault(path, set()).add(side)
    pairs, unpaired, ambiguous = [], set(), set()
    for pair_id in sorted({pair_id for _, _, pair_id in claims}):
        found = {}
        for side in ("ir", "vi"):
            files = by_key.get((side, pair_id), [])
            if len(files) > 1:
                ambiguous.update(files)
            elif files:
                found[side] = files[0]
        if len(found) == 2:
            pairs.append({"pair_id": pair_id, "ir_path": found["ir"], "vi_path": found["vi"]})
        else:
            unpaired.update(found.values())
    unmatched = set(paths) - set(sides_of)
    schema = pa.schema([PAIRS_SCHEMA.field(name) for name in ("pair_id", "ir_path", "vi_path")])
    table = pa.Table.from_pylist(pairs, schema=schema)
    return Pairing(table, *(tuple(sorted(group)) for group in (unpaired, ambiguous, unmatched)))


def naive_by_templates(paths: list[str]) -> Pairing:
    claims, both = [], set()
    for path in paths:
        name = path if "/" not in path else ""  # the templates stay within one folder
        sides = [side for side in ("ir", "vi") if name.rfind(f"_{side}") > 0]
        if len(sides) == 2:
            both.add(path)
        else:
            claims += [(path, side, name[: name.rfind(f"_{side}")]) for side in sides]
    found = naive(claims, set(paths) - both)
    ambiguous = tuple(sorted({*found.ambiguous, *both}))
    return Pairing(found.pairs, found.unpaired, ambiguous, found.unmatched)


@settings(max_examples=60)
@given(paths=PATHS)
def test_templates_pair_as_a_naive_pairing_does(paths: list[str]) -> None:
    found = pair_by_templates(listing(paths), IR, VI)
    assert parts(found) == parts(naive_by_templates(paths))
    assert found.pairs.schema == PAIRS_SCHEMA


@settings(max_examples=60)
@given(paths=PATHS, data=st.data())
def test_every_path_ends_in_one_group_whatever_the_order(
    paths: list[str], data: st.DataObject
) -> None:
    pairs, unpaired, ambiguous, unmatched = parts(pair_by_templates(listing(paths), IR, VI))
    ends = [path for pair in pairs for path in pair[1:]] + unpaired + ambiguous + unmatched
    assert Counter(ends) == Counter(paths)
    assert len({pair_id for pair_id, _, _ in pairs}) == len(pairs)
    shuffled = data.draw(st.permutations(paths))
    again = pair_by_templates(listing(shuffled), IR, VI)
    assert parts(again) == (pairs, unpaired, ambiguous, unmatched)


def test_a_pair_carries_bytes_and_versions_of_its_files() -> None:
    pairs = pair_by_templates(listing(["1_ir.png", "1_vi.jpeg"]), IR, VI).pairs
    assert pairs.to_pylist() == [
        {
            "pair_id": "1",
            "ir_path": "1_ir.png",
            "ir_bytes": 8,
            "ir_version": "v-1_ir.png",
            "vi_path": "1_vi.jpeg",
            "vi_bytes": 9,
            "vi_version": "v-1_vi.jpeg",
            "archived": None,
        }
    ]


def test_many_pairs_in_several_chunks_of_columns_are_paired() -> None:
    count = 3000
    tables = [
        listing([f"{side}/{k:05}.png" for k in range(count)] + [f"{side}/readme"])
        for side in ("ir", "vi")
    ]
    pairing = pair_by_templates(pa.concat_tables(tables), "ir/{k}.png", "vi/{k}.png")
    assert pairing.pairs["pair_id"].to_pylist() == [f"{k:05}" for k in range(count)]
    assert pairing.unmatched == ("ir/readme", "vi/readme")


@settings(max_examples=60)
@given(rows=INDEX, present=st.lists(st.sampled_from("abcdefgh"), unique=True), data=st.data())
def test_an_index_pairs_as_a_naive_pairing_does(
    rows: list[tuple[str, str, str]], present: list[str], data: st.DataObject
) -> None:
    columns = ("pair_id", "ir", "vi")
    table = pa.table(
        {name: pa.array([row[k] for row in rows], pa.string()) for k, name in enumerate(columns)}
    )
    found = pair_by_index(listing(present), table)
    claims = [(row[k], columns[k], row[0]) for row in rows for k in (1, 2) if row[k] in present]
    named = {path for row in rows for path in row[1:]}
    expected = naive(claims, set(present))
    unpaired = tuple(sorted({*expected.unpaired, *(named - set(present))}))
    assert parts(found) == parts(
        Pairing(expected.pairs, unpaired, expected.ambiguous, expected.unmatched)
    )
    shuffled = pair_by_index(listing(data.draw(st.permutations(present))), table)
    assert parts(shuffled) == parts(found)
    assert {*present} <= {path for pair in parts(found)[0] for path in pair[1:]} | {
        path for group in parts(found)[1:] for path in group
    }


def test_an_index_is_read_with_the_source_in_front_of_its_paths() -> None:
    table = pa.table(
        {
            "pair_id": ["1", "2", "3"],
            "ir": ["s3://bucket/x/ir/1", "./ir/2", "ir//3"],
            "vi": ["vi/1", "s3a://bucket/x/vi/2", "vi/./3"],
        }
    )
    roots = ("s3://bucket/x", "s3a://bucket/x")
    found = pair_by_index(listing(["ir/1", "ir/2", "ir/3", "vi/1", "vi/2", "vi/3"]), table, roots)
    pairs = [(name, f"ir/{name}", f"vi/{name}") for name in "123"]
    assert parts(found) == (pairs, [], [], [])
    assert found.index_rows == 3


def test_rows_of_an_index_outside_of_what_is_looked_at_are_left_out() -> None:
    table = pa.table(
        {"pair_id": ["1", "2", "3"], "ir": ["a/1", "b/2", "b/3"], "vi": ["a/1v", "b/2v", "c/3v"]}
    )
    found = pair_by_index(listing(["b/2", "b/2v", "b/3"]), table, (), ("b/", "d/"))
    assert parts(found) == ([("2", "b/2", "b/2v")], ["b/3", "c/3v"], [], [])
    assert found.index_rows == 2


def test_one_visible_file_may_belong_to_several_infrared_ones() -> None:
    table = pa.table({"pair_id": ["1", "2"], "ir": ["a", "b"], "vi": ["v", "v"]})
    found = pair_by_index(listing(["a", "b", "v"]), table)
    assert parts(found)[0] == [("1", "a", "v"), ("2", "b", "v")]


def test_an_empty_archive_has_no_pairs() -> None:
    for pairing in (
        pair_by_templates(LISTING_SCHEMA.empty_table(), IR, VI),
        pair_by_index(LISTING_SCHEMA.empty_table(), read_index("i.csv", b"pair_id,ir,vi\n")),
    ):
        assert parts(pairing) == ([], [], [], [])
        assert pairing.pairs.schema == PAIRS_SCHEMA


@pytest.mark.parametrize(
    "body",
    [
        b"pair_id,ir,vi\n007,a,1e3\n",
        b"\xef\xbb\xbfpair_id,ir,vi\r\n007,a,1e3\r\n",
        b'\n"vi","pair_id","ir","note"\n"1e3","007","a",5\n',
    ],
)
def test_an_index_in_csv_keeps_its_text(body: bytes) -> None:
    index = read_index("index.csv", body).select(["pair_id", "ir", "vi"])
    assert index.to_pylist() == [{"pair_id": "007", "ir": "a", "vi": "1e3"}]


def test_an_index_in_parquet_may_hold_numbers() -> None:
    body = io.BytesIO()
    pq.write_table(pa.table({"pair_id": [7], "ir": ["a"], "vi": ["b"]}), body)
    pairing = pair_by_index(listing(["a", "b"]), read_index("i.parquet", body.getvalue()))
    assert parts(pairing)[0] == [("7", "a", "b")]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("i.csv", b""),
        ("i.csv", b"pair_id,ir,vi\n1,2\n"),
        ("i.csv", b"pair_id,ir,vi\n1,\xff,2\n"),
        ("i.csv", b"pair_id,ir,vi,\xff\n1,2,3,4\n"),
        ("i.parquet", b"pair_id,ir,vi\n1,2,3\n"),
    ],
)
def test_an_index_that_cannot_be_read_is_refused(name: str, body: bytes) -> None:
    with pytest.raises(SettingsError, match=f"can't read the index {name}"):
        read_index(name, body)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"pair_id": ["1"], "ir": ["a"]}, "expected pair_id, ir and vi"),
        ({"pair_id": ["1", "2"], "ir": ["a", ""], "vi": ["b", "c"]}, "ir has an empty .* row 2"),
        ({"pair_id": [None], "ir": ["a"], "vi": ["b"]}, "pair_id has an empty value in row 1"),
        ({"pair_id": [["1"]], "ir": ["a"], "vi": ["b"]}, "expected text"),
    ],
)
def test_an_index_with_gaps_is_refused(columns: dict[str, list[object]], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        pair_by_index(listing(["a", "b"]), pa.table(columns))


def test_an_index_with_a_column_twice_is_refused() -> None:
    with pytest.raises(SettingsError, match="each of them once"):
        pair_by_index(listing([]), read_index("i.csv", b"pair_id,ir,vi,ir\n1,a,b,c\n"))


@pytest.mark.parametrize("by_index", [False, True])
def test_a_pair_is_archived_where_a_side_of_it_is(by_index: bool) -> None:
    classes = {
        "1_ir.png": None,
        "1_vi.png": None,
        "2_ir.png": "GLACIER",
        "2_vi.png": None,
        "3_ir.png": None,
        "3_vi.png": "DEEP_ARCHIVE",
        "4_ir.png": "GLACIER",
        "4_vi.png": "DEEP_ARCHIVE",
    }
    rows = [
        {"path": path, "bytes": 1, "version": "v", "archived": held}
        for path, held in classes.items()
    ]
    table = pa.Table.from_pylist(rows, schema=LISTING_SCHEMA)
    if by_index:
        lines = "".join(f"{k},{k}_ir.png,{k}_vi.png\n" for k in "1234")
        pairing = pair_by_index(table, read_index("i.csv", f"pair_id,ir,vi\n{lines}".encode()))
    else:
        pairing = pair_by_templates(table, "{k}_ir.png", "{k}_vi.png")
    assert pairing.pairs.schema == PAIRS_SCHEMA
    assert pairing.pairs["archived"].to_pylist() == [None, "GLACIER", "DEEP_ARCHIVE", "GLACIER"]
