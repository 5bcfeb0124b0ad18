"""The plan of a run: which pairs to fuse, or fused images to score, cut into chunks.

Resuming is planning again: the only state is the manifest. Pairs and rows are joined on columns; a
pair becomes a Python object only inside its chunk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.pairing import Pairing

STORAGE_STAGES = ("read", "write")
"""Stages whose failures may pass by themselves, so that an unchanged pair is tried again."""

PAIR_KEY = ("pair_id", "ir_version", "vi_version")
"""Columns that tell a fused pair from others; an ok row with the same ones stands for it."""

SCORE_KEY = ("pair_id", "method", "ir_version", "vi_version", "fused_version")
"""Columns that tell a scored image from others, likewise."""


@dataclass(frozen=True)
class PairRef:
    """One pair by reference: where its files lie, and which versions of them are meant.

    ``archived`` is the storage class of a file that must be restored before it can be read.
    """

    pair_id: str
    ir_path: str
    ir_bytes: int
    ir_version: str
    vi_path: str
    vi_bytes: int
    vi_version: str
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
    """

    part_id: str
    pairs: tuple[PairRef, ...]
    split_from: tuple[str, ...] = ()

    def halves(self) -> tuple[Chunk, Chunk]:
        """Return the chunk split in two, to find the pair that ends its process."""
        middle = len(self.pairs) // 2
        return self._half("a", self.pairs[:middle]), self._half("b", self.pairs[middle:])

    def _half(self, letter: str, pairs: tuple[PairRef, ...]) -> Chunk:
        # So named that whoever knows the name of the whole one knows those of its halves.
        return Chunk(self.part_id + letter, pairs, (*self.split_from, self.part_id))


@dataclass(frozen=True)
class Plan:
    """The plan of a run: what it is going to do, and what it leaves alone.

    Attributes:
        pairing: The pairs found, and the files that make none.
        todo: The pairs to fuse (columns of ``PAIRS_SCHEMA``) or images to
            score (of ``IMAGES_SCHEMA``).
        done: Number of them whose successful row stands in the manifest.
        known_failed: Number of them left alone because the same files failed before.
        over_limit: Number of them left for later by ``limit``.
    """

    pairing: Pairing
    todo: pa.Table
    done: int
    known_failed: int
    over_limit: int

    @property
    def todo_bytes(self) -> int:
        """Size of all files that are to be read, in bytes."""
        return total_bytes(self.todo)


def total_bytes(todo: pa.Table) -> int:
    """Return the size of all files that rows of ``Plan.todo`` name, in bytes."""
    sizes = [name for name in todo.column_names if name.endswith("_bytes")]
    return sum(int(pc.sum(todo[name]).as_py() or 0) for name in sizes)


def make_plan(
    pairing: Pairing,
    rows: pa.Table,
    reprocess: str = "none",
    limit: int | None = None,
    images: pa.Table | None = None,
) -> Plan:
    """Decide which pairs are to be fused, or which images scored.

    Args:
        pairing: The archive's pairs.
        rows: The manifest's rows of this model and these settings: ``PAIR_KEY`` (or
            ``SCORE_KEY``), ``status``, ``stage`` and ``ended``.
        reprocess: "none": pairs without a successful row, save those whose latest row failed for
            a reason in the files; "failed": those too; "all": every pair.
        limit: At most so many pairs; the first by pair id.
        images: The fused images to score, of ``IMAGES_SCHEMA``; None
            where pairs are to be fused.
    """
    items, key = (pairing.pairs, PAIR_KEY) if images is None else (images, SCORE_KEY)
    state = _state_by_version(rows, key)
    joined = items.join(state, list(key), join_type="left outer")
    joined = joined.sort_by([(name, "ascending") for name in key])
    tried = pc.is_valid(joined["done"])
    done = pc.fill_null(joined["done"], False)
    passing = pc.is_in(joined["stage"], value_set=pa.array(STORAGE_STAGES))
    hopeless = pc.and_(pc.and_(pc.invert(done), tried), pc.invert(passing))
    if reprocess == "all":
        skip = pa.chunked_array([pa.repeat(False, len(joined))])
    elif reprocess == "failed":
        skip = done
    else:
        skip = pc.or_(done, hopeless)
    todo = joined.select(items.column_names).filter(pc.invert(skip))
    wanted = len(todo) if limit is None else min(limit, len(todo))
    skipped_failures = pc.sum(pc.and_(skip, hopeless)).as_py() or 0
    return Plan(
        pairing=pairing,
        todo=todo.slice(0, wanted).combine_chunks(),
        done=int(pc.sum(pc.and_(skip, done)).as_py() or 0),
        known_failed=int(skipped_failures),
        over_limit=len(todo) - wanted,
    )


def cut_chunks(
    todo: pa.Table,
    run_key: str,
    chunk_pairs: int,
    *,
    chunk_bytes: int = 1 << 30,
    chunk_pixels: int = 1 << 24,
) -> Iterator[Chunk]:
    """Cut what is to be done into chunks of neighbours.

    Args:
        todo: ``Plan.todo``; it may have a column ``pixels``, for scenes.
        run_key: What makes the run's parts its own: run id, model hash and settings hash, joined.
        chunk_pairs: At most so many pairs make a chunk.
        chunk_bytes: A chunk ends before its files exceed this many bytes; one pair may.
        chunk_pixels: A chunk ends before its scenes exceed this many pixels, so that large ones
            make chunks of their own: a worker lost in the middle of one loses nothing else.
    """
    columns = [name for name in todo.column_names if name != "pixels"]
    kind = ScoreRef if "method" in columns else PairRef
    pending: list[PairRef] = []
    size = area = 0
    for batch in todo.to_batches(max_chunksize=8192):
        for row in batch.to_pylist():
            pair = kind(**{name: row[name] for name in columns})
            pixels = row.get("pixels", 0)
            full = (
                len(pending) == chunk_pairs
                or size + pair.file_bytes > chunk_bytes
                or area + pixels > chunk_pixels
            )
            if pending and full:
                yield _chunk(run_key, pending)
                pending, size, area = [], 0, 0
            pending.append(pair)
            size, area = size + pair.file_bytes, area + pixels
    if pending:
        yield _chunk(run_key, pending)


def _state_by_version(rows: pa.Table, key: tuple[str, ...]) -> pa.Table:
    """Fold rows to one per key: whether one is successful, and the stage of the latest row."""
    ordered = rows.sort_by([("ended", "ascending")])
    ok = pc.equal(ordered["status"], "ok")
    folded = (
        ordered.append_column("ok", ok)
        .group_by(list(key), use_threads=False)  # "last" needs the order
        .aggregate([("ok", "max"), ("stage", "last")])
    )
    return folded.rename_columns([*key, "done", "stage"])


def _chunk(run_key: str, pairs: Sequence[PairRef]) -> Chunk:
    texts = (run_key, *("\0".join(pair.key) for pair in pairs))
    return Chunk(hashlib.sha256("\0\0".join(texts).encode()).hexdigest()[:24], tuple(pairs))
