"""Frames of a sequence are one side of a pair, in memory and beyond."""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pytest
from frame_sequences import assert_same, check_sides, digest, files_of, in_parts, listing, number
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.archive.found_by_index import find_by_index
from fusion_core.archive.found_pairs import find_by_templates
from fusion_core.archive.pairing import pair_by_index, pair_by_templates
from fusion_core.archive.sequence import is_sequence
from fusion_core.errors import SettingsError

TEMPLATES = [
    ("ir/{c}/{n:frame}.png", "vi/{c}/{n:frame}.png"),
    ("ir/{c}/{n:frame}.png", "vi/{c}.mp4"),
    ("ir/{c}.mp4", "vi/{c}/f{k:frame}.png"),
    ("ir/{c}_{n:frame}.png", "vi/{c}/{n:frame}.png"),
    ("{c:path}/{n:frame}/ir.png", "{c:path}/{n:frame}/vi.png"),
    ("ir/{a:path}/{b}_{n:frame}.png", "vi/{b}/{a:path}/{n:frame}"),
]
VALUES = st.sampled_from(["a", "b", "a_1", "a/1", "1", "é", "x9/2/b", "\U0001f600"])
FRAMES = st.sampled_from(
    ["1", "01", "2", "10", "f2", "x1y", "no", "3é", "_1", "99999999999999999999"]
)


def filled(template: str) -> st.SearchStrategy[str]:
    """Paths that a template matches, most of them."""
    pieces = re.split(r"(\{\w+(?::\w+)?\})", template)
    names = [piece for piece in pieces if piece.startswith("{")]
    values = {name: FRAMES if ":frame" in name else VALUES for name in names}
    return st.fixed_dictionaries(values).map(lambda of: "".join(of.get(p, p) for p in pieces))


def archives(templates: tuple[str, str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.one_of(*map(filled, templates)), unique=True, max_size=30)


CASES = st.sampled_from(TEMPLATES).flatmap(lambda pair: st.tuples(st.just(pair), archives(pair)))


def naive_claims(paths: Iterable[str], template: str, order: list[str]) -> dict[str, set[str]]:
    """Of one template, the claims by pair id: the files' paths, or their sequences'."""
    beside = re.search(r"\}[^/]*\{\w+:frame", template) is not None
    pattern = ""
    seen = set()
    for piece in re.split(r"(\{\w+(?::\w+)?\})", template):
        name, _, kind = piece.strip("{}").partition(":")
        if not piece.startswith("{"):
            pattern += re.escape(piece)
        elif kind == "frame":
            pattern += f"(?P<frame>{'[0-9]+' if beside else '[^/]+'})"
        else:
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{'.' if kind else '[^/]'}+)"
            seen.add(name)
    claims: dict[str, set[str]] = {}
    for path in paths:
        found = re.fullmatch(pattern, path)
        if found is None:
            continue
        claim = path
        if ":frame" in template:
            if number(found["frame"]) is None:
                continue
            claim = path[: found.start("frame")] + "{}" + path[found.end("frame") :]
            claim = claim.format("{digits}" if beside else "{frame}")
        claims.setdefault("/".join(found[name] for name in order), set()).add(claim)
    return claims


def naive_side(paths: list[str], template: str, order: list[str]) -> dict[str, str]:
    """Of one template, the only claim of each pair id whose frames have numbers of their own."""
    claims = naive_claims(paths, template, order)
    found = {pair_id: next(iter(of)) for pair_id, of in claims.items() if len(of) == 1}
    frames = {
        pair_id: [n for n, _, _ in files_of(claim, paths)] if is_sequence(claim) else []
        for pair_id, claim in found.items()
    }
    return {i: claim for i, claim in found.items() if len(set(frames[i])) == len(frames[i])}


def check(paths: list[str], ir: str, vi: str, rows: int) -> None:
    """Compare both ways of pairing with each other and with plain Python."""
    table = listing(paths)
    memory = pair_by_templates(table, ir, vi)
    with (
        tempfile.TemporaryDirectory() as folder,
        patch("fusion_core.archive.sorted_claims.BATCH_ROWS", rows),
    ):
        found = find_by_templates(in_parts(table, rows), ir, vi, Path(folder)).read()
    assert_same(found, memory)
    order = [name for name, kind in re.findall(r"\{(\w+)(:\w+)?\}", ir) if kind != ":frame"]
    sides = [naive_side(paths, template, order) for template in (ir, vi)]
    named = [found.pairs[name].to_pylist() for name in ("pair_id", "ir_path", "vi_path")]
    common = sorted(sides[0].keys() & sides[1].keys(), key=str.encode)
    assert list(zip(*named, strict=True)) == [(i, sides[0][i], sides[1][i]) for i in common]
    check_sides(found.pairs, paths)


@settings(max_examples=50)
@given(case=CASES, rows=st.integers(1, 9))
def test_sequences_are_paired_alike_in_memory_and_beyond(
    case: tuple[tuple[str, str], list[str]], rows: int
) -> None:
    (ir, vi), paths = case
    check(paths, ir, vi, rows)


INDEXED = [
    *("ir/a/{frame}.png", "./ir/a/{frame}.png", "s3://b/x/ir/a_{digits}.png", "ir/a_{frame}.png"),
    *("{frame}/ir.png", "ir/none/{frame}.png", "ir/a/1.png", "ir/b.mp4", "vi/{frame}"),
]
PRESENT = [
    *("ir/a/1.png", "ir/a/2.png", "ir/a/x3.png", "ir/a/01.png", "ir/a/no.png", "ir/a/4.txt"),
    *("ir/a_1.png", "ir/a_2.png", "ir/a_b_1.png", "ir/a_\U0001f6003.png", "ir/b.mp4", "1/ir.png"),
    *("1/2/ir.png", "ir/ir.png", "vi/7", "vi/8/9", "other"),
]
ROWS = st.tuples(st.sampled_from("123"), st.sampled_from(INDEXED), st.sampled_from(INDEXED))


@settings(max_examples=25)
@given(
    rows=st.lists(ROWS, max_size=5),
    present=st.lists(st.sampled_from(PRESENT), unique=True),
    batch=st.integers(1, 9),
)
def test_an_index_pairs_sequences_alike_in_memory_and_beyond(
    rows: list[tuple[str, str, str]], present: list[str], batch: int
) -> None:
    index = pa.table(
        {
            name: pa.array([row[k] for row in rows], pa.string())
            for k, name in enumerate(("pair_id", "ir", "vi"))
        }
    )
    table, roots = listing(present), ("s3://b/x",)
    memory = pair_by_index(table, index, roots)
    with (
        tempfile.TemporaryDirectory() as folder,
        patch("fusion_core.archive.sorted_claims.BATCH_ROWS", batch),
        patch("fusion_core.archive.found_by_index._ROWS", batch),
    ):
        parts = in_parts(table, batch), in_parts(index, batch)
        found = find_by_index(*parts, Path(folder), roots=roots).read()
    assert_same(found, memory)
    check_sides(found.pairs, present)
    plain = [[re.sub("^(./|s3://b/x/)", "", path) for path in row] for row in rows]
    named = {path for row in plain for path in row[1:]}
    frames = {file for path in named if is_sequence(path) for *_, file in files_of(path, present)}
    assert set(found.unmatched) == set(present) - named - frames
    sides = [naive_index_side([(row[0], row[k]) for row in plain], present) for k in (1, 2)]
    common = sorted(sides[0].keys() & sides[1].keys())
    named_pairs = [found.pairs[name].to_pylist() for name in ("pair_id", "ir_path", "vi_path")]
    expected = [(i, sides[0][i], sides[1][i]) for i in common]
    assert list(zip(*named_pairs, strict=True)) == expected


def naive_index_side(rows: list[tuple[str, str]], present: list[str]) -> dict[str, str]:
    """Of one column, the only claim of each pair id that is there and can be of a pair."""
    claims: dict[str, list[str]] = {}
    for pair_id, path in rows:
        numbers = [n for n, _, _ in files_of(path, present)] if is_sequence(path) else [0]
        if numbers and (is_sequence(path) or path in present):
            times = 1 + (len(set(numbers)) < len(numbers))
            claims.setdefault(pair_id, []).extend([path] * times)
    return {pair_id: paths[0] for pair_id, paths in claims.items() if len(paths) == 1}


def test_a_path_of_an_index_with_two_frames_is_refused() -> None:
    index = pa.table({"pair_id": ["1"], "ir": ["a/{frame}/{digits}.png"], "vi": ["v"]})
    with pytest.raises(SettingsError, match=r"column ir of row 1, with more than one place"):
        pair_by_index(listing(["v"]), index)


def test_a_sequence_is_ambiguous_where_two_frames_have_one_number() -> None:
    paths = ["ir/c/1.png", "ir/c/01.png", "ir/c/2.png", "vi/c.mp4"]
    found = pair_by_templates(listing(paths), "ir/{c}/{n:frame}.png", "vi/{c}.mp4")
    assert found.ambiguous == ("ir/c/{frame}.png",)
    assert found.unpaired == ("vi/c.mp4",)
    assert not len(found.pairs)


def test_frames_of_many_batches_are_one_sequence(tmp_path: Path) -> None:
    names = [f"{k}.png" for k in range(70_000)]
    paths = [f"{side}/{name}" for side in ("ir/a", "ir/b", "vi/a") for name in names]
    found = find_by_templates(
        in_parts(listing([*paths, "vi/b/7.png"]), 20_000),
        "ir/{c}/{n:frame}.png",
        "vi/{c}/{n:frame}.png",
        tmp_path,
    )
    told = digest((str(k), len(f"ir/a/{k}.png"), f"v-ir/a/{k}.png") for k in range(70_000))
    pairs = found.pairs.read().to_pylist()
    assert pairs[0]["ir_version"] == told
    assert [row["vi_bytes"] for row in pairs] == [pairs[0]["ir_bytes"], len("vi/b/7.png")]
