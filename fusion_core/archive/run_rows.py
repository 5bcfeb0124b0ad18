"""The rows of one run, as its end looks at them: in a local file, asked by queries.

A run of a million pairs is summed up in bounded memory: DuckDB counts, sorts and joins, and no row
becomes a Python object but the few that are shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import PAIR_KEY
from fusion_core.archive.schema import PART_SCHEMA, STAGES
from fusion_core.archive.spill import Spill, engine, query, show, spill
from fusion_core.archive.stored_images import IMAGE_COLUMNS
from fusion_core.metrics import METRIC_NAMES
from fusion_core.storage.store import Storage

RUN_SCHEMA = pa.schema(
    [
        PART_SCHEMA.field(name)
        for name in (
            *("run_id", "method", *IMAGE_COLUMNS, "fused_version"),
            *("status", "attempt", "stage", "cause", "error_type", "error_message", "history"),
            *("remark", "registration", *METRIC_NAMES, "metric_version", "retries", "ended"),
            *(f"seconds_{stage}" for stage in STAGES),
            *("outline", "west", "south", "east", "north", "item_url"),
        )
    ]
)
"""The columns of a run's rows that its end looks at."""

_READERS, _AT_ONCE = 16, 32
_MEMORY = "160MB"
_REASON = ("stage", "cause", "attempt", "error_type", "error_message", "history")

_SLICE = 16_384  # rows that are sorted at once with their texts, which may be long

# Of each pair, or image, the last attempt, as ``newest_rows`` has it, where that was in vain.
_IN_VAIN = """
    SELECT place FROM (
        SELECT file_row_number AS place, status FROM rows
        QUALIFY row_number() OVER (
            PARTITION BY pair_id, method,
                CASE WHEN fused_version IS NULL THEN '' ELSE metric_version END
            ORDER BY coalesce(attempt, 0) DESC, ended DESC, run_id DESC
        ) = 1
    ) WHERE status IN ('failed', 'undone')
"""


def read_rows(output: Storage, parts: Iterable[str]) -> Iterator[pa.Table]:
    """Yield what ``RUN_SCHEMA`` has of committed parts, in their order; 16 are read at once.

    Raises:
        ManifestError: A part can't be read.
        StorageError: The store failed.
    """
    paths, waiting = iter(parts), deque[Future[pa.Table]]()
    with ThreadPoolExecutor(_READERS, "rows") as readers:
        while True:
            for path in islice(paths, _AT_ONCE - len(waiting)):
                waiting.append(readers.submit(read_part, output, path, RUN_SCHEMA.names))
            if not waiting:
                return
            yield waiting.popleft().result()


def collect_rows(output: Storage, parts: Iterable[str], folder: Path) -> Spill:
    """Read committed parts, and return their rows, of ``RUN_SCHEMA``.

    Args:
        output: The output.
        parts: Paths of the parts, each once.
        folder: A scratch folder.

    Raises:
        ManifestError: A part can't be read.
        StorageError: The store failed.
    """
    return spill(folder, RUN_SCHEMA, read_rows(output, parts))


class RunRows:
    """The rows of one run, and what its summary and its sheet say of them.

    Attributes:
        rows: The rows, of ``RUN_SCHEMA``, in any order.
        folder: A scratch folder for results and for what doesn't fit into memory.
    """

    def __init__(self, rows: Spill, folder: Path):
        self.rows, self.folder = rows, folder

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def retries(self) -> int:
        """Return how many calls to the stores had to be made again."""
        ((count,),) = self._ask("SELECT coalesce(sum(retries), 0) FROM rows")
        return int(count)

    def arithmetic(self) -> list[dict[str, str | None]]:
        """Return what computed the images: each ``engine``, ``precision`` and ``device`` once."""
        names = ("engine", "precision", "device")
        listed = ", ".join(names)
        sql = f"SELECT DISTINCT {listed} FROM rows WHERE status = 'ok' ORDER BY {listed}"
        return [dict(zip(names, row, strict=True)) for row in self._ask(sql)]

    @cached_property
    def _in_vain(self) -> Spill:
        """The last attempts that were in vain, in no order."""
        columns = ", ".join(("status", "pair_id", "method", *_REASON))
        with self.connection(rows=self.rows) as connection:
            show(connection, last=query(connection, self.folder, _IN_VAIN))
            sql = f"SELECT {columns} FROM rows SEMI JOIN last ON rows.file_row_number = last.place"
            return query(connection, self.folder, sql)

    def undone(self) -> int:
        """Return the number of pairs, or images, whose last attempt ended without a verdict."""
        sql = "SELECT count(*) FROM rows WHERE status = 'undone'"
        ((count,),) = self._ask(sql, rows=self._in_vain)
        return int(count)

    def stages(self) -> dict[str, int]:
        """Return how many failed or are undone by the stage of their last attempt, most first."""
        sql = "SELECT stage, count(*) FROM rows GROUP BY stage ORDER BY count(*) DESC, stage"
        return {str(stage): count for stage, count in self._ask(sql, rows=self._in_vain)}

    def reasons(self, most: int) -> list[dict[str, Any]]:
        """Return the last attempts that were in vain by reason, the most frequent first.

        Args:
            most: At most so many reasons.

        Returns:
            ``count``, ``status``, ``stage``, ``cause``, ``error_type``, and a message as
            ``example``.
        """
        named = ("status", "stage", "cause", "error_type")
        keys = ", ".join(f"coalesce({name}, '')" for name in named)
        sql = f"""SELECT count(*), {keys}, min(coalesce(error_message, '')[:500]) FROM rows
            GROUP BY {keys} ORDER BY count(*) DESC, {keys} LIMIT {most}"""
        names = ("count", *named, "example")
        rows = self._ask(sql, rows=self._in_vain)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def unsuccessful(self, status: str) -> Iterator[pa.Table]:
        """Yield the last attempts that ended with a status, sorted by pair and method.

        Args:
            status: ``failed`` or ``undone``.

        Returns:
            ``pair_id``, ``method``, ``stage``, ``cause``, ``attempt``, ``error_type``,
            ``error_message`` and ``history``.
        """
        columns = ("pair_id", "method", *_REASON)
        return self._in_order(self._in_vain, columns, f"status = '{status}'")

    def remarks(self) -> Iterator[pa.Table]:
        """Yield ``pair_id`` and ``remark`` of fused scenes that have one, sorted by pair."""
        condition = "status = 'ok' AND remark IS NOT NULL"
        return self._in_order(self.rows, ("pair_id", "remark"), condition)

    def misaligned(self) -> Iterator[pa.Table]:
        """Yield ``pair_id`` and ``remark`` of fused pairs that are off and stayed so, likewise."""
        condition = "status = 'ok' AND registration = 'shifted'"
        return self._in_order(self.rows, ("pair_id", "remark"), condition)

    def registrations(self) -> dict[str, int]:
        """Return how many pairs were found aligned, shifted, unsure and corrected, the most first.

        Failed pairs count too, if they came so far.
        """
        sql = """SELECT registration, count(*) FROM rows WHERE registration IS NOT NULL
            GROUP BY registration ORDER BY count(*) DESC, registration"""
        return {str(found): count for found, count in self._ask(sql)}

    def metric_statistics(self) -> dict[str, dict[str, float | None]]:
        """Return mean, population's standard deviation, minimum and maximum of every metric.

        Returns:
            Over the successful rows, without what is undefined; none where there are none.
        """
        values = (f"CASE WHEN isfinite({name}) THEN {name} END" for name in METRIC_NAMES)
        columns = (f"avg({v}), stddev_pop({v}), min({v}), max({v})" for v in values)
        sql = f"SELECT count(*), {', '.join(columns)} FROM rows WHERE status = 'ok'"
        ((count, *found),) = self._ask(sql)
        if not count:
            return {}
        return {
            name: dict(zip(("mean", "std", "min", "max"), found[4 * k : 4 * k + 4], strict=True))
            for k, name in enumerate(METRIC_NAMES)
        }

    def fused(
        self, pairs: pa.Table | Spill, count: int, *, model_hash: str | None, settings_hash: str
    ) -> list[dict[str, Any]]:
        """Choose successful rows, spread evenly over all in the order of their pairs.

        Args:
            pairs: The plan's: ``PAIR_KEY``, ``ir_path`` and ``vi_path``. Rows of other pairs, or of
                other versions of their files, are left out.
            count: At most so many rows.
            model_hash: Rows of other models are left out,
            settings_hash: and of other settings.

        Returns:
            The rows' columns, and the two paths.
        """
        key, columns = ", ".join(PAIR_KEY), ", ".join(f"rows.{name}" for name in RUN_SCHEMA.names)
        # First all places, which are narrow, and then all columns of the few rows that are chosen.
        with self.connection(rows=self.rows, pairs=pairs) as connection:
            sql = f"""
                SELECT file_row_number AS place FROM rows SEMI JOIN pairs USING ({key})
                WHERE status = 'ok' AND model_hash = ? AND settings_hash = ?
                ORDER BY pair_id, place
            """
            fused = query(connection, self.folder, sql, [model_hash, settings_hash])
            show(connection, fused=fused)
            places = [str(place) for place in evenly(range(len(fused)), count)]
            if not places:
                return []
            sql = f"""
                SELECT {columns}, ir_path, vi_path FROM rows JOIN pairs USING ({key})
                WHERE rows.file_row_number IN (
                    SELECT place FROM fused WHERE file_row_number IN ({", ".join(places)})
                ) ORDER BY rows.pair_id, rows.file_row_number
            """
            rows: list[dict[str, Any]] = query(connection, self.folder, sql).read().to_pylist()
            return rows

    def _in_order(self, rows: Spill, columns: Sequence[str], condition: str) -> Iterator[pa.Table]:
        """Yield rows sorted by pair and method, slice by slice: all texts may be too much at once.

        The rows of neighbouring pairs lie near each other, so that a slice is found by the
        statistics of row groups.
        """
        with self.connection(rows=rows) as connection:
            sql = f"SELECT pair_id FROM rows WHERE {condition} ORDER BY pair_id"
            ids = query(connection, self.folder, sql).to_batches(_SLICE)
            firsts = list(dict.fromkeys(batch["pair_id"][0].as_py() for batch in ids))
            for first, end in zip_longest(firsts, firsts[1:]):
                own = f"{condition} AND pair_id >= ?" + (" AND pair_id < ?" if end else "")
                yield connection.sql(
                    f"SELECT {', '.join(columns)} FROM rows WHERE {own} ORDER BY pair_id, method",
                    params=[first, end] if end else [first],
                ).to_arrow_table()

    def _ask(self, sql: str, rows: Spill | None = None) -> list[tuple[Any, ...]]:
        with self.connection(rows=self.rows if rows is None else rows) as connection:
            return connection.execute(sql).fetchall()

    @contextmanager
    def connection(self, **tables: pa.Table | Spill) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open an engine of bounded memory, which knows some tables by their names."""
        with engine(self.folder, memory=_MEMORY, threads=1) as connection:
            show(connection, **tables)
            yield connection


def evenly(rows: Sequence[Any], count: int) -> list[Any]:
    """Return at most ``count`` rows, spread evenly over all of them."""
    if len(rows) <= count:
        return list(rows)
    return [rows[k * len(rows) // count] for k in range(count)]
