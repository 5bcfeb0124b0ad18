"""The manifest: a folder of Parquet parts, one row per attempt at a pair or at a fused image.

A part is the commit of a chunk (decision 2 of the design): it is created exclusively and in one
piece after the chunk's images, so a row exists only if its image does, and reading the folder
never shows a half-written or doubled part. A part without rows closes a chunk that was split.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import FSSpecHandler, PyFileSystem

from fusion_core.errors import ManifestError
from fusion_core.metrics import METRIC_NAMES
from fusion_core.storage import Storage

MANIFEST_FOLDER = "manifest"
SCORES_FOLDER = "scores"
"""Rows about fused images of any method lie apart, so that the newest row of a pair in the manifest
is the one of its fusing."""

OWN_METHOD = "refinefuse"
"""The method of all rows of schema version 1."""

SCHEMA_VERSION = "3"
STAGES = ("read", "decode", "fuse", "encode", "score", "write")
"""Stages of a pair that are timed, in their order."""

_UTC = pa.timestamp("us", tz="UTC")


def _field(name: str, kind: pa.DataType, description: str, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": description})


def _source_fields(side: str, name: str) -> list[pa.Field]:
    return [
        _field(f"{side}_url", pa.string(), f"URL of the {name} image", False),
        _field(f"{side}_version", pa.string(), "its ETag, or size and modification time", False),
        _field(f"{side}_bytes", pa.int64(), "its size in bytes", False),
    ]


# Null for photographs. What scaled the values is kept, because without it no score can be repeated.
_SCENE_FIELDS = [
    _field("bands", pa.int32(), "bands of the fused scene"),
    _field("data_type", pa.string(), "data type of its pixels, as NumPy names it"),
    _field("crs", pa.string(), "its coordinate system: authority and code, or WKT"),
    *(
        _field(name, pa.float64(), f"{name} end of its footprint, in degrees of WGS 84")
        for name in ("west", "south", "east", "north")
    ),
    _field("acquired", _UTC, "when it was taken, by its tags or its name"),
    _field("overlap", pa.float64(), "share of the visible scene that was fused, 0 to 1"),
    _field("remark", pa.string(), "what a reader of the fused scene should know"),
    *(
        _field(f"{side}_{name}", kind, f"{text} of the {side} image's values for the model")
        for side in ("ir", "vi")
        for name, kind, text in (
            ("scaling", pa.string(), "scaling: percentiles, range or type,"),
            ("low", pa.float64(), "value that became black,"),
            ("high", pa.float64(), "value that became white,"),
        )
    ),
    _field("quicklook_url", pa.string(), "URL of its picture as PNG"),
    _field("item_url", pa.string(), "URL of its STAC item"),
]

MANIFEST_SCHEMA = pa.schema(
    [
        _field("run_id", pa.string(), "the run that wrote the row", False),
        _field("date", pa.date32(), "date of the run; the folder, not a column of the file", False),
        _field("method", pa.string(), "what made the fused image", False),
        _field("pair_id", pa.string(), "what both source images share in their names", False),
        *_source_fields("ir", "infrared"),
        *_source_fields("vi", "visible"),
        _field("fused_url", pa.string(), "URL of the fused image; null where fusing failed"),
        _field("fused_version", pa.string(), "version of an image that was only scored"),
        _field("fused_sha256", pa.string(), "sha256 of the fused file's bytes, in hex"),
        _field("fused_bytes", pa.int64(), "size of the fused file in bytes"),
        _field("fused_format", pa.string(), "png, jpeg, webp or tiff; cog for a scene"),
        _field("height", pa.int32(), "height of the fused image in pixels"),
        _field("width", pa.int32(), "width of the fused image in pixels"),
        _field("bit_depth", pa.int32(), "bits per channel of the fused image"),
        *_SCENE_FIELDS,
        _field("status", pa.string(), "ok or failed", False),
        _field("stage", pa.string(), "where a failed pair failed; null where it is ok"),
        _field("error_type", pa.string(), "class of the error of a failed pair"),
        _field("error_message", pa.string(), "what was found, what was expected, what to do"),
        *(
            _field(name, pa.float64(), f"{name.upper()} of the fused image; null where undefined")
            for name in METRIC_NAMES
        ),
        _field("metrics_undefined", pa.string(), "why metrics of an ok row are null, if any are"),
        _field("metric_version", pa.string(), "names the definitions of the metrics", False),
        _field(
            "model_hash",
            pa.string(),
            "sha256 of the model that fused; null for other methods",
        ),
        _field("settings_hash", pa.string(), "digest of what decides pixels or scores", False),
        _field("software_version", pa.string(), "version of fuse-archive", False),
        *(
            _field(f"seconds_{stage}", pa.float64(), f"time of the stage {stage}, in seconds")
            for stage in STAGES
        ),
        _field("host", pa.string(), "machine that worked on the pair"),
        _field("device", pa.string(), "cpu or the name of the GPU"),
        _field("started", _UTC, "when work on the pair began", False),
        _field("ended", _UTC, "when work on the pair ended", False),
    ],
    metadata={"schema_version": SCHEMA_VERSION},
)
"""Every column of the manifest, with its description in the field's metadata."""

PART_SCHEMA = MANIFEST_SCHEMA.remove(MANIFEST_SCHEMA.get_field_index("date"))
"""What a part file holds: the date stands in its folder's name, as Hive, DuckDB and pandas read."""


def part_path(date: dt.date, part_id: str, folder: str = MANIFEST_FOLDER) -> str:
    """Return the path of a part below the output."""
    return f"{folder}/date={date.isoformat()}/part-{part_id}.parquet"


def commit_part(storage: Storage, path: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Write rows as one new part.

    Args:
        storage: The run's output.
        path: Where, from :func:`part_path`.
        rows: Values of :data:`PART_SCHEMA` by name; absent ones are null.

    Returns:
        True if this call's rows are the part now, False if another writer's part was there first.

    Raises:
        ManifestError: The rows don't follow the schema.
        StorageError: The store failed.
    """
    try:
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=PART_SCHEMA)
        table.validate(full=True)
        body = io.BytesIO()
        pq.write_table(table, body, compression="zstd", write_page_checksum=True)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
        raise ManifestError(
            f"rows for {path} don't follow the manifest's schema: {error}"
        ) from error
    return storage.create(path, body.getvalue())


def read_part(storage: Storage, path: str) -> pa.Table:
    """Read one part of any schema version (columns of :data:`PART_SCHEMA`).

    Raises:
        ManifestError: The object is no Parquet file.
    """
    try:
        # Neither pq.read_table nor reading ahead: their threads may let go of the file after Python
        # has ended, and abort the process.
        body = io.BytesIO(storage.read(path))
        with pq.ParquetFile(body, page_checksum_verification=True, pre_buffer=False) as file:
            table = file.read(use_threads=False)
        columns = [
            table[field.name].cast(field.type)
            if field.name in table.column_names
            else pa.nulls(len(table), field.type)
            for field in PART_SCHEMA
        ]
        return _as_current(pa.table(columns, schema=PART_SCHEMA))
    except (pa.ArrowInvalid, OSError) as error:
        raise ManifestError(
            f"{storage.url(path)} can't be read as a manifest part: {error}. Expected Parquet; "
            "move the file out of the manifest folder"
        ) from error


def read_manifest(
    url: str,
    latest: bool = True,
    columns: Sequence[str] | None = None,
    filters: Any = None,
    storage_options: Mapping[str, Any] | None = None,
) -> pa.Table:
    """Read a manifest, by default the newest row of every pair and method.

    Args:
        url: The manifest folder, ``OUTPUT/manifest`` or ``OUTPUT/scores``: any fsspec URL.
        latest: True for one row per pair and method, the newest, see :func:`newest_rows`; False
            for every row ever written.
        columns: Names of the columns wanted; None for all of :data:`MANIFEST_SCHEMA`.
        filters: As in ``pyarrow.parquet.read_table``: ``[("status", "=", "failed")]`` or an
            expression. With ``latest`` it is applied to the newest rows, so that a pair which
            failed once and is fused now isn't shown as failed.
        storage_options: fsspec options of the store.

    Returns:
        A table sorted by pair id and method; empty where nothing was written yet. In rows of
        schema version 1 the columns that it lacked are null, but for ``method``.

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
    dataset = _dataset(Storage(url, storage_options))
    if dataset is None:
        return MANIFEST_SCHEMA.empty_table().select(wanted)
    order = ["pair_id", "method", "ended", "run_id", "fused_version", "metric_version"]
    # The files of version 1 hold no method, so a question about it can't be asked of them.
    early = None if latest or "method" in str(condition) else condition
    # A filter that comes later may name columns that aren't wanted in the result.
    late = condition is not None and early is None
    needed = MANIFEST_SCHEMA.names if late else [*{*wanted, *order}]
    try:
        table = _as_current(dataset.to_table(columns=needed, filter=early))
        if latest:
            table = newest_rows(table)
        else:
            table = table.sort_by([(name, "ascending") for name in order[:4]])
        if late:
            table = table.filter(condition)
    except (pa.ArrowException, OSError) as error:
        raise ManifestError(
            f"the manifest {url} can't be read: {error}. Expected Parquet parts of schema "
            f"version {SCHEMA_VERSION} and nothing else below the folder, and filters that fit it"
        ) from error
    return table.select(wanted)


def newest_rows(table: pa.Table) -> pa.Table:
    """Return the newest row (by ``ended``, then ``run_id``) of every pair id and method, sorted.

    Rows of score-archive, which hold a ``fused_version``, are told apart by ``metric_version`` too:
    scores by other definitions are no newer version of the same.
    """
    scored = pc.is_valid(table["fused_version"])
    definitions = pc.if_else(scored, table["metric_version"], "")
    key = ["pair_id", "method", "definitions"]
    ordered = (
        table.append_column("definitions", definitions)
        .sort_by(
            [
                *((name, "ascending") for name in key),
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


def _differs(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Tell of each value but the first whether it differs from the one before."""
    return pc.not_equal(column.slice(1), column.slice(0, len(column) - 1))


def _as_current(table: pa.Table) -> pa.Table:
    """Fill the method in, which rows of schema version 1 don't hold."""
    place = table.schema.get_field_index("method")
    if place < 0:
        return table
    filled = pc.fill_null(table["method"], OWN_METHOD)
    return table.set_column(place, table.schema.field(place), filled)


def _dataset(storage: Storage) -> ds.Dataset | None:
    parts = storage.list()["path"].to_pylist()
    files = [storage.fs_path(part) for part in parts if part.endswith(".parquet")]
    if not files:
        return None
    dates = ds.partitioning(pa.schema([("date", pa.date32())]), flavor="hive")
    return ds.dataset(
        files,
        schema=MANIFEST_SCHEMA,
        format="parquet",
        filesystem=PyFileSystem(FSSpecHandler(storage.fs)),
        partitioning=dates,
        partition_base_dir=storage.root,
    )
