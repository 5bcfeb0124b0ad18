"""Listings with sequences of frames, and what their pairs must be by plain Python."""

import hashlib
import re
from collections.abc import Iterable, Iterator

import pyarrow as pa

from fusion_core.archive.pairing import PAIRS_SCHEMA, Pairing
from fusion_core.archive.sequence import frames_of, is_sequence
from fusion_core.storage.listing import LISTING_SCHEMA


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


def files_of(sequence: str, paths: Iterable[str]) -> list[tuple[int, str, str]]:
    """Number, text and path of the frames of a sequence, by the path of it alone."""
    value = "([0-9]+)" if "{digits}" in sequence else "([^/]+)"
    before, after = re.split(r"\{frame\}|\{digits\}", sequence)
    found = [(re.fullmatch(re.escape(before) + value + re.escape(after), p), p) for p in paths]
    texts = [(match[1], path) for match, path in found if match]
    told = [(number(text), text, path) for text, path in texts]
    return sorted((n, text, path) for n, text, path in told if n is not None)


def assert_same(found: Pairing, memory: Pairing) -> None:
    assert found.pairs.equals(memory.pairs)
    assert found.pairs.schema == memory.pairs.schema == PAIRS_SCHEMA
    for name in ("unpaired", "ambiguous", "unmatched"):
        assert getattr(found, name) == getattr(memory, name), name


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
