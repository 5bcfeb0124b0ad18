"""Says what is wrong with an output, from its objects alone: boto3 and Parquet, no code of ours."""

from __future__ import annotations

import collections
import datetime as dt
import hashlib
import io
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from audited_publications import publications

STALE_SECONDS = 60.0
KEY = ("pair_id", "ir_version", "vi_version", "settings_hash", "model_hash")
SETTINGS = "/settings.json"
"""What the name of the file ends with that says which settings a folder of images is of."""
COLUMNS = (*KEY, "status", "attempt", "stage", "error_message", "fused_url", "fused_sha256")
LOCAL_TEMPORARY = "fuse-archive-*"

# Written by every run, below the output, and kept: who holds the output, and the store's probe.
_RECORDS = ("runs/.lease", "runs/.exclusive-probe")
_COMMITS = "commits/manifest/"
_NOTHING: Mapping[str, bytes] = {}
Row = Mapping[str, Any]


@dataclass
class Audit:
    """What was found; an output is as it should be where ``violations`` is empty."""

    pairs: int = 0
    parts: int = 0
    ok_rows: int = 0
    failed_rows: int = 0
    undone_rows: int = 0
    orphan_images: int = 0
    violations: list[str] = field(default_factory=list)


class Auditor:
    """Looks at the archive and the outputs of one bucket.

    Args:
        client: boto3's for S3.
        bucket: The bucket that holds all.
        stale_seconds: How long something temporary may lie about.
    """

    def __init__(self, client: Any, bucket: str, stale_seconds: float = STALE_SECONDS):
        self._client = client
        self._bucket = bucket
        self._stale_seconds = stale_seconds

    def audit(
        self,
        source: str,
        output: str,
        *,
        orphans: bool = False,
        removed: Mapping[str, bytes] = _NOTHING,
    ) -> Audit:
        """Check one output against its archive, once all runs over it have ended.

        Args:
            source: Prefix of the archive: ``ir/NAME.png`` and ``vi/NAME.png`` below it.
            output: Prefix of the output.
            orphans: Whether there may be images that no row names: where memory ran out, a pair may
                have been fused twice, to other bytes.
            removed: What was deleted below the output, by key: a commit that has gone was one.
        """
        found = Audit()
        pairs = self._pairs(source)
        found.pairs = len(pairs)
        rows = list(self._rows(output, found))
        found.ok_rows = sum(row["status"] == "ok" for row in rows)
        found.failed_rows = sum(row["status"] == "failed" for row in rows)
        found.undone_rows = sum(row["status"] == "undone" for row in rows)
        found.violations += accounted(pairs, rows)
        found.violations += doubled(rows)
        found.violations += misnumbered(rows)
        there = self._keys(f"{output}/")
        gone = removed.keys() - set(there)

        def read(key: str) -> bytes:
            return removed[key] if key in gone else self._read(key)

        commits = sorted(key for key in gone if key.startswith(f"{output}/{_COMMITS}"))
        found.violations += publications(output, [*there, *commits], read).violations
        named = {row["fused_url"]: row for row in rows if row["status"] == "ok"}
        found.violations += self._images(named.values())
        start = f"s3://{self._bucket}/"
        images = (key for key in self._keys(f"{output}/fused/") if not key.endswith(SETTINGS))
        unnamed = [key for key in images if start + key not in named]
        found.orphan_images = len(unnamed)
        if not orphans:
            found.violations += [f"{key}: no row names this image" for key in unnamed]
        found.violations += self.leftovers(output)
        return found

    def undone(self, source: str, output: str) -> list[str]:
        """Return the pairs of an archive that have no successful row."""
        rows = self._rows(output, Audit())
        done = {row["pair_id"] for row in rows if row["status"] == "ok"}
        return sorted(self._pairs(source) - done)

    def leftovers(self, output: str) -> list[str]:
        """Name what is temporary, below the output, and older than it may be."""
        found = []
        for item in self._objects(f"{output}/"):
            path = item["Key"].removeprefix(f"{output}/")
            temporary = any(part.startswith(".") for part in path.split("/"))
            if (temporary or path.endswith(".tmp")) and not path.startswith(_RECORDS):
                age = _age(item["LastModified"])
                if age > self._stale_seconds:
                    found.append(f"{item['Key']}: temporary, and {age:.0f} s old")
        uploads = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=f"{output}/")
        for upload in uploads.get("Uploads", []):
            age = _age(upload["Initiated"])
            if age > self._stale_seconds:
                found.append(f"{upload['Key']}: a multipart upload is open since {age:.0f} s")
        return found

    def local_leftovers(self, folder: Path) -> list[str]:
        """Name the temporary folders of ours that outlived their processes."""
        now = time.time()
        ages = {path: now - path.stat().st_mtime for path in folder.glob(LOCAL_TEMPORARY)}
        return [
            f"{path}: temporary, and {age:.0f} s old"
            for path, age in sorted(ages.items())
            if age > self._stale_seconds
        ]

    def _pairs(self, source: str) -> set[str]:
        ir, vi = (
            {Path(key).stem for key in self._keys(f"{source}/{side}/")} for side in ("ir", "vi")
        )
        if not ir & vi:
            raise ValueError(f"no pairs below {source}/ir and {source}/vi: nothing to audit")
        return ir & vi

    def _rows(self, output: str, found: Audit) -> Iterator[dict[str, Any]]:
        for key in self._keys(f"{output}/manifest/"):
            found.parts += 1
            try:
                file = pq.ParquetFile(io.BytesIO(self._read(key)), page_checksum_verification=True)
                rows = file.read(columns=list(COLUMNS), use_threads=False).to_pylist()
            except (pa.ArrowException, OSError) as error:
                found.violations.append(f"{key}: can't be read as a part: {error}")
                continue
            yield from ({**row, "part": key} for row in rows)

    def _images(self, rows: Iterable[Row]) -> Iterator[str]:
        start = f"s3://{self._bucket}/"
        for row in rows:
            url = str(row["fused_url"])
            try:
                body = self._read(url.removeprefix(start))
            except self._client.exceptions.NoSuchKey:
                yield f"pair {row['pair_id']}: {row['part']} names {url}, which doesn't exist"
                continue
            digest = hashlib.sha256(body).hexdigest()
            if digest != row["fused_sha256"]:
                yield (
                    f"pair {row['pair_id']}: {url} has the sha256 {digest}, "
                    f"{row['part']} says {row['fused_sha256']}"
                )

    def _objects(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            yield from page.get("Contents", [])

    def _keys(self, prefix: str) -> list[str]:
        return [item["Key"] for item in self._objects(prefix)]

    def _read(self, key: str) -> bytes:
        return bytes(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())


def accounted(pairs: set[str], rows: Iterable[Row]) -> Iterator[str]:
    """Check that every pair of the archive has one ok row, whatever was tried before."""
    ok: dict[str, list[Row]] = collections.defaultdict(list)
    failed: dict[str, list[Row]] = collections.defaultdict(list)
    for row in rows:
        (ok if row["status"] == "ok" else failed)[row["pair_id"]].append(row)
    for pair in sorted(pairs | ok.keys() | failed.keys()):
        parts = ", ".join(row["part"] for row in ok[pair])
        if pair not in pairs:
            yield f"pair {pair}: has rows, and isn't in the archive"
        elif len(ok[pair]) > 1:
            yield f"pair {pair}: {len(ok[pair])} ok rows, in {parts}"
        elif not ok[pair] and failed[pair]:
            last = failed[pair][-1]
            yield (
                f"pair {pair}: only {last['status']} rows, {len(failed[pair])}; {last['part']} "
                f"says {last['stage']}: {last['error_message']}"
            )
        elif not ok[pair]:
            yield f"pair {pair}: no row"


def doubled(rows: Iterable[Row]) -> Iterator[str]:
    """Check that no work was committed twice: same files, same model, same settings."""
    parts: dict[tuple[Any, ...], list[str]] = collections.defaultdict(list)
    for row in rows:
        if row["status"] == "ok":
            parts[tuple(row[name] for name in KEY)].append(row["part"])
    for key, found in parts.items():
        if len(found) > 1:
            yield f"pair {key[0]}: committed {len(found)} times for the same files, model and " + (
                f"settings, in {', '.join(found)}"
            )


def misnumbered(rows: Iterable[Row]) -> Iterator[str]:
    """Check that attempts at a pair have numbers of their own, and that none follows the ok one.

    Two ok rows are named by others; rows of schemas before 5 have no number.
    """
    attempts: dict[str, dict[int, Row]] = collections.defaultdict(dict)
    for row in rows:
        if (number := row["attempt"]) is None:
            continue
        other = attempts[row["pair_id"]].setdefault(number, row)
        if other is not row and not other["status"] == row["status"] == "ok":
            yield f"pair {row['pair_id']}: attempt {number} is in {other['part']} and {row['part']}"
    for pair, by_number in attempts.items():
        last = max(by_number)
        ok = [number for number, row in by_number.items() if row["status"] == "ok"]
        if ok and min(ok) < last and by_number[last]["status"] != "ok":
            yield f"pair {pair}: attempt {last} follows attempt {min(ok)}, which is ok"


def _age(moment: dt.datetime) -> float:
    return (dt.datetime.now(dt.UTC) - moment).total_seconds()
