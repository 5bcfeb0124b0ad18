"""Paths as indexes write them, brought to how a listing names the same files.

Whoever makes an index often has whole URLs, or ``./`` in front. What lies outside of the source is
refused, for a run reads nothing else.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.errors import SettingsError
from fusion_core.storage.store import Storage

_WITH_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]*)://(.*)", re.DOTALL)
_ODD = r"(?s)://|//|^/|/$|(?:^|/)\.\.?(?:/|$)"
"""Matches what a listing's path is not, but for strange names on an object store."""


def source_roots(source: Storage, given: str) -> tuple[str, ...]:
    """Return the ways to write a source in front of a path, the whole URL first.

    Args:
        source: The source.
        given: Its URL or folder as the settings have it.
    """
    protocols = source.fs.protocol
    names = (protocols,) if isinstance(protocols, str) else tuple(protocols)
    if source.is_local:
        folders = dict.fromkeys([source.root, os.path.realpath(source.root)])
        roots = [*folders, *(f"{name}://{folder}" for folder in folders for name in names)]
    else:
        roots = [source.url(""), *(f"{name}://{source.root.lstrip('/')}" for name in names)]
    return tuple(dict.fromkeys(_canonical(root) for root in (*roots, given)))


def below_source(
    named: pa.Table, listed: pa.ChunkedArray, roots: Sequence[str]
) -> dict[str, pa.ChunkedArray]:
    """Return columns of paths as the listing writes them.

    Args:
        named: The columns, of text.
        listed: The listing's paths. One that is there as it is written stays so.
        roots: The ways to write the source, of ``source_roots``; the first is for messages.

    Raises:
        SettingsError: A path lies outside of the source.
    """
    return {name: _column(name, named[name], listed, roots) for name in named.column_names}


def _column(
    name: str, paths: pa.ChunkedArray, listed: pa.ChunkedArray, roots: Sequence[str]
) -> pa.ChunkedArray:
    texts, others = ways_to_read(paths, roots)
    known = pc.or_(pc.is_null(others), pc.is_in(texts, value_set=listed))
    read = pc.if_else(known, texts, others)
    if (row := pc.index(read, "").as_py()) >= 0:
        raise outside(name, texts[row].as_py(), row, roots)
    return read


def ways_to_read(
    paths: pa.ChunkedArray, roots: Sequence[str]
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return paths as a listing may have them, and in another way where it may have that instead.

    Args:
        paths: As an index has them.
        roots: The ways to write the source, of ``source_roots``.

    Returns:
        The paths, and for each the other way: null where there is none, empty where the path lies
        outside of the source unless the listing has it as it is.
    """
    paths = _without_roots(paths, roots)
    odd = _is_odd(paths, roots)
    others = [_below(text, roots) or "" for text in paths.filter(odd).to_pylist()]
    # Chunk by chunk, since the whole column may be larger than an array of text can be.
    chunks, begin, done = [], 0, 0
    for chunk in paths.chunks:
        mask = pa.concat_arrays(odd.slice(begin, len(chunk)).chunks)
        own = pa.array(others[done : done + mask.true_count], pa.string())
        chunks.append(pc.replace_with_mask(pa.nulls(len(chunk), pa.string()), mask, own))
        begin, done = begin + len(chunk), done + len(own)
    return paths, pa.chunked_array(chunks, pa.string())


def outside(name: str, text: str, row: int, roots: Sequence[str]) -> SettingsError:
    """Return the error of a path that lies outside of the source.

    Args:
        name: The column.
        text: The path.
        row: How many rows stand before it.
        roots: The ways to write the source; the first is told.
    """
    return SettingsError(
        f"the index names {text!r} in the column {name} of row {row + 1}, which is not below the "
        f"source {roots[0]}; expected paths below it, such as ir/1.png, alone or with the source "
        "in front. Correct the index, or give the folder or bucket that holds all files as the "
        "source"
    )


def _without_roots(paths: pa.ChunkedArray, roots: Sequence[str]) -> pa.ChunkedArray:
    """Take the source off the front of paths that need nothing else, on the whole column."""
    for root in roots:
        start = f"{root.rstrip('/')}/"
        if not _WITH_SCHEME.match(start) and not start.startswith("/"):
            continue  # a folder's name, which may be one below the source as well
        rest = pc.utf8_slice_codeunits(paths, len(start))
        plain = pc.invert(pc.match_substring_regex(rest, _ODD))
        taken = pc.and_(pc.starts_with(paths, start), pc.and_(plain, pc.not_equal(rest, "")))
        paths = pc.if_else(taken, rest, paths)
    return paths


def _is_odd(paths: pa.ChunkedArray, roots: Sequence[str]) -> pa.ChunkedArray:
    odd = pc.match_substring_regex(paths, _ODD)
    for root in roots:
        odd = pc.or_(odd, pc.starts_with(paths, f"{root.rstrip('/')}/"))
    return odd


def _below(path: str, roots: Sequence[str]) -> str | None:
    """Return a path as it is below the source; None where it isn't."""
    text = _canonical(path)
    if text.startswith("../"):
        text = _canonical(f"{roots[0].rstrip('/')}/{text}")
    for root in roots:
        start = f"{root.rstrip('/')}/"
        if text.startswith(start) and text != start:
            return text[len(start) :]
    outside = text in (".", "..", *roots) or text.startswith("/") or _WITH_SCHEME.match(text)
    return None if outside else text


def _canonical(text: str) -> str:
    """Return a path or URL with one slash between names, none behind, and ``.`` and ``..`` gone."""
    scheme = _WITH_SCHEME.fullmatch(text)
    start, rest = (f"{scheme[1].lower()}://", scheme[2]) if scheme else ("", text)
    rest = posixpath.normpath(re.sub("/+", "/", rest)) if rest else rest
    return f"{start}{rest}"
