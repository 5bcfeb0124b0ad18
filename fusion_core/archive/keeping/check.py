"""Says what is wrong with an output: every kind of violation, how often, and the first ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from fusion_core.archive.keeping.inventory import UNNAMED_IMAGES, Inventory, take_inventory
from fusion_core.archive.layout import COMMITS_FOLDER, TABLES
from fusion_core.archive.parts import read_part
from fusion_core.archive.spill import engine
from fusion_core.errors import FuseArchiveError, ManifestError
from fusion_core.storage.store import Storage

FIRST = 100
"""So many violations of a kind are told."""

_READERS = 16


@dataclass(frozen=True)
class Finding:
    """Violations of one kind.

    Attributes:
        kind: Names it.
        count: How many there are.
        first: The first of them, in words.
    """

    kind: str
    count: int
    first: tuple[str, ...]


# By kind a query of what violates it, in words; the tables are those of an inventory.
_QUERIES = {
    "row twice": """
        SELECT pair_id || ': attempt ' || coalesce(attempt, 0) || ' of ' || run_id || ' is in '
            || string_agg(file, ', ' ORDER BY file)
        FROM rows GROUP BY tab, pair_id, method, fused_version, run_id, attempt, ended,
            settings_hash, model_hash
        HAVING count(*) > 1""",
    "done twice": """
        SELECT pair_id || ': ' || count(*) || ' ok rows of the same files, model, settings and '
            || 'attempt, in ' || string_agg(file, ', ' ORDER BY file)
        FROM rows WHERE status = 'ok'
        GROUP BY tab, pair_id, method, ir_version, vi_version, fused_version, settings_hash,
            model_hash, attempt
        HAVING count(*) > 1 AND count(DISTINCT run_id) > 1""",
    "attempt twice": """
        SELECT pair_id || ': attempt ' || attempt || ' is in ' || string_agg(DISTINCT file, ', ')
        FROM rows WHERE attempt IS NOT NULL AND tab = 'manifest'
        GROUP BY pair_id, attempt, model_hash, settings_hash
        HAVING count(DISTINCT (run_id, status)) > 1""",
    "image missing": """
        SELECT rows.pair_id || ': ' || rows.file || ' names ' || rows.image
        FROM rows ANTI JOIN objects ON rows.image = objects.path
        WHERE rows.image IS NOT NULL""",
    "image of another size": """
        SELECT rows.pair_id || ': ' || image || ' has ' || objects.bytes || ' bytes, ' || file
            || ' says ' || rows.bytes
        FROM rows JOIN objects ON rows.image = objects.path WHERE objects.bytes <> rows.bytes""",
    "image of no row": f"SELECT path FROM ({UNNAMED_IMAGES})",
    "file of no record": f"""
        SELECT path FROM objects ANTI JOIN records ON path = file
        WHERE regexp_matches(path, '^({"|".join(TABLES)})/.*rows-')""",
    "stray object": f"""
        SELECT path FROM objects
        WHERE regexp_matches(path, '^({"|".join(TABLES)})/')
            AND NOT regexp_matches(path, '/date=[0-9-]+/(rows|part)-[0-9a-z-]+[.]parquet$')""",
    "temporary": """
        SELECT path FROM objects
        WHERE regexp_matches(path, '[.]tmp$')""",
}


def check(
    output: Storage, folder: Path, *, deep: bool = False, tell: Callable[[str], None] = print
) -> list[Finding]:
    """Look for all that must not be in an output.

    While a run is at work, what it is about to publish and to write may be among it.

    Args:
        output: The output.
        folder: A scratch folder.
        deep: Read every image, and compare its sha256 with that of its row.
        tell: Is told how far it is.

    Returns:
        One for each kind that was found; nothing where all is well.

    Raises:
        StorageError: The store failed.
    """
    found = take_inventory(output, folder, tell)
    findings = [_finding("unreadable", iter(found.unreadable))]
    with engine(folder) as connection:
        found.show(connection)
        for kind, sql in _QUERIES.items():
            tell(f"looking for: {kind}")
            findings.append(_finding(kind, _words(connection, sql)))
        findings.append(_finding("rows not in the file", _broken_promises(output, connection)))
        findings.append(_finding("not published", _unpublished(output, connection, found)))
        if deep:
            tell("reading all images")
            findings.append(_finding("image of other bytes", _other_bytes(output, connection)))
    return [one for one in findings if one.count]


def _words(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[str]:
    result = connection.execute(sql)
    while rows := result.fetchmany(1000):
        yield from (str(row[0]) for row in rows)


def _finding(kind: str, words: Iterator[str]) -> Finding:
    first: list[str] = []
    count = 0
    for count, text in enumerate(words, 1):
        if count <= FIRST:
            first.append(text)
    return Finding(kind, count, tuple(sorted(first)))


def _footer(output: Storage, file: str) -> pq.FileMetaData:
    with output.fs.open(output.fs_path(file), "rb") as handle:
        return pq.ParquetFile(handle).metadata


def _broken_promises(output: Storage, connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Tell which row groups lack rows that a record says were published in them."""
    files = connection.execute(
        "SELECT file, list((row_groups, rows)) FROM records GROUP BY file ORDER BY file"
    ).fetchall()
    for file, promised in files:
        try:
            metadata = output.call(f"read {output.url(file)}", partial(_footer, output, file))
        except Exception as error:
            yield f"{file}: {error}"
            continue
        for group, rows in promised:
            if group > metadata.num_row_groups:
                yield f"{file} has {metadata.num_row_groups} row groups, {group} were published"
            elif metadata.row_group(group - 1).num_rows != rows:
                there = metadata.row_group(group - 1).num_rows
                yield f"row group {group} of {file} has {there} rows, {rows} were published"


def _unpublished(
    output: Storage, connection: duckdb.DuckDBPyConnection, found: Inventory
) -> Iterator[str]:
    """Tell which commits with rows no record names, once nobody can be about to publish them."""
    if found.at_work is not None:
        return
    left = connection.execute(
        f"""SELECT path FROM objects ANTI JOIN published USING (path)
        WHERE starts_with(path, '{COMMITS_FOLDER}/') AND contains(path, '/part-') ORDER BY path"""
    )
    while rows := left.fetchmany(1000):
        with ThreadPoolExecutor(_READERS, "check") as readers:
            yield from filter(None, readers.map(lambda row: _rows_in(output, row[0]), rows))


def _rows_in(output: Storage, path: str) -> str | None:
    try:
        count = len(read_part(output, path, ["status"]))
    except (ManifestError, FileNotFoundError) as error:
        return str(error)
    return f"{path}: {count} rows" if count else None


def _other_bytes(output: Storage, connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    named = connection.execute(
        """SELECT DISTINCT image, sha256 FROM rows SEMI JOIN objects ON image = path
        WHERE image IS NOT NULL ORDER BY image"""
    )

    def differs(row: tuple[Any, ...]) -> str | None:
        try:
            digest = output.sha256(row[0])
        except (FuseArchiveError, FileNotFoundError) as error:
            return f"{row[0]}: {error}"
        return None if digest == row[1] else f"{row[0]} has the sha256 {digest}, its row {row[1]}"

    while rows := named.fetchmany(1000):
        with ThreadPoolExecutor(_READERS, "check") as readers:
            yield from filter(None, readers.map(differs, rows))
