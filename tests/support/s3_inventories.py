"""Writes reports as S3 Inventory does, in each of its formats."""

import gzip
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq

from fusion_core.storage.store import Storage

COLUMNS = {
    "bucket": "Bucket",
    "key": "Key",
    "version_id": "VersionId",
    "is_latest": "IsLatest",
    "is_delete_marker": "IsDeleteMarker",
    "size": "Size",
    "last_modified_date": "LastModifiedDate",
    "e_tag": "ETag",
    "storage_class": "StorageClass",
    "intelligent_tiering_access_tier": "IntelligentTieringAccessTier",
}
_TYPES = {"is_latest": pa.bool_(), "is_delete_marker": pa.bool_(), "size": pa.int64()}
_TYPES["last_modified_date"] = pa.timestamp("ms")
_OF_PARQUET = {
    pa.bool_(): ("boolean", ""),
    pa.int64(): ("int64", ""),
    pa.timestamp("ms"): ("int64", " (TIMESTAMP(MILLIS,true))"),
    pa.string(): ("binary", " (STRING)"),
}
_OF_ORC = {pa.bool_(): "boolean", pa.int64(): "bigint", pa.timestamp("ms"): "timestamp"}


def write_inventory(
    url: str,
    kind: str,
    files: Sequence[Sequence[Mapping[str, Any]]],
    bucket: str = "archive",
    blank: str = "+",
) -> str:
    """Write a report below a URL; return the URL of its manifest.

    Args:
        url: The folder or bucket that the report goes to.
        kind: CSV, ORC or Parquet.
        files: The rows of each file, by the names of ``COLUMNS``.
        bucket: The bucket that it is of.
        blank: What CSV has for a blank in a key.
    """
    root = url if not url.startswith("s3://") else "/".join(url.split("/")[:3])
    below = url.removeprefix(root).strip("/")
    folder = "/".join(filter(None, [below, f"inventory/{bucket}/nightly"]))
    storage, told = Storage(root), []
    schema = pa.schema([(name, _TYPES.get(name, pa.string())) for name in files[0][0]])
    for k, rows in enumerate(files):
        body = _body(kind, pa.Table.from_pylist([*rows], schema=schema), blank)
        key = f"{folder}/data/{k}.{kind.lower()}" + (".gz" if kind == "CSV" else "")
        storage.write(key, body)
        md5 = hashlib.md5(body).hexdigest()
        told.append({"key": key, "size": len(body), "MD5checksum": md5})
    manifest = {
        "sourceBucket": bucket,
        "destinationBucket": "arn:aws:s3:::elsewhere",
        "version": "2016-11-30",
        "creationTimestamp": "1764288000000",
        "fileFormat": kind,
        "fileSchema": _schema(kind, schema),
        "files": told,
    }
    path = f"{folder}/2026-11-28T01-00Z/manifest.json"
    storage.write(path, json.dumps(manifest).encode())
    return storage.url(path)


def _body(kind: str, table: pa.Table, blank: str) -> bytes:
    stream = io.BytesIO()
    if kind == "Parquet":
        pq.write_table(table, stream)
    elif kind == "ORC":
        pyarrow.orc.write_table(table, stream)
    else:
        rows = table.to_pylist()
        lines = (",".join(_cell(name, row[name], blank) for name in row) for row in rows)
        return gzip.compress("".join(f"{line}\n" for line in lines).encode())
    return stream.getvalue()


def _cell(name: str, value: Any, blank: str) -> str:
    if value is None:
        return '""'
    if isinstance(value, bool):
        return f'"{str(value).lower()}"'
    text = quote(value, safe="/").replace("%20", blank) if name == "key" else str(value)
    return '"' + text.replace('"', '""') + '"'


def _schema(kind: str, schema: pa.Schema) -> str:
    if kind == "CSV":
        return ", ".join(COLUMNS[name] for name in schema.names)
    if kind == "ORC":
        fields = (f"{one.name}:{_OF_ORC.get(one.type, 'string')}" for one in schema)
        return f"struct<{','.join(fields)}>"
    fields = (
        f"  optional {_OF_PARQUET[one.type][0]} {one.name}{_OF_PARQUET[one.type][1]};"
        for one in schema
    )
    return f"message s3.inventory {{{''.join(fields)}}}"
