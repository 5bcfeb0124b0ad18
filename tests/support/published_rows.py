"""Publishes rows as a run does, without its commits, and lays parts as versions before did."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from fusion_core.archive.layout import part_path, rows_path
from fusion_core.archive.lease_record import LeaseRecord, write_record
from fusion_core.archive.parts import commit_part
from fusion_core.archive.publications import Publication, create_publication
from fusion_core.archive.rows_file import grown
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.archive.tables import part_schema
from fusion_core.storage.store import Storage

DAY = dt.date(2026, 11, 20)


def publish(
    output: Storage, generation: int, batches: Sequence[pa.Table], table: str = "manifest"
) -> None:
    """Publish each batch as a row group, by a run that had this generation of the lease."""
    record = LeaseRecord(run_id=f"run{generation}", host="h", token="t", seconds=1, publishes=True)
    write_record(output, generation, record)
    path, body = rows_path(DAY, generation, 1, table), b""
    for number, rows in enumerate(batches, 1):
        body = grown(body, rows)
        part = part_path(DAY, f"{generation}x{number}", table)
        record_ = Publication(file=path, row_groups=number, rows=len(rows), parts=(part,))
        assert create_publication(output, generation, number, record_)
        output.write(path, body)


def lay_part_of_before(output: Storage, name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Commit rows as versions before did, where people read; return the path."""
    path = part_path(DAY, name).removeprefix("commits/")
    assert commit_part(output, path, rows)
    return path


def as_part(rows: pa.Table) -> pa.Table:
    """Rows of some columns as rows of ``PART_SCHEMA``, the others filled in."""
    fill = {pa.string(): "x", pa.int64(): 1, pa.timestamp("us", tz="UTC"): dt.datetime.now(dt.UTC)}
    columns = [
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(len(rows), field.type)
        if field.nullable
        else pa.repeat(pa.scalar(fill[field.type], field.type), len(rows))
        for field in PART_SCHEMA
    ]
    return pa.table(columns, schema=PART_SCHEMA)


def detection_rows() -> pa.Table:
    """Return the rows of two images, in which two boxes and none were found."""
    moment = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    fill = {pa.string(): "x", pa.int64(): 1, pa.timestamp("us", tz="UTC"): moment}
    schema = part_schema("detections")
    shared = {field.name: fill[field.type] for field in schema if not field.nullable}
    numbers = ("x", "y", "box_width", "box_height", "score")
    boxes = {name: [1.5, 2.0] for name in numbers} | {"class_name": ["car", "person"]}
    none: dict[str, list[Any]] = {name: [] for name in boxes}
    rows = [
        {**shared, "pair_id": pair_id, "status": "ok", **found}
        for pair_id, found in (("a", boxes), ("b", none))
    ]
    return pa.Table.from_pylist(rows, schema=schema)
