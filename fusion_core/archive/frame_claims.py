"""Makes one claim to a pair id of the frames of each sequence.

A sequence of frames, such as ``ir/clip7/0001.png`` and those after it, is one side of a pair as a
video file is. Its path has ``{frame}`` or ``{digits}`` where its frames differ, its size is that of
all of them together, and its version a digest of theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.path_template import PathTemplate, frame_numbers
from fusion_core.storage.listing import LISTING_SCHEMA

CLAIMS_SCHEMA = pa.schema([("pair_id", pa.string()), ("side", pa.string()), *LISTING_SCHEMA])
"""A file, or a sequence, that claims to be one side of a pair, ``ir`` or ``vi``."""

FRAMES_SCHEMA = pa.schema(
    [*CLAIMS_SCHEMA, ("sequence", pa.string()), ("frame", pa.string()), ("number", pa.uint64())]
)
"""A file that claims to be one side of a pair, alone or as a frame of a sequence.

``sequence`` is the path of that, ``frame`` the text of the path that its frames differ in, and
``number`` the last number in that; all three are null of a file alone.
"""

FRAMES_ORDER = ("pair_id", "side", "sequence", "number", "frame")
"""The order in which ``whole_sequences`` takes files."""

_ROWS = 65_536


def add_frames(claims: pa.Table, template: PathTemplate) -> pa.Table:
    """Return files with what tells their sequence and frame, see ``FRAMES_SCHEMA``.

    Args:
        claims: A column ``path`` of files that the template matches, and any others.
        template: Of sequences, or of single files.
    """
    sequences, frames = template.sequences(claims["path"])
    return add_columns(claims, sequences, frames)


def add_columns(claims: pa.Table, sequences: pa.Array, frames: pa.Array) -> pa.Table:
    """Return files with the path of each one's sequence, the text of its frame and its number."""
    for name, column in (
        ("sequence", sequences),
        ("frame", frames),
        ("number", frame_numbers(frames)),
    ):
        claims = claims.append_column(name, column)
    return claims


def fold_frames(claims: pa.Table, side: str) -> pa.Table:
    """Return the claims of one side with one row for each sequence, in memory.

    Args:
        claims: Columns of ``FRAMES_SCHEMA`` but ``side``.
        side: The side.
    """
    claims = claims.append_column("side", pa.repeat(side, len(claims)))
    ordered = claims.sort_by([(name, "ascending") for name in FRAMES_ORDER])
    folded = whole_sequences(ordered.to_batches(_ROWS))
    return pa.concat_tables([CLAIMS_SCHEMA.empty_table(), *folded])


def whole_sequences(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield claims of ``CLAIMS_SCHEMA``: a row for each file alone and for each sequence.

    A sequence in which two frames have the same number claims its side of the pair twice: choosing
    one of them would be a guess, so it is as ambiguous as two sequences are.

    Args:
        batches: Rows of ``FRAMES_SCHEMA`` in ``FRAMES_ORDER``.
    """
    last: _Claim | None = None
    for batch in batches:
        if not len(batch):
            continue
        done: list[dict[str, Any]] = []
        frames = _Frames(batch)
        for row, (begin, end) in zip(frames.first, pairwise(frames.bounds), strict=True):
            if last is None or not last.goes_on(row):
                done += last.rows() if last is not None else []
                last = _Claim(row)
            last.add(frames, begin, end)
        yield pa.Table.from_pylist(done, schema=CLAIMS_SCHEMA)
    if last is not None:
        yield pa.Table.from_pylist(last.rows(), schema=CLAIMS_SCHEMA)


class _Frames:
    """A batch of files, cut where another sequence or a file alone begins.

    Attributes:
        first: The first row of each piece.
        bounds: Where each begins, and where the last ends.
    """

    def __init__(self, batch: pa.RecordBatch):
        changes = np.ones(len(batch), bool)
        changes[1:] = False
        for name in ("pair_id", "side", "sequence"):
            column = batch.column(name)
            same = pc.fill_null(pc.equal(column.slice(1), column.slice(0, len(batch) - 1)), False)
            changes[1:] |= ~same.to_numpy(zero_copy_only=False)
        starts = np.flatnonzero(changes)
        self.first: list[dict[str, Any]] = batch.take(pa.array(starts)).to_pylist()
        self.bounds: list[int] = [*starts.tolist(), len(batch)]
        self.bytes = batch.column("bytes").to_numpy()
        self.archived = batch.column("archived")
        self.numbers = pc.fill_null(batch.column("number"), 0).to_numpy(zero_copy_only=False)
        size = batch.column("bytes").cast(pa.string())
        # Neither name nor version holds a zero byte, so that other frames are another text.
        told = pc.binary_join_element_wise(
            batch.column("frame"), size, batch.column("version"), "", "\0"
        )
        _, offsets, text = told.buffers()
        self._offsets = np.frombuffer(offsets, np.int32)
        self._text = memoryview(text or b"")

    def text(self, begin: int, end: int) -> memoryview:
        """Return what these frames add to the digest of their sequence."""
        return self._text[self._offsets[begin] : self._offsets[end]]


class _Claim:
    """A file alone, or a sequence whose frames come one piece after the other.

    Args:
        first: Its first row, of ``FRAMES_SCHEMA``.
    """

    def __init__(self, first: dict[str, Any]):
        self._first = first
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._archived: str | None = None
        self._last: int | None = None
        self._twice = False

    def goes_on(self, row: dict[str, Any]) -> bool:
        """Tell whether a row that follows is a frame of the same sequence."""
        return row["sequence"] is not None and all(
            row[name] == self._first[name] for name in ("pair_id", "side", "sequence")
        )

    def add(self, frames: _Frames, begin: int, end: int) -> None:
        """Take these frames in, which follow those before them."""
        if self._first["sequence"] is None:
            return
        self._digest.update(frames.text(begin, end))
        self._bytes += int(frames.bytes[begin:end].sum())
        numbers = frames.numbers[begin:end]
        self._twice |= bool((numbers[1:] == numbers[:-1]).any()) or self._last == numbers[0]
        self._last = int(numbers[-1])
        archived = frames.archived.slice(begin, end - begin).drop_null()
        if self._archived is None and len(archived):
            self._archived = archived[0].as_py()

    def rows(self) -> list[dict[str, Any]]:
        """Return the claim; twice where it can't be what one pair is made of."""
        claim = {name: self._first[name] for name in CLAIMS_SCHEMA.names}
        if self._first["sequence"] is None:
            return [claim]
        claim["path"], claim["bytes"] = self._first["sequence"], self._bytes
        claim["version"] = f"frames:{self._digest.hexdigest()[:32]}"
        claim["archived"] = self._archived
        return [claim, claim] if self._twice else [claim]
