"""The plan of a run: which pairs to fuse, or fused images to score, cut into chunks.

Resuming is planning again: the only state is the manifest. Pairs and rows are joined on columns; a
pair becomes a Python object only inside its chunk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.attempts import Patience, attempts_by_version, last_attempts
from fusion_core.archive.clip_names import clip_pixels, is_clip
from fusion_core.archive.found_pairs import FoundPairs
from fusion_core.archive.older import mark_older
from fusion_core.archive.pairing import Pairing
from fusion_core.archive.spill import Spill

PAIR_KEY = ("pair_id", "ir_version", "vi_version")
"""Columns that tell a fused pair from others; an ok row with the same ones stands for it."""

SCORE_KEY = ("pair_id", "method", "ir_version", "vi_version", "fused_version")
"""Columns that tell a scored image from others, likewise."""

# Why a pair is left alone, by what is to be processed again; the first reason that holds counts.
_LEFT_ALONE = {
    "none": ("done", "older", "still_archived", "failed", "waiting"),
    "failed": ("done", "untried", "still_archived"),
    "older": ("done", "still_archived", "failed", "waiting"),
    "all": ("still_archived",),
}


@dataclass(frozen=True)
class PairRef:
    """One pair by reference: where its files lie, and which versions of them are meant.

    Attributes:
        attempt: Number of this attempt at the pair, whatever its files were before.
        tries: Earlier attempts at these files that ended without a verdict.
        history: What those were blamed on, the first first.
        archived: Storage class of a file of it that has to be restored before it can be read.
    """

    pair_id: str
    ir_path: str
    ir_bytes: int
    ir_version: str
    vi_path: str
    vi_bytes: int
    vi_version: str
    attempt: int = field(default=1, kw_only=True)
    tries: int = field(default=0, kw_only=True)
    history: str | None = field(default=None, kw_only=True)
    archived: str | None = field(default=None, kw_only=True)

    key_columns: ClassVar[tuple[str, ...]] = PAIR_KEY

    @property
    def file_bytes(self) -> int:
        """Size of the pair's files together, in bytes."""
        return self.ir_bytes + self.vi_bytes

    @property
    def key(self) -> tuple[str, ...]:
        """The pair's values of the columns that tell it from others."""
        return tuple(getattr(self, name) for name in self.key_columns)


@dataclass(frozen=True)
class ScoreRef(PairRef):
    """One fused image of a pair by reference; its storage is that of its method."""

    fused_path: str
    fused_bytes: int
    fused_version: str
    method: str

    key_columns: ClassVar[tuple[str, ...]] = SCORE_KEY

    @property
    def file_bytes(self) -> int:
        """Size of the three files together, in bytes."""
        return self.ir_bytes + self.vi_bytes + self.fused_bytes


@dataclass(frozen=True)
class Chunk:
    """The unit of work, retry and commit.

    Attributes:
        part_id: Names the chunk's part: a digest of the run, the model, the settings and the pairs.
            Whoever works on the chunk races for that name.
        pairs: The pairs, in order; for scoring, fused images with their pairs.
        split_from: Part ids of the chunks that it is half of, the whole one first. Someone may have
            committed those without being heard.
        in_tiles: Whether its photographs are to be fused in small tiles, whatever memory seems
            to hold: a process that worked on them was ended for memory.
    """

    part_id: str
    pairs: tuple[PairRef, ...]
    split_from: tuple[str, ...] = ()
    in_tiles: bool = False
    pixels: int = 0

    def budget(self, pair_deadline: float) -> float:
        """Return the seconds after which whoever works on it hangs, beyond any deadline of a pair.

        Args:
            pair_deadline: Seconds that a photograph may take, or 100 megapixels of a scene.
        """
        return 2 * pair_deadline * (len(self.pairs) + self.pixels / 1e8)

    def halves(self) -> tuple[Chunk, Chunk]:
        """Return the chunk split in two, to find the pair that ends its process."""
        middle = len(self.pairs) // 2
        return self._half("a", self.pairs[:middle]), self._half("b", self.pairs[middle:])

    def _half(self, letter: str, pairs: tuple[PairRef, ...]) -> Chunk:
        # So named that whoever knows the name of the whole one knows those of its halves.
        split_from = (*self.split_from, self.part_id)
        return replace(self, part_id=self.part_id + letter, pairs=pairs, split_from=split_from)


@dataclass(frozen=True)
class Plan:
    """The plan of a run: what it is going to do, and what it leaves alone.

    Attributes:
        pairing: The pairs found, and the files that make none.
        todo: The pairs to fuse (columns of ``PAIRS_SCHEMA``) or images to score (of
            ``IMAGES_SCHEMA``), with ``attempt``, ``tries`` and ``history`` as ``PairRef`` has them.
        done: Number of them whose successful row stands in the manifest.
        older: Number of those whose row, and image, an earlier image version made.
        known_failed: Number of them left alone because the same files failed for good.
        over_limit: Number of them left for later by ``limit``.
        waiting: Number of them left for later, for an earlier attempt was too short ago.
        archived: Number of them left alone because a file is still archived, as a row says.
        unasked: Number of them left alone because only others were asked for.
    """

    pairing: Pairing | FoundPairs
    todo: pa.Table | Spill
    done: int
    known_failed: int
    over_limit: int
    waiting: int = 0
    archived: int = 0
    older: int = 0
    unasked: int = 0

    @property
    def todo_bytes(self) -> int:
        """Size of all files that are to be read, in bytes."""
        return total_bytes(self.todo)

    def first_ids(self, count: int) -> tuple[str, ...]:
        """Return the ids of the first pairs that are to be done."""
        for batch in self.todo.to_batches(count):
            return tuple(batch.column("pair_id").to_pylist()[:count])
        return ()


def total_bytes(todo: pa.Table | Spill) -> int:
    """Return the size of all files that rows of ``Plan.todo`` name, in bytes."""
    sizes = [name for name in todo.column_names if name.endswith("_bytes")]
    return sum(
        int(pc.sum(batch.column(name)).as_py() or 0)
        for batch in todo.to_batches()
        for name in sizes
    )


def make_plan(
    pairing: Pairing,
    rows: pa.Table,
    reprocess: str = "none",
    limit: int | None = None,
    images: pa.Table | None = None,
    *,
    numbers: pa.Table | None = None,
    patience: Patience | None = None,
    older: pa.Table | None = None,
) -> Plan:
    """Decide which pairs are to be fused, or which images scored.

    Args:
        pairing: The archive's pairs.
        rows: The manifest's rows of this model and these settings: ``PAIR_KEY`` (or
            ``SCORE_KEY``) and ``ATTEMPT_COLUMNS``.
        reprocess: "none": pairs without a successful row, save those that failed for good and
            those whose next attempt isn't due yet; "failed": those too; "older": as "none", and
            those whose successful row is of ``older`` alone; "all": every pair, save those that are
            archived and have a row that says so.
        limit: At most so many pairs; the first by pair id.
        images: The fused images to score, of ``IMAGES_SCHEMA``; None
            where pairs are to be fused.
        numbers: Number of the last attempt by pair id, of ``last_attempts``. Default: that of
            ``rows``.
        patience: When what is undone is tried again. Default: at once.
        older: Successful rows of the same model and settings under earlier image versions; what
            they are of is done too.
    """
    items, key = (pairing.pairs, PAIR_KEY) if images is None else (images, SCORE_KEY)
    state = attempts_by_version(rows, key, patience or Patience())
    numbers = last_attempts(rows) if numbers is None else numbers
    joined = items.join(state, list(key), join_type="left outer")
    # A row says that it is archived already; nothing has changed as long as it is.
    joined = joined.append_column(
        "still_archived", pc.and_(joined["skipped"], pc.is_valid(joined["archived"]))
    )
    joined = mark_older(joined, older, key)
    left_alone, rest = {}, pa.chunked_array([pa.repeat(True, len(joined))])
    for reason in _LEFT_ALONE[reprocess]:
        holds = pc.and_(rest, pc.fill_null(joined[reason], False))
        left_alone[reason] = int(pc.sum(holds).as_py() or 0)
        rest = pc.and_not(rest, holds)
    todo = _numbered(joined.filter(rest), items.column_names, numbers)
    todo = todo.sort_by([(name, "ascending") for name in key])
    wanted = len(todo) if limit is None else min(limit, len(todo))
    of_before = left_alone.get("older", 0) + left_alone.get("untried", 0)
    return Plan(
        pairing=pairing,
        todo=todo.slice(0, wanted).combine_chunks(),
        done=left_alone.get("done", 0) + of_before,
        known_failed=left_alone.get("failed", 0),
        over_limit=len(todo) - wanted,
        waiting=left_alone.get("waiting", 0),
        archived=left_alone.get("still_archived", 0),
        older=of_before,
    )


def _numbered(todo: pa.Table, columns: Sequence[str], numbers: pa.Table) -> pa.Table:
    """Return these columns of what is to be done, with what tells of the attempt at it."""
    todo = todo.join(numbers, "pair_id", join_type="left outer")
    last = pc.fill_null(todo["last_attempt"], 0)
    return (
        todo.select(list(columns))
        .append_column("attempt", pc.add(last, 1).cast(pa.int32()))
        .append_column("tries", pc.fill_null(todo["tries"], 0).cast(pa.int32()))
        .append_column("history", todo["history"])
    )


def cut_chunks(
    todo: pa.Table | Spill | Iterable[pa.RecordBatch],
    run_key: str,
    chunk_pairs: int,
    *,
    chunk_bytes: int = 1 << 30,
    chunk_pixels: int = 1 << 24,
) -> Iterator[Chunk]:
    """Cut what is to be done into chunks of neighbours.

    Args:
        todo: ``Plan.todo``, or what of it comes in batches, which are asked for as they are
            needed; it may have a column ``pixels``, for scenes.
        run_key: What makes the run's parts its own: run id, model hash and settings hash, joined.
        chunk_pairs: At most so many pairs make a chunk.
        chunk_bytes: A chunk ends before its files exceed this many bytes; one pair may.
        chunk_pixels: A chunk ends before its scenes exceed this many pixels, so that large ones
            make chunks of their own, as clips do: a worker lost in the middle of one loses nothing
            else.
    """
    pending: list[PairRef] = []
    size = area = 0
    if isinstance(todo, pa.Table | Spill):
        todo = todo.to_batches(max_chunksize=8192)
    for batch in todo:
        kind = ScoreRef if "method" in batch.schema.names else PairRef
        for row in batch.to_pylist():
            pixels = row.pop("pixels", 0)
            pair = kind(**row)
            if is_clip(pair.ir_path, pair.vi_path):  # a chunk of its own, as a large scene is
                pixels = chunk_pixels + 1 + clip_pixels(pair.vi_path, pair.vi_bytes)
            full = (
                len(pending) == chunk_pairs
                or size + pair.file_bytes > chunk_bytes
                or area + pixels > chunk_pixels
            )
            if pending and full:
                yield _chunk(run_key, pending, area)
                pending, size, area = [], 0, 0
            pending.append(pair)
            size, area = size + pair.file_bytes, area + pixels
    if pending:
        yield _chunk(run_key, pending, area)


def _chunk(run_key: str, pairs: Sequence[PairRef], pixels: int) -> Chunk:
    texts = (run_key, *("\0".join(pair.key) for pair in pairs))
    part_id = hashlib.sha256("\0\0".join(texts).encode()).hexdigest()[:24]
    return Chunk(part_id, tuple(pairs), pixels=pixels)
