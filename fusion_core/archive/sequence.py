"""Sequences of frames by their paths, such as ``ir/clip7/{frame}.png``.

``{frame}`` stands for what is different in the frames' paths: text without a slash whose last
digits are the frame's number. ``{digits}`` stands for digits alone. A real file whose path holds
either can't be told from a sequence.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.frame_claims import FRAMES_SCHEMA, add_numbers, fold_frames
from fusion_core.archive.path_template import DIGITS, FRAME
from fusion_core.errors import ReadError, SourceChangedError
from fusion_core.storage.errors import as_pair_error, gone
from fusion_core.storage.store import Storage

_LAST = "\U0010ffff"  # sorts behind whatever follows the same text in a path

IS_SEQUENCE = f"{re.escape(FRAME)}|{re.escape(DIGITS)}"
"""Matches part of the path of a sequence, in RE2 and Python alike."""


@dataclass(frozen=True)
class Frame:
    """One frame of a sequence.

    Attributes:
        number: The last number in what its path has for the sequence's ``{frame}``, 0 or more. It
            orders the frames; no two of a sequence have the same.
        path: Its path below the source.
        bytes: Its size.
        version: What it is known by, see ``read_listed``.
    """

    number: int
    path: str
    bytes: int
    version: str


def is_sequence(path: str) -> bool:
    """Tell whether a path is that of a sequence of frames, not of a file."""
    return FRAME in path or DIGITS in path


def are_sequences(paths: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Tell the same of a column of paths."""
    return pc.match_substring_regex(paths, IS_SEQUENCE)


def split_sequence(path: str) -> tuple[str, str, str]:
    """Return what stands before, for and after the frame in the path of a sequence."""
    before, placeholder, after = re.split(f"({IS_SEQUENCE})", path, maxsplit=1)
    return before, placeholder, after


def frames_of(listing: pa.Table, path: str) -> pa.Table:
    """Return the files of a listing that are frames of a sequence, as ``add_frames`` does.

    Args:
        listing: A column ``path`` and any others.
        path: The sequence's.
    """
    before, placeholder, after = split_sequence(path)
    value = "[0-9]+" if placeholder == DIGITS else "[^/]+"
    pattern = f"(?s)^{re.escape(before)}(?P<frame>{value}){re.escape(after)}$"
    paths = listing["path"].combine_chunks()
    frames = pc.struct_field(pc.extract_regex(paths, pattern=pattern), "frame")
    found = listing.append_column("sequence", pa.repeat(path, len(listing)))
    found = add_numbers(found.append_column("frame", frames))
    return found.filter(pc.is_valid(found["number"]))


def named_frames(
    named: Iterable[dict[str, str]], files: Iterable[pa.RecordBatch]
) -> Iterator[pa.Table]:
    """Yield the frames of sequences that an index names, of ``FRAMES_SCHEMA``.

    Whatever is held is a batch of files and the sequences whose frames may be in it, so that
    neither needs to fit into memory.

    Args:
        named: ``pair_id``, ``side`` and ``path`` of sequences, sorted by what ``split_sequence``
            puts before the frame.
        files: Rows of ``LISTING_SCHEMA``, sorted by path.
    """
    coming = iter(named)
    following = next(coming, None)
    begun: list[tuple[str, dict[str, str]]] = []
    for batch in files:
        listing = pa.Table.from_batches([batch])
        paths = batch.column("path").to_pylist()  # UTF-8 sorts as code points do
        while (
            following is not None and (front := split_sequence(following["path"])[0]) <= paths[-1]
        ):
            begun.append((front, following))
            following = next(coming, None)
        for front, row in begun:
            begin, end = bisect_left(paths, front), bisect_left(paths, front + _LAST)
            found = frames_of(listing.slice(begin, end - begin), row["path"])
            for name in ("pair_id", "side"):
                found = found.append_column(name, pa.repeat(row[name], len(found)))
            yield found.select(FRAMES_SCHEMA.names).cast(FRAMES_SCHEMA)
        begun = [(front, row) for front, row in begun if front + _LAST > paths[-1]]


def list_frames(source: Storage, path: str, *, size: int, version: str) -> list[Frame]:
    """List the frames of a sequence again, and check that they are those of when it was planned.

    Args:
        source: Where they lie.
        path: The sequence's.
        size: What its frames had together when the archive was listed, in bytes.
        version: What the sequence was known by then.

    Returns:
        The frames, by number.

    Raises:
        ReadError: They can't be listed.
        SourceChangedError: A frame is there or gone, or another one, since the archive was listed.
        UnreachableError: The store gives no answer.
    """
    before, _, _ = split_sequence(path)
    with as_pair_error(ReadError):
        listing = source.list(before)
    frames = frames_of(listing, path)
    if not len(frames):
        raise gone(path)
    frames = frames.sort_by([("number", "ascending"), ("frame", "ascending")])
    for name in ("pair_id", "side"):
        frames = frames.append_column(name, pa.repeat("", len(frames)))
    claim = fold_frames(frames).to_pylist()
    if claim[0]["version"] != version:
        raise SourceChangedError(
            f"the {len(frames)} frames {path} have {claim[0]['bytes']} bytes, and had {size} when "
            "the archive was listed; expected the same files, so they changed in between. The next "
            "run looks again"
        )
    columns = ("number", "path", "bytes", "version")
    return [Frame(**row) for row in frames.select(columns).to_pylist()]
