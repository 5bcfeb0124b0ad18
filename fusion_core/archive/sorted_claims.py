"""Tells pairs from what is unpaired or ambiguous, by sorting files' claims to pair ids.

Sorted by pair id and side, a file that alone claims its side of a pair has neighbours that claim
something else, and a pair is two such files in a row. So a few rows at a time will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fusion_core.archive.frame_claims import CLAIMS_SCHEMA, FRAMES_ORDER, whole_sequences
from fusion_core.archive.pairing import PAIRS_SCHEMA
from fusion_core.archive.spill import Spill, SpillWriter, engine, query

BATCH_ROWS = 65_536
"""Claims that are judged together."""

_FAR = 2  # rows before and after one that tell what becomes of it

_Flags = NDArray[np.bool_]


def sort_claims(claims: Spill, folder: Path) -> Spill:
    """Return claims sorted by pair id, side and path, as bytes sort."""
    return _sorted(claims, folder, ("pair_id", "side", "path"))


def sequence_claims(frames: Spill, folder: Path) -> Iterator[pa.Table]:
    """Yield the claims of the sequences that these frames make, see ``whole_sequences``.

    Args:
        frames: Of ``FRAMES_SCHEMA``.
        folder: A scratch folder.
    """
    if len(frames):
        yield from whole_sequences(_sorted(frames, folder, FRAMES_ORDER).to_batches(BATCH_ROWS))


def _sorted(rows: Spill, folder: Path, names: Sequence[str]) -> Spill:
    ordered = f"SELECT * FROM read_parquet(?) ORDER BY {', '.join(names)}"
    with engine(folder) as connection:
        return query(connection, folder, ordered, [str(rows.path)])


def split_claims(
    claims: Spill, folder: Path, *, unpaired: SpillWriter, ambiguous: SpillWriter
) -> Spill:
    """Return the pairs, of ``PAIRS_SCHEMA``, and write the paths of files that make none.

    Args:
        claims: Of ``sort_claims``.
        folder: A scratch folder.
        unpaired: Takes the files whose counterpart is missing; one column ``path``.
        ambiguous: Takes those that share their claim with another.
    """
    with SpillWriter(folder, PAIRS_SCHEMA) as pairs:
        for table, rows in _with_neighbours(claims.to_batches(BATCH_ROWS)):
            same_id, twin = _same_as_before(table)
            alone = ~twin & ~_next(twin)
            begins = alone & _next(alone) & _next(same_id)  # a pair, of this row and the next
            ends = np.concatenate([[False], begins[:-1]])
            judged = np.zeros(len(table), bool)
            judged[rows] = True
            first = np.flatnonzero(judged & begins)
            pairs.write(_joined(table.take(first), table.take(first + 1)))
            unpaired.write(_paths(table, judged & alone & ~begins & ~ends))
            ambiguous.write(_paths(table, judged & ~alone))
        return pairs.finish()


def _with_neighbours(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.Table, slice]]:
    """Yield tables, and which of their rows to judge: all once, with their neighbours around."""
    held, known = CLAIMS_SCHEMA.empty_table(), 0
    for batch in chain(batches, [None]):
        table, end = held, len(held)
        if batch is not None:
            rows = pa.Table.from_batches([batch]).select(CLAIMS_SCHEMA.names).cast(CLAIMS_SCHEMA)
            table = pa.concat_tables([held, rows]).combine_chunks()
            end = max(len(table) - _FAR, known)
        yield table, slice(known, end)
        begin = max(end - _FAR, 0)
        held, known = table.slice(begin), end - begin


def _same_as_before(table: pa.Table) -> tuple[_Flags, _Flags]:
    """Tell of each row whether it has the pair id, and the side too, of the row before it."""
    same = []
    for name in ("pair_id", "side"):
        column = table[name].combine_chunks()
        equal = pc.equal(column.slice(1), column.slice(0, max(len(column) - 1, 0)))
        same.append(np.concatenate([[False], equal.to_numpy(zero_copy_only=False)]))
    same_id = same[0][: len(table)].astype(bool)
    return same_id, same_id & same[1][: len(table)].astype(bool)


def _next(flags: _Flags) -> _Flags:
    """Return the flags of each row's next row; False after the last."""
    return np.concatenate([flags[1:], [False]])[: len(flags)].astype(bool)


def _joined(ir: pa.Table, vi: pa.Table) -> pa.Table:
    columns = {"pair_id": ir["pair_id"]}
    for side, rows in (("ir", ir), ("vi", vi)):
        for name in ("path", "bytes", "version"):
            columns[f"{side}_{name}"] = rows[name]
    columns["archived"] = pc.coalesce(ir["archived"], vi["archived"])
    return pa.table(columns).cast(PAIRS_SCHEMA)


def _paths(table: pa.Table, rows: _Flags) -> pa.Table:
    return table.select(["path"]).filter(pa.array(rows))
