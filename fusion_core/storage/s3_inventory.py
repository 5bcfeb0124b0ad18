"""Reads S3 Inventory reports: a ``manifest.json``, and files in CSV, ORC or Parquet."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.orc
import pyarrow.parquet

from fusion_core.errors import SettingsError, StorageError
from fusion_core.storage.file_system import StorageOptions
from fusion_core.storage.store import Storage
from fusion_core.storage.store_calls import Identity

MANIFEST = "manifest.json"

_LARGEST_MANIFEST = 64 << 20
_FORMATS = ("CSV", "ORC", "Parquet")
_ARCHIVED = pa.array(["GLACIER", "DEEP_ARCHIVE"])
_ARCHIVE_TIERS = pa.array(["ARCHIVE", "DEEP_ARCHIVE"])  # of Intelligent-Tiering
_NEEDED = {"etag": ("etag",), "version": ("etag", "versionid"), "checksum": ("etag",)}
_USED = (
    *("bucket", "key", "size", "etag", "versionid", "islatest", "isdeletemarker", "storageclass"),
    "intelligenttieringaccesstier",
)


@dataclass(frozen=True)
class InventoryFile:
    """A file of a report; ``md5`` is what its MD5 must be, where that is known."""

    url: str
    md5: str | None = None


@dataclass(frozen=True)
class Manifest:
    """What a ``manifest.json`` says.

    Attributes:
        url: Its URL.
        bucket: The bucket that the report is of.
        format: CSV, ORC or Parquet.
        columns: The names of the columns, as the report has them, in order.
        files: The report's files.
    """

    url: str
    bucket: str
    format: str
    columns: tuple[str, ...]
    files: tuple[InventoryFile, ...]

    def check_columns(self, identity: Identity) -> None:
        """Raise SettingsError unless the report tells all that is asked of it."""
        known = {_plain(name) for name in self.columns}
        wanted = ("bucket", "key", "size", *_NEEDED[identity])
        if missing := [name for name in wanted if name not in known]:
            raise SettingsError(
                f"the inventory {self.url} has the columns {list(self.columns)} and lacks "
                f"{missing}; expected size, ETag and, for the identity version, version ids. Add "
                "them to the inventory's configuration"
            )


def read_manifest(url: str, options: StorageOptions) -> Manifest:
    """Read a ``manifest.json``.

    Raises:
        SettingsError: There is none, or it is of another kind.
        StorageError: It can't be read.
    """
    try:
        body = Storage(url, options).read("", most=_LARGEST_MANIFEST)
    except FileNotFoundError as error:
        raise SettingsError(f"there is no inventory {url}; expected its {MANIFEST}") from error
    try:
        told = json.loads(body)
        kind = str(told["fileFormat"])
        schema = str(told["fileSchema"])
        files = [(str(one["key"]), one.get("MD5checksum")) for one in told["files"]]
        bucket = str(told["sourceBucket"])
        if kind not in _FORMATS:
            raise ValueError(f"its format is {kind}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{url} is no manifest of an S3 Inventory ({error!r}); expected sourceBucket, "
            f"fileSchema, files and the fileFormat {', '.join(_FORMATS)}"
        ) from error
    root = _root(url, [key for key, _ in files], options)
    return Manifest(
        url,
        bucket,
        kind,
        _names(kind, schema),
        tuple(InventoryFile(f"{root}{key}", md5) for key, md5 in files),
    )


def read_rows(
    manifest: Manifest, file: InventoryFile, copy: Path, identity: Identity
) -> Iterator[pa.Table]:
    """Read one file of a report.

    Args:
        manifest: What it belongs to.
        file: Which it is.
        copy: A copy of it on this machine.
        identity: What versions are told by.

    Yields:
        Path in the bucket, bytes, version and archived of the objects that are there now.

    Raises:
        StorageError: It can't be read.
    """
    read = {"CSV": _csv, "ORC": _orc, "Parquet": _parquet}[manifest.format]
    try:
        for rows in read(copy, manifest.columns):
            names = {_plain(name): name for name in rows.column_names}
            yield _listing({name: rows[names[name]] for name in _USED if name in names}, identity)
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        raise StorageError(
            f"can't read the inventory's file {file.url}: {error!r}; expected {manifest.format} "
            "as its manifest says. Fetch the inventory again"
        ) from error


def _listing(rows: Mapping[str, pa.ChunkedArray], identity: Identity) -> pa.Table:
    etag = pc.utf8_trim(_text(rows["etag"]), '"')
    version = etag
    if identity == "version":
        given = _text(rows["versionid"])
        without = pc.is_in(given, value_set=pa.array(["", "null", None], pa.string()))
        version = pc.if_else(without, _joined("v:null:", etag), _joined("v:", given))
    held = pa.nulls(len(etag), pa.string())
    if "storageclass" in rows:
        named = _text(rows["storageclass"])
        held = pc.if_else(pc.is_in(named, value_set=_ARCHIVED), named, held)
    if "intelligenttieringaccesstier" in rows:
        tier = _text(rows["intelligenttieringaccesstier"])
        archived = pc.is_in(tier, value_set=_ARCHIVE_TIERS)
        held = pc.if_else(archived, _joined("INTELLIGENT_TIERING ", tier), held)
    size = rows["size"]
    if pa.types.is_string(size.type):  # empty for what was deleted
        size = pc.if_else(pc.equal(size, ""), pa.scalar(None, pa.string()), size)
    table = pa.table(
        {
            "path": _text(rows["key"]),
            "bytes": size.cast(pa.int64()),
            "version": version,
            "archived": held,
        }
    )
    here = pa.repeat(True, len(table))
    if "islatest" in rows:
        here = pc.and_(here, _true(rows["islatest"], otherwise=True))
    if "isdeletemarker" in rows:
        here = pc.and_not(here, _true(rows["isdeletemarker"], otherwise=False))
    return table.filter(here)


def _csv(copy: Path, columns: Iterable[str]) -> Iterator[pa.Table]:
    names = list(columns)
    options = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    reading = pyarrow.csv.ReadOptions(column_names=names)
    with copy.open("rb") as body:
        kind = "gzip" if body.read(2) == b"\x1f\x8b" else None
    with pa.input_stream(str(copy), compression=kind) as lines:
        for batch in pyarrow.csv.open_csv(lines, reading, convert_options=options):
            rows = pa.Table.from_batches([batch])
            (key,) = (k for k, name in enumerate(names) if _plain(name) == "key")
            yield rows.set_column(key, names[key], _decoded(rows[names[key]]))


def _decoded(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Undo the URL encoding that keys have in CSV; in ORC and Parquet they have none.

    AWS doesn't document how it writes a blank. Reports were seen with ``+``, as in its listings,
    and others expect ``%20``. Both are read: with either, a plus in a key is ``%2B``.
    """
    keys = keys.combine_chunks()
    encoded = pc.match_substring_regex(keys, "[%+]")
    plain = [unquote_plus(key, errors="strict") for key in keys.filter(encoded).to_pylist()]
    return pc.replace_with_mask(keys, encoded, pa.array(plain, pa.string()))


def _orc(copy: Path, columns: Iterable[str]) -> Iterator[pa.Table]:
    file = pyarrow.orc.ORCFile(copy)
    wanted = [name for name in file.schema.names if _plain(name) in _USED]
    for stripe in range(file.nstripes):
        yield pa.Table.from_batches([file.read_stripe(stripe, columns=wanted)])


def _parquet(copy: Path, columns: Iterable[str]) -> Iterator[pa.Table]:
    with pyarrow.parquet.ParquetFile(copy) as file:
        wanted = [name for name in file.schema_arrow.names if _plain(name) in _USED]
        for batch in file.iter_batches(columns=wanted):
            yield pa.Table.from_batches([batch])


def _names(kind: str, schema: str) -> tuple[str, ...]:
    """Return the columns that a manifest's schema names, which each format writes its own way."""
    if kind == "CSV":
        return tuple(name.strip() for name in schema.split(","))
    if kind == "ORC":  # struct<bucket:string,key:string>
        fields = schema.partition("<")[2].rpartition(">")[0].split(",")
        return tuple(field.partition(":")[0].strip() for field in fields)
    fields = schema.partition("{")[2].rpartition("}")[0].split(";")
    return tuple(field.partition("(")[0].split()[-1] for field in fields if field.strip())


def _root(url: str, keys: list[str], options: StorageOptions) -> str:
    """Return the URL that keys lie below: that of the bucket, or of the folder it was copied to."""
    store = Storage(url, options)
    if store.on_s3:
        return f"{url.partition('://')[0]}://{store.root.partition('/')[0]}/"
    folder = posixpath.dirname(store.url(""))
    while keys and not Storage(folder, options).exists(keys[0]):
        above = posixpath.dirname(folder)
        if above in (folder, "") or above.endswith(":/"):
            raise SettingsError(
                f"the inventory {url} names the file {keys[0]}, which lies below none of the "
                "folders above; expected the inventory copied with its folders"
            )
        folder = above
    return f"{folder.rstrip('/')}/"


def _plain(name: str) -> str:
    """Return a column's name as all formats have it: ``ETag`` and ``e_tag`` are one."""
    return name.lower().replace("_", "")


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string())


def _joined(start: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(pa.scalar(start), column, pa.scalar(""))


def _true(column: pa.ChunkedArray, *, otherwise: bool) -> Any:
    """Return a column of truth values, which CSV has as text."""
    if not pa.types.is_boolean(column.type):
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), _text(column))
        column = pc.equal(pc.utf8_lower(column), "true")
    return pc.fill_null(column, otherwise)
