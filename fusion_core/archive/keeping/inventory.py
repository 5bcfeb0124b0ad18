"""All that lies in an output, as tables on a local disk that DuckDB joins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.layout import (
    FUSED_FOLDER,
    REQUEST_PATTERN,
    TABLES,
    is_part_path,
    is_rows_path,
)
from fusion_core.archive.lease_record import LeaseRecord, generations, read_record
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import SCORE_KEY
from fusion_core.archive.publications import publications, published_generations
from fusion_core.archive.spill import Spill, SpillWriter, show, spill
from fusion_core.archive.stored_images import IMAGE_COLUMNS, image_path
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

OBJECTS_SCHEMA = pa.schema([("path", pa.string()), ("bytes", pa.int64())])

_READERS = 16
_COLUMNS = tuple(
    dict.fromkeys([*SCORE_KEY, *IMAGE_COLUMNS, "status", "attempt", "run_id", "ended"])
)
_KEPT = ("method", *SCORE_KEY[:1], *SCORE_KEY[2:], "model_hash", "settings_hash", "status")

ROWS_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("tab", "file", "image", "sha256", *_KEPT, "run_id")),
        ("bytes", pa.int64()),
        ("attempt", pa.int32()),
        ("ended", pa.timestamp("us", tz="UTC")),
    ]
)
"""Columns of rows here: ``tab`` is the table, ``image`` the path that an ok row's image has."""

RECORDS_SCHEMA = pa.schema(
    [
        ("generation", pa.int64()),
        ("number", pa.int64()),
        ("file", pa.string()),
        ("row_groups", pa.int64()),
        ("rows", pa.int64()),
    ]
)
STEM = "regexp_replace(image, '[.][a-z0-9]+$', '')"
"""What an image's path has in common with those of what lies beside it, in SQL."""

STEM_BESIDE = "regexp_replace(path, '([.](quicklook|frames))?[.][a-z0-9]+$', '')"
"""The same of the path of an image, its quicklook, its item or its table of frames."""


def images_by_stem(join: str, stems: str) -> str:
    """Return a query of images, quicklooks, items and tables of frames.

    Args:
        join: ``SEMI`` for those that have one of the stems, ``ANTI`` for all others.
        stems: Query of a column ``stem``, each as of ``STEM``.
    """
    return f"""
        SELECT path, bytes FROM objects {join} JOIN ({stems}) AS named
        ON {STEM_BESIDE} = stem
        WHERE starts_with(path, '{FUSED_FOLDER}/') AND NOT regexp_matches(path, '[.]tmp$')
            AND NOT regexp_matches(path, '{REQUEST_PATTERN}')"""


UNNAMED_IMAGES = images_by_stem("ANTI", f"SELECT DISTINCT {STEM} AS stem FROM rows")
"""Query of images that no row names, nor as something beside one that a row names. Segments of
clips, which go when their clip is committed, are always among them."""

_TABLES = tuple(f"{table}/" for table in TABLES)
PARTS_SCHEMA = pa.schema([("path", pa.string()), ("generation", pa.int64())])


@dataclass(frozen=True)
class Inventory:
    """What lies in an output.

    Attributes:
        objects: All objects, of ``OBJECTS_SCHEMA``.
        rows: All rows that people can read, of ``ROWS_SCHEMA``.
        records: All records of publications, of ``RECORDS_SCHEMA``.
        published: The parts that these name, and who published them, of ``PARTS_SCHEMA``.
        leases: The records of the lease by generation.
        unreadable: Paths of what can't be read, each with the reason.
    """

    objects: Spill
    rows: Spill
    records: Spill
    published: Spill
    leases: dict[int, LeaseRecord]
    unreadable: list[str] = field(default_factory=list)

    def show(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let a connection's queries know the tables by their names."""
        tables = {name: getattr(self, name) for name in ("objects", "rows", "records")}
        show(connection, **tables, published=self.published)

    @property
    def at_work(self) -> str | None:
        """The run that holds the output, or that died and nobody has taken over from yet."""
        newest = max(self.leases, default=0)
        record = self.leases.get(newest)
        return None if record is None or record.released else record.run_id


def take_inventory(
    output: Storage, folder: Path, tell: Callable[[str], None] = lambda _: None
) -> Inventory:
    """List an output, and read all rows and records in it.

    Args:
        output: The output.
        folder: A scratch folder.
        tell: Is told how far it is.

    Raises:
        StorageError: The store failed.
    """
    unreadable: list[str] = []
    numbers = generations(output)
    with ThreadPoolExecutor(_READERS, "leases") as readers:
        leases = zip(numbers, readers.map(partial(read_record, output), numbers), strict=True)
        known = {number: record for number, record in leases if record is not None}
    # Records first, then files: what is published meanwhile is in no record that is looked at.
    records, published = _read_records(output, folder, unreadable)
    listed = (batch.select(OBJECTS_SCHEMA.names) for batch in output.list_batches())
    objects = spill(folder, OBJECTS_SCHEMA, listed)
    tell(f"{len(objects)} objects, {len(records)} publications")
    rows = spill(folder, ROWS_SCHEMA, _read_rows(output, objects, unreadable, tell))
    return Inventory(objects, rows, records, published, known, unreadable)


def _read_records(output: Storage, folder: Path, unreadable: list[str]) -> tuple[Spill, Spill]:
    with (
        SpillWriter(folder, RECORDS_SCHEMA) as records,
        SpillWriter(folder, PARTS_SCHEMA) as published,
    ):
        for generation in published_generations(output):
            try:
                for number, one in publications(output, generation):
                    row = {"generation": generation, "number": number, "file": one.file}
                    row |= {"row_groups": one.row_groups, "rows": one.rows}
                    records.write(pa.Table.from_pylist([row], schema=RECORDS_SCHEMA))
                    parts = [{"path": path, "generation": generation} for path in one.parts]
                    published.write(pa.Table.from_pylist(parts, schema=PARTS_SCHEMA))
            except ManifestError as error:
                unreadable.append(str(error))
    return Spill(records.path), Spill(published.path)


def files_of_rows(objects: Spill) -> Iterator[tuple[str, int]]:
    """Yield path and size of what people read: files of published rows, parts of before."""
    for batch in objects.to_batches():
        for path, size in zip(*(one.to_pylist() for one in batch.columns), strict=True):
            if path.startswith(_TABLES) and (is_rows_path(path) or is_part_path(path)):
                yield path, size


def _read_rows(
    output: Storage, objects: Spill, unreadable: list[str], tell: Callable[[str], None]
) -> Iterator[pa.Table]:
    count = 0
    for path, size in files_of_rows(objects):
        try:
            rows = read_part(output, path, _COLUMNS, size=size)
        except (ManifestError, FileNotFoundError) as error:
            unreadable.append(str(error))
            continue
        count += len(rows)
        tell(f"{count} rows read, to {path}")
        yield _narrowed(rows, path)


def _narrowed(rows: pa.Table, path: str) -> pa.Table:
    own = pc.is_null(rows["fused_version"])  # others' images lie elsewhere
    ok = pc.and_(pc.equal(rows["status"], "ok"), own).to_pylist()
    images: list[Any] = [
        image_path(row) if fused else None
        for row, fused in zip(rows.select(list(IMAGE_COLUMNS)).to_pylist(), ok, strict=True)
    ]
    values = {
        "tab": pa.repeat(path.partition("/")[0], len(rows)),
        "file": pa.repeat(path, len(rows)),
        "image": pa.array(images, pa.string()),
        "sha256": rows["fused_sha256"],
        "bytes": rows["fused_bytes"],
    }
    named = {name: rows[name] for name in ROWS_SCHEMA.names if name not in values}
    return pa.table(values | named).select(ROWS_SCHEMA.names).cast(ROWS_SCHEMA)
