"""Pairs the files of a listing that may be larger than memory.

The outcome is that of ``pairing``, which holds all in memory. Here the files' claims to a pair id
are written to local files, and sorted by DuckDB; what becomes of each is told by its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa

from fusion_core.archive.frame_claims import CLAIMS_SCHEMA, FRAMES_SCHEMA
from fusion_core.archive.pairing import Pairing, match_templates
from fusion_core.archive.path_template import parse_templates
from fusion_core.archive.sorted_claims import sequence_claims, sort_claims, split_claims
from fusion_core.archive.spill import Spill, SpillWriter, engine, query

PATHS_SCHEMA = pa.schema([pa.field("path", pa.string())])

_ROWS = 65_536  # that are matched together


@dataclass(frozen=True)
class FoundPairs:
    """What ``Pairing`` tells, in local files, which live as long as their folder.

    Attributes:
        pairs: One row of ``PAIRS_SCHEMA`` per pair, sorted by pair id.
        unpaired: One column ``path``, sorted: files whose counterpart is missing.
        ambiguous: Likewise, files that claim a pair id and modality that another file claims too.
        unmatched: Likewise, files that match neither template, or that the index doesn't name.
        index_rows: Rows of the index that name a file of what is looked at; None without an index.
    """

    pairs: Spill
    unpaired: Spill
    ambiguous: Spill
    unmatched: Spill
    index_rows: int | None = None

    def read(self) -> Pairing:
        """Return all of it, which must fit into memory."""
        lists = (self.unpaired, self.ambiguous, self.unmatched)
        paths = [tuple(found.read()["path"].to_pylist()) for found in lists]
        return Pairing(self.pairs.read(), paths[0], paths[1], paths[2], self.index_rows)


class PathLists:
    """Gathers the paths that make no pair.

    Args:
        folder: A scratch folder.

    Attributes:
        unpaired: Takes tables with a column ``path``, as the others do.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._writers = [SpillWriter(folder, PATHS_SCHEMA) for _ in range(3)]
        self.unpaired, self.ambiguous, self.unmatched = self._writers
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Return itself."""
        for writer in self._writers:
            self._open.enter_context(writer)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._open.close()

    def found(self, pairs: Spill, index_rows: int | None = None) -> FoundPairs:
        """Return the pairs and the lists, sorted, each path once."""
        sort = "SELECT DISTINCT path FROM read_parquet(?) ORDER BY path"
        with engine(self._folder) as connection:
            lists = [
                query(connection, self._folder, sort, [str(writer.finish().path)])
                for writer in self._writers
            ]
        return FoundPairs(pairs, lists[0], lists[1], lists[2], index_rows)


def find_by_templates(listing: Iterable[pa.Table], ir: str, vi: str, folder: Path) -> FoundPairs:
    """Pair the files of a listing by two path templates.

    Args:
        listing: Tables of ``LISTING_SCHEMA``.
        ir: Template of the infrared files.
        vi: Template of the visible files.
        folder: A scratch folder.

    Raises:
        SettingsError: The templates can't be read or don't fit together.
    """
    templates = parse_templates(ir, vi)
    with (
        PathLists(folder) as lists,
        SpillWriter(folder, CLAIMS_SCHEMA) as claims,
        SpillWriter(folder, FRAMES_SCHEMA) as frames,
    ):
        for batch in gathered(listing):
            matched = match_templates(batch, templates)
            for rows in matched.claims.values():
                writer = frames if "sequence" in rows.column_names else claims
                writer.write(rows)
            lists.ambiguous.write(_as_table(matched.both))
            lists.unmatched.write(_as_table(matched.unmatched))
        for whole in sequence_claims(frames.finish(), folder):
            claims.write(whole)
        pairs = split_claims(
            sort_claims(claims.finish(), folder),
            folder,
            unpaired=lists.unpaired,
            ambiguous=lists.ambiguous,
        )
        return lists.found(pairs)


def gathered(listing: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Put small tables together, for what is done with each costs the same however small it is."""
    waiting: list[pa.Table] = []
    for table in listing:
        waiting.append(table)
        if sum(map(len, waiting)) >= _ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _as_table(paths: pa.ChunkedArray) -> pa.Table:
    return pa.table({"path": paths}, schema=PATHS_SCHEMA)
