"""The figures that a run's page shows: histograms, time by stage, the worst pairs, footprints.

All is computed by DuckDB in bounded memory, as in ``run_rows``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from fusion_core.archive.run_rows import RUN_SCHEMA, RunRows, evenly
from fusion_core.archive.schema import STAGES
from fusion_core.archive.spill import Spill, query, show
from fusion_core.archive.stored_images import IMAGE_COLUMNS
from fusion_core.metrics import METRIC_NAMES
from fusion_core.metrics.bins import BIN_EDGES, BINS_VERSION

QUANTILES = (0.05, 0.5, 0.95)

FOOTPRINT_COLUMNS = (*IMAGE_COLUMNS, "outline", "west", "south", "east", "north", "item_url")

_DEVICES = 16  # more kinds of GPUs than a cluster has


class Histogram(BaseModel):
    """How a metric is distributed over the pairs of a run.

    Attributes:
        counts: Pairs in each bin of ``BIN_EDGES``.
        quantiles: The metric's ``QUANTILES``, estimated; None where no pair has a value.
        bins: Version of the bins.
    """

    model_config = ConfigDict(frozen=True)

    counts: tuple[int, ...]
    quantiles: tuple[float | None, ...]
    bins: int = BINS_VERSION


@dataclass(frozen=True)
class Chosen:
    """Fused pairs that are worth a look.

    Attributes:
        rows: Their rows by place, with ``RUN_SCHEMA``'s columns and the two source paths.
        worst: By metric the places of the pairs with the lowest values, the lowest first.
        sample: Places of pairs spread evenly over all.
    """

    rows: Mapping[int, dict[str, Any]]
    worst: Mapping[str, tuple[int, ...]]
    sample: tuple[int, ...]


def metric_histograms(rows: RunRows) -> dict[str, Histogram]:
    """Return how each metric is distributed over the successful rows; none where there are none."""
    columns = []
    for name in METRIC_NAMES:
        value = f"CASE WHEN isfinite({name}) THEN {name} END"
        edges = ", ".join(map(str, BIN_EDGES[name][1:-1]))
        columns += [
            f"histogram({value}, [{edges}])",
            f"approx_quantile({value}, {list(QUANTILES)})",
        ]
    with rows.connection(rows=rows.rows) as connection:
        sql = f"SELECT count(*), {', '.join(columns)} FROM rows WHERE status = 'ok'"
        ((count, *found),) = connection.execute(sql).fetchall()
    if not count:
        return {}
    return {
        name: _histogram(name, found[2 * k], found[2 * k + 1])
        for k, name in enumerate(METRIC_NAMES)
    }


def _histogram(
    name: str, found: Mapping[float, int] | None, quantiles: Sequence[float] | None
) -> Histogram:
    inner = (*BIN_EDGES[name][1:-1], float("inf"))
    counts = tuple((found or {}).get(edge, 0) for edge in inner)
    return Histogram(counts=counts, quantiles=tuple(quantiles or [None] * len(QUANTILES)))


def seconds_by_stage(rows: RunRows) -> dict[str, dict[str, float]]:
    """Return by device the seconds that each stage took of its threads, over all rows."""
    sums = ", ".join(f"coalesce(sum(seconds_{stage}), 0)" for stage in STAGES)
    sql = f"""SELECT coalesce(device, ''), {sums} FROM rows GROUP BY 1
        HAVING {" + ".join(f"coalesce(sum(seconds_{stage}), 0)" for stage in STAGES)} > 0
        ORDER BY count(*) DESC, 1 LIMIT {_DEVICES}"""
    with rows.connection(rows=rows.rows) as connection:
        found = connection.execute(sql).fetchall()
    return {
        str(device): {
            stage: round(seconds, 3) for stage, seconds in zip(STAGES, spent, strict=True)
        }
        for device, *spent in found
    }


def choose_pairs(
    rows: RunRows,
    pairs: pa.Table | Spill,
    *,
    worst: int,
    sample: int,
    model_hash: str | None,
    settings_hash: str,
) -> Chosen:
    """Choose the fused pairs that scored lowest by each metric, and some of all.

    Args:
        rows: The run's rows.
        pairs: The plan's, as for ``RunRows.fused``.
        worst: So many by each metric.
        sample: So many of all.
        model_hash: Rows of other models are left out,
        settings_hash: and of other settings.
    """
    with rows.connection(rows=rows.rows, pairs=pairs) as connection:
        sql = f"""
            SELECT file_row_number AS place, pair_id, {", ".join(METRIC_NAMES)}
            FROM rows SEMI JOIN pairs USING (pair_id, ir_version, vi_version)
            WHERE status = 'ok' AND model_hash = ? AND settings_hash = ?"""
        show(connection, fused=query(connection, rows.folder, sql, [model_hash, settings_hash]))
        lowest = {
            name: _places(
                connection,
                f"""SELECT place FROM fused WHERE isfinite({name})
                ORDER BY {name}, pair_id, place LIMIT {worst}""",
            )
            for name in METRIC_NAMES
        }
        some = _sample(connection, sample)
        places = sorted({*some, *(place for found in lowest.values() for place in found)})
        return Chosen(_rows_at(connection, rows, places), lowest, some)


def _sample(connection: duckdb.DuckDBPyConnection, count: int) -> tuple[int, ...]:
    """Return places spread evenly over all in the order of their pairs."""
    ((total,),) = connection.execute("SELECT count(*) FROM fused").fetchall()
    wanted = ", ".join(str(1 + number) for number in evenly(range(total), count))
    if not wanted:
        return ()
    return _places(
        connection,
        f"""SELECT place FROM (
            SELECT place, row_number() OVER (ORDER BY pair_id, place) AS number FROM fused
        ) WHERE number IN ({wanted}) ORDER BY number""",
    )


def _places(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    return tuple(place for (place,) in connection.execute(sql).fetchall())


def _rows_at(
    connection: duckdb.DuckDBPyConnection, rows: RunRows, places: Sequence[int]
) -> dict[int, dict[str, Any]]:
    if not places:
        return {}
    columns = ", ".join(f"rows.{name}" for name in RUN_SCHEMA.names)
    sql = f"""
        SELECT rows.file_row_number AS place, {columns}, ir_path, vi_path
        FROM rows JOIN pairs USING (pair_id, ir_version, vi_version)
        WHERE rows.file_row_number IN ({", ".join(map(str, places))})"""
    found = query(connection, rows.folder, sql).read().to_pylist()
    return {row.pop("place"): row for row in found}


def footprints(rows: RunRows, most: int) -> tuple[int, list[dict[str, Any]]]:
    """Return how many fused scenes have a footprint, and rows of some, spread evenly over all.

    Args:
        rows: The run's rows.
        most: At most so many rows, of ``FOOTPRINT_COLUMNS``.
    """
    having = "status = 'ok' AND west IS NOT NULL"
    with rows.connection(rows=rows.rows) as connection:
        ((count,),) = connection.execute(f"SELECT count(*) FROM rows WHERE {having}").fetchall()
        if not count:
            return 0, []
        wanted = ", ".join(str(1 + number) for number in evenly(range(count), most))
        sql = f"""
            SELECT {", ".join(FOOTPRINT_COLUMNS)} FROM rows
            WHERE file_row_number IN (
                SELECT place FROM (
                    SELECT file_row_number AS place,
                        row_number() OVER (ORDER BY pair_id, file_row_number) AS number
                    FROM rows WHERE {having}
                ) WHERE number IN ({wanted})
            ) ORDER BY pair_id, file_row_number"""
        return count, query(connection, rows.folder, sql).read().to_pylist()
