"""What may go from an output, kind by kind, and why nobody needs it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from fusion_core.archive.index.state import filter_path, index_folder, newest_state, shard_path
from fusion_core.archive.keeping.inventory import (
    ROWS_SCHEMA,
    STEM,
    UNNAMED_IMAGES,
    Inventory,
    images_by_stem,
)
from fusion_core.archive.layout import (
    COMMITS_FOLDER,
    FUSED_FOLDER,
    MANIFEST_FOLDER,
    REQUEST_PATTERN,
    RUNS_FOLDER,
    TABLES,
)
from fusion_core.archive.lease_record import LEASE_FOLDER
from fusion_core.archive.spill import Spill, query
from fusion_core.storage.store import Storage
from fusion_core.storage.version import written_at

GENERATIONS = 1000
"""So many of the newest records of the lease stay: three years of nights."""

STATES = 100
"""So many of the newest states of an index stay."""

SUPERSEDED = "superseded"
"""The kind that is looked at only where it is named."""

SUPERSEDED_SCHEMA = pa.schema(
    [
        ROWS_SCHEMA.field(name)
        for name in ("file", "pair_id", "method", "attempt", "run_id", "ended", "image")
    ]
)

# What says of settings what they are, where there is neither an image nor a row of them.
_UNUSED_SETTINGS = f"""
    WITH folders AS (
        SELECT path, bytes, split_part(path, '/', 2) AS hash,
            regexp_matches(path, '{REQUEST_PATTERN}') AS tells
        FROM objects WHERE starts_with(path, '{FUSED_FOLDER}/'))
    SELECT path, bytes FROM folders WHERE tells
        AND hash NOT IN (SELECT hash FROM folders WHERE NOT tells)
        AND hash NOT IN (SELECT settings_hash FROM rows WHERE settings_hash IS NOT NULL)"""
_AGE = dt.timedelta(hours=1)  # of a temporary file that nobody is writing any more
_RUN = f"^{RUNS_FOLDER}/([0-9]{{8}}T[0-9]{{6}}Z-[^/]+)/"


@dataclass(frozen=True)
class Looked:
    """An output that was looked through.

    Attributes:
        output: The output.
        found: What lies in it.
        connection: Knows the tables of that, and ``superseded``, the rows that go.
        before: Folders of runs, and commits, of later than this stay.
        now: The time.
        settled: The generation of the lease up to which none can commit anything any more.
        needed_from: One from which on somebody goes on to read.
    """

    output: Storage
    found: Inventory
    connection: duckdb.DuckDBPyConnection
    before: dt.datetime
    now: dt.datetime
    settled: int
    needed_from: int


def superseded_rows(
    connection: duckdb.DuckDBPyConnection, folder: Path, before: dt.datetime
) -> Spill:
    """Return the ok rows of ours whose pair and method have a later one from before a time.

    Taking some of them out leaves the others superseded, so that a removal can be gone on with.

    Args:
        connection: Knows the tables of an inventory.
        folder: A scratch folder for the result.
        before: The time.

    Returns:
        Rows of ``SUPERSEDED_SCHEMA``, sorted by their files.
    """
    # By groups, not rows: the same row that is in two files is no later one than itself.
    sql = f"""SELECT {", ".join(SUPERSEDED_SCHEMA.names)} FROM (
            SELECT *, min(ended) OVER (
                PARTITION BY pair_id, method ORDER BY coalesce(attempt, 0), ended, run_id
                GROUPS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS superseded
            FROM rows WHERE tab = '{MANIFEST_FOLDER}' AND image IS NOT NULL)
        WHERE superseded < ? ORDER BY file, pair_id, method, attempt, ended"""
    return query(connection, folder, sql, [before])


def _images(looked: Looked) -> Iterator[tuple[str, int]]:
    yield from _found(looked, UNNAMED_IMAGES)
    yield from _found(looked, _UNUSED_SETTINGS)


def _runs(looked: Looked) -> Iterator[tuple[str, int]]:
    sql = f"""WITH named AS (
            SELECT path, bytes, regexp_extract(path, '{_RUN}', 1) AS run FROM objects
            WHERE regexp_matches(path, '{_RUN}'))
        SELECT path, bytes FROM named
        WHERE run < ? AND run <> (SELECT max(run) FROM named)"""
    yield from _found(looked, sql, f"{looked.before:%Y%m%dT%H%M%SZ}")


def _commits(looked: Looked) -> Iterator[tuple[str, int]]:
    """Yield published parts of whom nobody will ask any more whether they were committed.

    Tombstones and split chunks' parts, which no record names, stay: they fence out who sleeps.
    """
    ended = [n for n, one in looked.found.leases.items() if one.released and one.complete]
    sql = f"""SELECT DISTINCT objects.path, bytes FROM objects JOIN published USING (path)
        WHERE starts_with(path, '{COMMITS_FOLDER}/') AND (generation <= ? OR generation IN ?)
            AND regexp_extract(path, '/date=([0-9-]+)/', 1) <= ?"""
    yield from _found(looked, sql, looked.settled, ended, f"{looked.before:%Y-%m-%d}")


def _leases(looked: Looked) -> Iterator[tuple[str, int]]:
    """Yield old records of the lease, and lists of intents that a run had no right to remove.

    One that slept since before its successor's record went would take itself for the holder. It
    finds its successor's for the newest thousand generations; beyond these it could write
    images and commits that nobody publishes, for records of publication stay. And whoever goes on
    from a record of publication walks along those of the lease.
    """
    marks = [looked.needed_from, looked.settled]
    for table in TABLES:
        number, state = newest_state(looked.output, table)
        marks += [state.generation] if number else []
    end = min(*marks, max(looked.found.leases, default=0) - GENERATIONS + 1)
    name = f"^{LEASE_FOLDER}/([0-9]{{8,18}})(-[0-9]+[.]plan|[.]json)$"
    sql = f"""SELECT path, bytes FROM objects WHERE regexp_matches(path, '{name}')
        AND CAST(regexp_extract(path, '{name}', 1) AS BIGINT) < ?"""
    yield from _found(looked, sql, end)


def _index(looked: Looked) -> Iterator[tuple[str, int]]:
    for table in TABLES:
        number, state = newest_state(looked.output, table)
        named = [shard_path(table, shard) for shard in state.shards]
        named += [filter_path(table, shard) for shard in state.shards]
        folder = index_folder(table)
        sql = f"""SELECT path, bytes FROM objects WHERE (
            regexp_matches(path, '^{folder}shard-[0-9a-f]+[.](parquet|filter)$') AND path NOT IN ?)
            OR (regexp_matches(path, '^{folder}[0-9]+[.]json$')
                AND CAST(regexp_extract(path, '([0-9]+)[.]json$', 1) AS BIGINT) <= ?)"""
        yield from _found(looked, sql, named or [""], number - STATES)


def _temporaries(looked: Looked) -> Iterator[tuple[str, int]]:
    sql = r"SELECT path, bytes FROM objects WHERE regexp_matches(path, '(^|/)\.[0-9a-f]+\.tmp$')"
    for path, size in _found(looked, sql):
        try:
            info = looked.output.info(path)
        except FileNotFoundError:
            continue
        written = written_at(info)
        if written is not None and looked.now - written > _AGE:
            yield path, size


def _superseded(looked: Looked) -> Iterator[tuple[str, int]]:
    """Yield images that superseded rows name, and no other row does."""
    stems = f"""SELECT stem FROM (
            SELECT {STEM} AS stem, 1 AS n FROM rows WHERE image IS NOT NULL
            UNION ALL SELECT {STEM}, -1 FROM superseded)
        GROUP BY stem HAVING sum(n) = 0"""
    yield from _found(looked, images_by_stem("SEMI", stems))


def _found(looked: Looked, sql: str, *parameters: object) -> Iterator[tuple[str, int]]:
    result = looked.connection.execute(f"{sql} ORDER BY path", list(parameters))
    while rows := result.fetchmany(1000):
        yield from rows


KINDS: dict[str, Callable[[Looked], Iterator[tuple[str, int]]]] = {
    "images": _images,
    "runs": _runs,
    "commits": _commits,
    "leases": _leases,
    "index": _index,
    "temporaries": _temporaries,
    SUPERSEDED: _superseded,
}
"""By name what yields path and size of what may go."""

DEFAULT_KINDS = tuple(kind for kind in KINDS if kind != SUPERSEDED)
"""What nobody needs; several settings side by side may be wanted, to compare them."""
