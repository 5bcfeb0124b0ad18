"""What was tried in vain: of each pair the newest attempt, where that failed or is undone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.archive.spill import engine, query, show, spill

IN_VAIN_COLUMNS = (
    *("pair_id", "method", "status", "attempt", "run_id", "ended", "stage", "cause"),
    *("error_type", "error_message", "history"),
)
"""What is told of an attempt in vain."""

_SCHEMA = pa.schema(
    [PART_SCHEMA.field(name) for name in (*IN_VAIN_COLUMNS, "fused_version", "metric_version")]
)
ROWS_ASKED = tuple(_SCHEMA.names)
"""Columns of the rows that it is told from."""

# As ``newest_rows`` has it, but of those alone that were ever tried in vain: few of all.
_NEWEST = f"""
    SELECT {", ".join(IN_VAIN_COLUMNS)} FROM (
        SELECT * FROM rows WHERE pair_id IN (
            SELECT pair_id FROM rows WHERE status IN ('failed', 'undone'))
        QUALIFY row_number() OVER (
            PARTITION BY pair_id, method,
                CASE WHEN fused_version IS NULL THEN '' ELSE metric_version END
            ORDER BY coalesce(attempt, 0) DESC, ended DESC, run_id DESC
        ) = 1
    ) WHERE status IN ('failed', 'undone') AND ended >= ?
"""
_LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class InVain:
    """The newest attempts that were in vain, in a local file.

    Args:
        rows: Rows of a table, with ``ROWS_ASKED``, in any order; they are read once.
        folder: A scratch folder.
        since: Only attempts that ended then or later.
    """

    def __init__(self, rows: Iterable[pa.Table], folder: Path, since: dt.datetime | None = None):
        self._folder = folder
        with engine(folder) as connection:
            show(connection, rows=spill(folder, _SCHEMA, rows))
            self._found = query(connection, folder, _NEWEST, [since or _LONG_AGO])

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._found)

    def reasons(self) -> list[dict[str, Any]]:
        """Return how many there are by ``status``, ``stage``, ``cause`` and ``error_type``.

        Returns:
            The most frequent first, each with its ``count`` and the ``example`` of one pair.
        """
        return self._ask(
            """SELECT status, stage, cause, error_type, count(*) AS count, min(pair_id) AS example
            FROM found GROUP BY ALL ORDER BY count DESC, status, stage, cause, error_type"""
        )

    def first(self, count: int) -> list[dict[str, Any]]:
        """Return the first by pair id, with ``IN_VAIN_COLUMNS``."""
        columns = ", ".join(IN_VAIN_COLUMNS)
        return self._ask(f"SELECT {columns} FROM found ORDER BY pair_id, method LIMIT {count:d}")

    def _ask(self, sql: str) -> list[dict[str, Any]]:
        with engine(self._folder) as connection:
            show(connection, found=self._found)
            rows: list[dict[str, Any]] = query(connection, self._folder, sql).read().to_pylist()
            return rows
