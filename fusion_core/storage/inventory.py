"""Takes an archive's listing from a report of it, for what is too large to be listed each night.

The report is an S3 Inventory, told by its ``manifest.json``, or a Parquet file or folder with a row
per file. It is read file by file and batch by batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from fusion_core.errors import SettingsError, StorageError
from fusion_core.storage.file_system import StorageOptions
from fusion_core.storage.listing import LISTING_SCHEMA
from fusion_core.storage.s3_inventory import MANIFEST, InventoryFile, read_manifest, read_rows
from fusion_core.storage.scratch import scratch_folder
from fusion_core.storage.store import Storage

_NAMES = {
    "path": ("path", "key"),
    "bytes": ("bytes", "size"),
    "version": ("version", "etag"),
    "archived": ("archived", "storage_class"),
}
"""By column of a listing, what a table may call it."""

_ARCHIVED = pa.array(["GLACIER", "DEEP_ARCHIVE", "Archive"])


def inventory_batches(
    url: str, source: Storage, options: StorageOptions, prefixes: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield tables of ``LISTING_SCHEMA`` of what a report says of an archive.

    Args:
        url: URL of the report.
        source: The archive; only what lies below its root is yielded.
        options: Options of the report's store.
        prefixes: Only paths that start with one of these are yielded.

    Raises:
        SettingsError: There is no such report, or it isn't one of this archive.
        StorageError: A file of it can't be read, or isn't the one that was written.
    """
    of_s3 = url.endswith(MANIFEST)
    batches = _of_s3(url, source, options) if of_s3 else _of_tables(url, options)
    for batch in batches:
        starts = (pc.starts_with(batch["path"], prefix) for prefix in prefixes)
        wanted = pc.and_not(reduce(pc.or_, starts), pc.ends_with(batch["path"], "/"))
        batch = batch.filter(wanted)
        if batch["version"].null_count or batch["bytes"].null_count:
            first = batch.filter(pc.is_null(batch["version"]))["path"].to_pylist()[:1]
            raise StorageError(
                f"the inventory {url} has rows without a size or version, such as {first}; "
                "expected both of every file. Have both listed"
            )
        if len(batch):
            yield batch.cast(LISTING_SCHEMA)


def _of_s3(url: str, source: Storage, options: StorageOptions) -> Iterator[pa.Table]:
    bucket, _, prefix = source.root.partition("/")
    if not source.on_s3:
        raise SettingsError(
            f"the inventory {url} is one of S3 and the source is {source.url('')}; expected a "
            "bucket. Give a Parquet listing as the inventory, or leave it out"
        )
    manifest = read_manifest(url, options)
    if manifest.bucket != bucket:
        raise SettingsError(
            f"the inventory {url} is one of the bucket {manifest.bucket!r}; expected one of "
            f"{bucket!r}, that of the source"
        )
    manifest.check_columns(source.identity)
    start = f"{prefix}/" if prefix else ""
    for file, copy in _fetched(manifest.files, options):
        for rows in read_rows(manifest, file, copy, source.identity):
            rows = rows.filter(pc.starts_with(rows["path"], start))
            path = pc.utf8_slice_codeunits(rows["path"], len(start))
            yield rows.set_column(0, "path", path)


def _of_tables(url: str, options: StorageOptions) -> Iterator[pa.Table]:
    if url.endswith((".parquet", ".pq")):
        files = [InventoryFile(url)]
    else:
        folder = Storage(url, options)
        paths = folder.list()["path"].to_pylist()
        files = [InventoryFile(folder.url(one)) for one in paths if one.endswith(".parquet")]
    if not files:
        raise SettingsError(
            f"there is no inventory {url}; expected a manifest.json of S3 Inventory, a Parquet "
            "file, or a folder of such"
        )
    for file, copy in _fetched(files, options):
        with _parquet(file.url, copy) as table:
            columns = _columns(file.url, table.schema_arrow.names)
            for batch in table.iter_batches(columns=list(columns.values())):
                yield _listing(pa.Table.from_batches([batch]), columns)


def _columns(url: str, names: Sequence[str]) -> dict[str, str]:
    """Return what a table calls the columns of a listing that it has."""
    found = {
        column: name for column, known in _NAMES.items() for name in known[::-1] if name in names
    }
    if missing := {"path", "bytes", "version"} - set(found):
        raise SettingsError(
            f"the inventory {url} has the columns {list(names)} and lacks {sorted(missing)}; "
            "expected path (or key), bytes (or size) and version (or etag)"
        )
    return found


def _listing(rows: pa.Table, columns: dict[str, str]) -> pa.Table:
    path = rows[columns["path"]].cast(pa.string())
    whole = pc.match_substring(path, "://")
    if pc.any(whole).as_py():
        first = path.filter(whole)[0].as_py()
        raise SettingsError(
            f"the inventory names {first!r}; expected paths below the source, such as ir/1.png"
        )
    archived = pa.nulls(len(rows), pa.string())
    if "archived" in columns:
        held = rows[columns["archived"]].cast(pa.string())
        archived = pc.if_else(pc.is_in(held, value_set=_ARCHIVED), held, pa.scalar(None))
    return pa.table(
        {
            "path": path,
            "bytes": rows[columns["bytes"]].cast(pa.int64()),
            "version": pc.utf8_trim(rows[columns["version"]].cast(pa.string()), '"'),
            "archived": archived.cast(pa.string()),
        }
    )


def _parquet(url: str, copy: Path) -> pyarrow.parquet.ParquetFile:
    try:
        return pyarrow.parquet.ParquetFile(copy)
    except (pa.ArrowInvalid, OSError) as error:
        raise StorageError(f"can't read the inventory's file {url}: {error}") from error


def _fetched(
    files: Sequence[InventoryFile], options: StorageOptions
) -> Iterator[tuple[InventoryFile, Path]]:
    """Yield a local copy of each file, one at a time.

    Raises:
        SettingsError: One is not there.
        StorageError: One is not what was written.
    """
    with scratch_folder() as folder:
        copy = folder / "inventory"
        for file in files:
            try:
                Storage(file.url, options).download("", copy)
            except FileNotFoundError as error:
                raise SettingsError(
                    f"there is no file {file.url}, which the inventory consists of; expected it "
                    "where the inventory's manifest says"
                ) from error
            if file.md5 is not None:
                with copy.open("rb") as body:
                    found = hashlib.file_digest(body, _md5).hexdigest()
                if found != file.md5.lower():
                    raise StorageError(
                        f"the inventory's file {file.url} has the MD5 {found}; expected "
                        f"{file.md5}, as its manifest says. Fetch the inventory again"
                    )
            yield file, copy
            copy.unlink()


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)
