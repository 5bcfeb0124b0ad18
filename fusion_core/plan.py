"""The plan of a run: which pairs to fuse, cut into chunks.

Resuming is planning again (decision 3 of the design): the only state is the manifest. Pairs and
rows are joined on columns; a pair becomes a Python object only inside its chunk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.pairing import Pairing

STORAGE_STAGES = ("read", "write")
"""Stages whose failures may pass by themselves, so that an unchanged pair is tried again."""

_KEY = ["pair_id", "ir_version", "vi_version"]


@dataclass(frozen=True)
class PairRef:
    """One pair by reference: where its files lie, and which versions of them are meant."""

    pair_id: str
    ir_path: str
    ir_bytes: int
    ir_version: str
    vi_path: str
    vi_bytes: int
    vi_version: str


@dataclass(frozen=True)
class Chunk:
    """The unit of work, retry and commit.

    Attributes:
        part_id: Names the chunk's part. It is a digest of the pairs, the model, the settings and
            what the manifest held for them before, so two runs that plan the same work race for
            the same name, and a later attempt at the same pairs gets another one.
        pairs: The pairs, in order.
    """

    part_id: str
    pairs: tuple[PairRef, ...]

    def halves(self) -> tuple[Chunk, Chunk]:
        """Split in two, to find the pair that ends its process."""
        middle = len(self.pairs) // 2
        return self._part(self.pairs[:middle]), self._part(self.pairs[middle:])

    def _part(self, pairs: tuple[PairRef, ...]) -> Chunk:
        ids = "\0".join(pair.pair_id for pair in pairs)
        return Chunk(_digest(self.part_id, ids), pairs)


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    Attributes:
        pairing: The pairs found, and the files that make none.
        todo: The pairs to fuse: columns of :data:`fusion_core.pairing.PAIRS_SCHEMA` and
            ``attempts``, the number of rows that the manifest holds for the pair already.
        done: Number of pairs whose successful row stands in the manifest.
        known_failed: Number of pairs left alone because the same files failed before.
        over_limit: Number of pairs left for later by ``limit``.
    """

    pairing: Pairing
    todo: pa.Table
    done: int
    known_failed: int
    over_limit: int

    @property
    def todo_bytes(self) -> int:
        """Bytes to be read."""
        total = pc.sum(pc.add(self.todo["ir_bytes"], self.todo["vi_bytes"])).as_py()
        return int(total or 0)


def make_plan(
    pairing: Pairing, rows: pa.Table, reprocess: str = "none", limit: int | None = None
) -> Plan:
    """Decide which pairs are to be fused.

    Args:
        pairing: The archive's pairs.
        rows: The manifest's rows of this model and these settings: ``pair_id``, ``ir_version``,
            ``vi_version``, ``status``, ``stage`` and ``ended``.
        reprocess: "none": pairs without a successful row, save those whose latest row failed for
            a reason in the files; "failed": those too; "all": every pair.
        limit: At most so many pairs; the first by pair id.
    """
    pairs = pairing.pairs
    state = _state_by_version(rows)
    joined = pairs.join(state, _KEY, join_type="left outer").sort_by("pair_id")
    attempts = pc.fill_null(joined["attempts"], 0)
    done = pc.fill_null(joined["done"], False)
    passing = pc.is_in(joined["stage"], value_set=pa.array(STORAGE_STAGES))
    hopeless = pc.and_(pc.and_(pc.invert(done), pc.greater(attempts, 0)), pc.invert(passing))
    if reprocess == "all":
        skip = pa.chunked_array([pa.repeat(False, len(joined))])
    elif reprocess == "failed":
        skip = done
    else:
        skip = pc.or_(done, hopeless)
    columns = joined.select(pairs.column_names).append_column("attempts", attempts)
    todo = columns.filter(pc.invert(skip))
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
    todo: pa.Table, run_key: str, chunk_pairs: int, chunk_bytes: int = 1 << 30
) -> Iterator[Chunk]:
    """Cut the pairs to fuse into chunks of neighbours.

    Args:
        todo: :attr:`Plan.todo`.
        run_key: Model hash and settings hash, joined.
        chunk_pairs: At most so many pairs a chunk.
        chunk_bytes: A chunk ends before its files exceed this many bytes; one pair may.
    """
    columns = [name for name in todo.column_names if name != "attempts"]
    pending: list[PairRef] = []
    state: list[str] = []
    size = 0
    for batch in todo.to_batches(max_chunksize=8192):
        attempts = batch["attempts"].to_pylist()
        for row, tried in zip(batch.select(columns).to_pylist(), attempts, strict=True):
            pair = PairRef(**row)
            more = pair.ir_bytes + pair.vi_bytes
            if pending and (len(pending) == chunk_pairs or size + more > chunk_bytes):
                yield Chunk(_digest(run_key, *state), tuple(pending))
                pending, state, size = [], [], 0
            pending.append(pair)
            state.append(f"{pair.pair_id}\0{pair.ir_version}\0{pair.vi_version}\0{tried}")
            size += more
    if pending:
        yield Chunk(_digest(run_key, *state), tuple(pending))


def _state_by_version(rows: pa.Table) -> pa.Table:
    """Fold rows to one per pair and versions: done, attempts, and the stage of the latest row."""
    ordered = rows.sort_by([("ended", "ascending")])
    ok = pc.equal(ordered["status"], "ok")
    folded = (
        ordered.append_column("ok", ok)
        .group_by(_KEY, use_threads=False)  # "last" needs the order
        .aggregate([("ok", "max"), ("ok", "count"), ("stage", "last")])
    )
    return folded.rename_columns([*_KEY, "done", "attempts", "stage"])


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0\0".join(texts).encode()).hexdigest()[:24]
