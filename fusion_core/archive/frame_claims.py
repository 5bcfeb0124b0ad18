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
"""A frame of a sequence that claims to be one side of a pair.

``sequence`` is the path of that, ``frame`` the text that stands for it in the frame's path, and
``number`` the last number in that.
"""

FRAMES_ORDER = ("pair_id", "side", "sequence", "number", "frame")
"""The order in which ``whole_sequences`` takes frames."""

_SEQUENCE = ("pair_id", "side", "sequence")  # what all frames of one have alike
_ROWS = 65_536


def add_frames(claims: pa.Table, template: PathTemplate) -> pa.Table:
    """Return files with what tells their sequence and frame, see ``FRAMES_SCHEMA``.

    Args:
        claims: A column ``path`` of files that the template matches, and any others.
        template: A template of sequences.
    """
    sequences, frames = template.sequences(claims["path"])
    return add_numbers(claims.append_column("sequence", sequences).append_column("frame", frames))


def add_numbers(claims: pa.Table) -> pa.Table:
    """Return files with the number of each one's ``frame``; null where that has none."""
    frames = claims["frame"].cast(pa.string()).combine_chunks()
    return claims.append_column("number", frame_numbers(frames))


def fold_frames(frames: pa.Table) -> pa.Table:
    """Return the claims, of ``CLAIMS_SCHEMA``, that frames of ``FRAMES_SCHEMA`` make, in memory."""
    ordered = frames.sort_by([(name, "ascending") for name in FRAMES_ORDER])
    folded = whole_sequences(ordered.to_batches(_ROWS))
    return pa.concat_tables([CLAIMS_SCHEMA.empty_table(), *folded])


def whole_sequences(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield claims of ``CLAIMS_SCHEMA``, one row for each sequence.

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
    """A batch of frames, cut where another sequence begins.

    Attributes:
        first: The first row of each piece.
        bounds: Where each begins, and where the last ends.
    """

    def __init__(self, batch: pa.RecordBatch):
        changes = np.ones(len(batch), bool)
        changes[1:] = False
        for name in _SEQUENCE:
            column = batch.column(name)
            same = pc.equal(column.slice(1), column.slice(0, len(batch) - 1))
            changes[1:] |= ~same.to_numpy(zero_copy_only=False)
        starts = np.flatnonzero(changes)
        self.first: list[dict[str, Any]] = batch.take(pa.array(starts)).to_pylist()
        self.bounds: list[int] = [*starts.tolist(), len(batch)]
        self.bytes = batch.column("bytes").to_numpy()
        self.archived = batch.column("archived")
        self.numbers = batch.column("number").to_numpy()
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
    """A sequence, whose frames come one piece after the other.

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
        return all(row[name] == self._first[name] for name in _SEQUENCE)

    def add(self, frames: _Frames, begin: int, end: int) -> None:
        """Take these frames in, which follow those before them."""
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
        claim = {
            **{name: self._first[name] for name in ("pair_id", "side")},
            "path": self._first["sequence"],
            "bytes": self._bytes,
            "version": f"frames:{self._digest.hexdigest()[:32]}",
            "archived": self._archived,
        }
        return [claim, claim] if self._twice else [claim]
