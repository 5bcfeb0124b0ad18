"""Frames of a sequence are one side of a pair, and are found again by its path."""

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.archive.found_pairs import find_by_templates
from fusion_core.archive.pairing import PAIRS_SCHEMA, Pairing, pair_by_templates
from fusion_core.archive.sequence import Frame, frames_of, is_sequence, list_frames
from fusion_core.errors import ReadError, SettingsError, SourceChangedError
from fusion_core.storage.listing import LISTING_SCHEMA
from fusion_core.storage.reading import read_listed
from fusion_core.storage.store import Storage

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


def digest(frames: Iterable[tuple[str, int, str]]) -> str:
    """The version of a sequence: frames by number, each as text, size and version."""
    told = "".join(f"{frame}\0{size}\0{version}\0" for frame, size, version in frames)
    return f"frames:{hashlib.sha256(told.encode()).hexdigest()[:32]}"


def number(frame: str) -> int | None:
    runs = re.findall("[0-9]+", frame)
    return int(runs[-1]) if runs and int(runs[-1]) < 10**19 else None


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


def files_of(sequence: str, paths: Iterable[str]) -> list[tuple[int, str, str]]:
    """Number, text and path of the frames of a sequence, by the path of it alone."""
    value = "([0-9]+)" if "{digits}" in sequence else "([^/]+)"
    before, after = re.split(r"\{frame\}|\{digits\}", sequence)
    found = [(re.fullmatch(re.escape(before) + value + re.escape(after), p), p) for p in paths]
    texts = [(match[1], path) for match, path in found if match]
    told = [(number(text), text, path) for text, path in texts]
    return sorted((n, text, path) for n, text, path in told if n is not None)


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
    assert found.pairs.equals(memory.pairs)
    assert found.pairs.schema == memory.pairs.schema == PAIRS_SCHEMA
    for name in ("unpaired", "ambiguous", "unmatched"):
        assert getattr(found, name) == getattr(memory, name), name
    order = [name for name, kind in re.findall(r"\{(\w+)(:\w+)?\}", ir) if kind != ":frame"]
    sides = [naive_side(paths, template, order) for template in (ir, vi)]
    named = [found.pairs[name].to_pylist() for name in ("pair_id", "ir_path", "vi_path")]
    common = sorted(sides[0].keys() & sides[1].keys(), key=str.encode)
    assert list(zip(*named, strict=True)) == [(i, sides[0][i], sides[1][i]) for i in common]
    check_sides(found.pairs, paths)


def check_sides(pairs: pa.Table, paths: list[str]) -> None:
    """Sizes, versions and storage classes are those of the frames that the path finds again."""
    for row in pairs.to_pylist():
        classes = []
        for side in ("ir", "vi"):
            path = row[f"{side}_path"]
            if not is_sequence(path):
                assert row[f"{side}_version"] == f"v-{path}"
                classes.append("GLACIER" if "é" in path else None)
                continue
            frames = files_of(path, paths)
            files = [file for _, _, file in frames]
            told = [(text, len(file), f"v-{file}") for _, text, file in frames]
            assert row[f"{side}_version"] == digest(told)
            assert row[f"{side}_bytes"] == sum(map(len, files))
            assert frames_of(listing(paths), path).sort_by("number")["path"].to_pylist() == files
            classes.append("GLACIER" if any("é" in file for file in files) else None)
        assert row["archived"] == (classes[0] or classes[1])


@settings(max_examples=60)
@given(case=CASES, rows=st.integers(1, 9))
def test_sequences_are_paired_alike_in_memory_and_beyond(
    case: tuple[tuple[str, str], list[str]], rows: int
) -> None:
    (ir, vi), paths = case
    check(paths, ir, vi, rows)
