"""The manifest: a folder of Parquet parts, one row per attempt at a pair or at a fused image."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusion_core.archive.attempts import in_order
from fusion_core.archive.layout import part_date
from fusion_core.archive.parts import read_part
from fusion_core.archive.schema import MANIFEST_SCHEMA, SCHEMA_VERSION
from fusion_core.errors import ManifestError
from fusion_core.storage.file_system import StorageOptions
from fusion_core.storage.store import RETRY_SECONDS, Storage

_READERS = 16


def read_manifest(
    url: str,
    *,
    latest: bool = True,
    columns: Sequence[str] | None = None,
    filters: Any = None,
    storage_options: StorageOptions = None,
    retry_seconds: float = RETRY_SECONDS,
) -> pa.Table:
    """Read a manifest, by default the newest row of every pair and method.

    Args:
        url: The manifest folder, ``OUTPUT/manifest`` or ``OUTPUT/scores``: any fsspec URL.
        latest: True for one row per pair and method, the newest, see ``newest_rows``; False
            for every row ever written.
        columns: Names of the columns wanted; None for all of ``MANIFEST_SCHEMA``.
        filters: As in ``pyarrow.parquet.read_table``: ``[("status", "=", "failed")]`` or an
            expression. With ``latest`` it is applied to the newest rows, so that a pair which
            failed once and is fused now isn't shown as failed.
        storage_options: Options of the store, as ``Storage`` takes them.
        retry_seconds: How long a call to the store is repeated while it fails for a passing reason.

    Returns:
        A table sorted by pair id and method; empty where nothing was written yet. In rows of
        earlier schemas the columns that they lacked are null, but for ``method``.

    Example:
        >>> rows = read_manifest("memory://archive-fused/manifest", columns=["pair_id", "qabf"])
        >>> len(rows), rows.column_names  # nothing was written there
        (0, ['pair_id', 'qabf'])

    Raises:
        ManifestError: A part can't be read or a column doesn't exist.
        StorageError: The store failed.
    """
    wanted = list(columns) if columns is not None else MANIFEST_SCHEMA.names
    unknown = [name for name in wanted if name not in MANIFEST_SCHEMA.names]
    if unknown:
        raise ManifestError(
            f"the manifest has no columns {unknown}; expected some of {MANIFEST_SCHEMA.names}"
        )
    condition = pq.filters_to_expression(filters) if isinstance(filters, list) else filters
    # The order and a filter that comes late may need columns that aren't wanted in the result.
    order = ["pair_id", "method", "attempt", "ended", "run_id", "fused_version", "metric_version"]
    needed = list(dict.fromkeys([*wanted, *order, *_filtered(filters)]))
    try:
        table = _read(
            Storage(url, storage_options, retry_seconds), needed, None if latest else condition
        )
        if latest:
            table = newest_rows(table)
            table = table if condition is None else table.filter(condition)
        else:
            table = in_order(table).sort_by([(name, "ascending") for name in order[:2]])
    except (pa.ArrowException, ValueError, OSError) as error:
        raise ManifestError(
            f"the manifest {url} can't be read: {error}. Expected Parquet parts of schema "
            f"version {SCHEMA_VERSION} and nothing else below the folder, and filters that fit it"
        ) from error
    return table.select(wanted)


def newest_rows(table: pa.Table) -> pa.Table:
    """Return the newest row of every pair id and method, sorted: that of the last attempt.

    Attempts are numbered, so that no clock of a worker decides. Those of schemas before 5 have no
    number: they come before all others, in the order of their ``ended`` and ``run_id``.

    Rows of score-archive, which hold a ``fused_version``, are told apart by ``metric_version`` too:
    scores by other definitions are no newer version of the same.
    """
    scored = pc.is_valid(table["fused_version"])
    definitions = pc.if_else(scored, table["metric_version"], "")
    key = ["pair_id", "method", "definitions"]
    ordered = (
        table.append_column("definitions", definitions)
        .append_column("number", pc.fill_null(table["attempt"], 0))
        .sort_by(
            [
                *((name, "ascending") for name in key),
                ("number", "descending"),
                ("ended", "descending"),
                ("run_id", "descending"),
            ]
        )
        .combine_chunks()
    )
    rows = ordered.select(table.column_names)
    if len(ordered) < 2:
        return rows
    differs = [_differs(ordered[name]) for name in key]
    first = pc.or_(pc.or_(differs[0], differs[1]), differs[2]).combine_chunks()
    return rows.filter(pa.concat_arrays([pa.array([True]), first]))


def _filtered(filters: Any) -> list[str]:
    """Return the names of the columns that filters look at: all where they don't tell."""
    if filters is None:
        return []
    if not isinstance(filters, list):
        return list(MANIFEST_SCHEMA.names)
    groups = filters if filters and isinstance(filters[0], list) else [filters]
    named = {name for group in groups for name, *_ in group}
    return [name for name in MANIFEST_SCHEMA.names if name in named]


def _differs(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Tell of each value but the first whether it differs from the one before."""
    return pc.not_equal(column.slice(1), column.slice(0, len(column) - 1))


def _read(storage: Storage, columns: Sequence[str], condition: Any) -> pa.Table:
    """Read all files and parts there are, as narrow as these columns are."""
    schema = pa.schema([MANIFEST_SCHEMA.field(name) for name in columns])

    def one(path: str, size: int) -> pa.Table:
        names = [name for name in columns if name != "date"]
        part = read_part(storage, path, names, size=size)
        dates = pa.repeat(pa.scalar(part_date(path), pa.date32()), len(part))
        table = part.append_column("date", dates).select(schema.names).cast(schema)
        return table if condition is None else table.filter(condition)

    listing = storage.list()
    parts = listing.filter(pc.ends_with(listing["path"], ".parquet"))
    with ThreadPoolExecutor(_READERS, "manifest") as readers:
        tables = list(readers.map(one, parts["path"].to_pylist(), parts["bytes"].to_pylist()))
    return pa.concat_tables([schema.empty_table(), *tables])
