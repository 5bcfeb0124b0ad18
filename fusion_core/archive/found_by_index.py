"""Pairs the files of a listing by an index, where either may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import duckdb
import pyarrow as pa

from fusion_core.archive.found_pairs import FoundPairs, PathLists, gathered
from fusion_core.archive.frame_claims import CLAIMS_SCHEMA, FRAMES_SCHEMA
from fusion_core.archive.index_file import looked_at
from fusion_core.archive.index_paths import outside, ways_to_read
from fusion_core.archive.sequence import IS_SEQUENCE, named_frames
from fusion_core.archive.sorted_claims import sequence_claims, sort_claims, split_claims
from fusion_core.archive.spill import Spill, SpillWriter, engine, query, spill
from fusion_core.storage.listing import LISTING_SCHEMA

_ROWS = 65_536  # files that are looked through together for frames

_WRITTEN = pa.schema(
    [("row", pa.int64())]
    + [(name, pa.string()) for name in ("pair_id", "ir", "vi", "other_ir", "other_vi")]
)
# A path that may be meant in another way is what the listing has; with neither it stays empty.
_AS_LISTED = """
SELECT i.row, i.pair_id,
  if(i.other_ir IS NULL OR ir.path IS NOT NULL, i.ir, i.other_ir) AS ir,
  if(i.other_vi IS NULL OR vi.path IS NOT NULL, i.vi, i.other_vi) AS vi
FROM written AS i
LEFT JOIN files AS ir ON i.other_ir IS NOT NULL AND ir.path = i.ir
LEFT JOIN files AS vi ON i.other_vi IS NOT NULL AND vi.path = i.vi
"""
_NAMED = f"""
SELECT pair_id, side, path, regexp_matches(path, '{IS_SEQUENCE}') AS of_frames
FROM (SELECT pair_id, 'ir' AS side, ir AS path FROM rows
      UNION ALL SELECT pair_id, 'vi', vi FROM rows)
"""
_FILES = """
SELECT pair_id, side, named.path, bytes, version, archived
FROM named LEFT JOIN files ON files.path = named.path
WHERE NOT of_frames
"""
_SEQUENCES = f"""
SELECT pair_id, side, path FROM named WHERE of_frames
ORDER BY regexp_extract(path, '(?s)^(.*)(?:{IS_SEQUENCE})', 1)
"""
_ABSENT = """
SELECT path FROM files_named WHERE version IS NULL
UNION ALL SELECT path FROM sequences ANTI JOIN (SELECT sequence AS path FROM frames) USING (path)
"""
_UNMATCHED = """
SELECT path FROM files
ANTI JOIN (SELECT path FROM files_named UNION ALL SELECT path FROM frames) USING (path)
"""


def find_by_index(
    listing: Iterable[pa.Table],
    index: Iterable[pa.Table],
    folder: Path,
    *,
    roots: Sequence[str],
    prefixes: Sequence[str] = ("",),
) -> FoundPairs:
    """Pair the files of a listing by an index.

    Args:
        listing: Tables of ``LISTING_SCHEMA``.
        index: Tables of ``checked_index``, whose paths lie below the source, alone or with one of
            ``roots`` in front.
        folder: A scratch folder.
        roots: The ways to write the source, of ``source_roots``.
        prefixes: What the paths of the listing start with. Rows of which neither file does belong
            to what is not looked at, and are left out.

    Raises:
        SettingsError: A path lies outside of the source.
    """
    files = spill(folder, LISTING_SCHEMA, gathered(listing))
    with engine(folder) as connection, PathLists(folder) as lists:
        _view(connection, "files", files)
        _view(connection, "written", _written(index, folder, roots))
        as_listed = query(connection, folder, _AS_LISTED)
        _refuse_outside(connection, as_listed, roots)
        rows = _looked_at(as_listed, folder, prefixes)
        _view(connection, "rows", rows)
        _view(connection, "named", query(connection, folder, _NAMED))
        _view(connection, "files_named", query(connection, folder, _FILES))
        sequences = query(connection, folder, _SEQUENCES)
        _view(connection, "sequences", sequences)
        frames = _frames(connection, folder, sequences)
        _view(connection, "frames", frames)
        for paths, writer in ((_ABSENT, lists.unpaired), (_UNMATCHED, lists.unmatched)):
            for batch in query(connection, folder, paths).to_batches():
                writer.write(batch)
        claims = _claims(connection, folder, frames)
        pairs = split_claims(
            sort_claims(claims, folder),
            folder,
            unpaired=lists.unpaired,
            ambiguous=lists.ambiguous,
        )
        return lists.found(pairs, index_rows=len(rows))


def _frames(connection: duckdb.DuckDBPyConnection, folder: Path, sequences: Spill) -> Spill:
    """Return the frames of the sequences that the index names, of ``FRAMES_SCHEMA``."""
    if not len(sequences):
        return spill(folder, FRAMES_SCHEMA, ())
    files = query(connection, folder, "SELECT * FROM files ORDER BY path")
    named = chain.from_iterable(batch.to_pylist() for batch in sequences.to_batches())
    return spill(folder, FRAMES_SCHEMA, named_frames(named, files.to_batches(_ROWS)))


def _claims(connection: duckdb.DuckDBPyConnection, folder: Path, frames: Spill) -> Spill:
    """Return the claims of what is there of the files and sequences that the index names."""
    files = query(connection, folder, "SELECT * FROM files_named WHERE version IS NOT NULL")
    if not len(frames):
        return files
    alone = (pa.Table.from_batches([batch]) for batch in files.to_batches())
    return spill(folder, CLAIMS_SCHEMA, chain(alone, sequence_claims(frames, folder)))


def _written(index: Iterable[pa.Table], folder: Path, roots: Sequence[str]) -> Spill:
    """Write an index to a local file, with the other ways in which its paths may be listed."""
    with SpillWriter(folder, _WRITTEN) as writer:
        for batch in index:
            columns = {"pair_id": batch["pair_id"]}
            for side in ("ir", "vi"):
                columns[side], columns[f"other_{side}"] = ways_to_read(batch[side], roots)
            numbers = range(writer.rows, writer.rows + len(batch))
            writer.write(pa.table({"row": pa.array(numbers, pa.int64()), **columns}))
        return writer.finish()


def _looked_at(rows: Spill, folder: Path, prefixes: Sequence[str]) -> Spill:
    tables = (pa.Table.from_batches([batch]) for batch in rows.to_batches())
    return spill(folder, rows.schema, (looked_at(table, prefixes) for table in tables))


def _refuse_outside(
    connection: duckdb.DuckDBPyConnection, rows: Spill, roots: Sequence[str]
) -> None:
    """Raise SettingsError where a path lies outside of the source."""
    for side in ("ir", "vi"):
        first = connection.execute(
            f"SELECT row, {side} FROM written WHERE row = "
            f"(SELECT min(row) FROM read_parquet(?) WHERE {side} = '')",
            [str(rows.path)],
        ).fetchone()
        if first is not None:
            row, text = first
            raise outside(side, text, row, roots)


def _view(connection: duckdb.DuckDBPyConnection, name: str, table: Spill) -> None:
    connection.execute(f"CREATE OR REPLACE VIEW {name} AS FROM read_parquet('{table.path}')")
