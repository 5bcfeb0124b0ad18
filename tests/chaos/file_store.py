"""Objects as files: what was put is there and whole, whenever the process is killed."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote

STAGING = ".staging"
REMOVED = ".removed"
_LONGEST_NAME = 255


class S3Error(Exception):
    """An answer other than success: status and S3's code for it."""

    def __init__(self, status: int, code: str):
        super().__init__(code)
        self.status = status
        self.code = code


class FileStore:
    """Objects as files below a folder: a line with the ETag, then the bytes.

    What is deleted is kept aside, for the auditor.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.staging = folder / STAGING
        self.staging.mkdir(parents=True, exist_ok=True)
        self._committing = threading.Lock()

    def bucket(self, name: str) -> Path:
        path = self.folder / name
        if name.startswith(".") or not path.is_dir():
            raise S3Error(404, "NoSuchBucket")
        return path

    def path(self, bucket: str, key: str) -> Path:
        name = quote(key, safe="")
        if len(name) > _LONGEST_NAME or name.strip(".") == "":
            raise S3Error(400, "KeyTooLongError")
        return self.bucket(bucket) / name

    def open(self, bucket: str, key: str) -> tuple[BinaryIO, str, int, float]:
        """Return an open object at its first byte, its ETag, size and time."""
        try:
            file = self.path(bucket, key).open("rb")
        except FileNotFoundError:
            raise S3Error(404, "NoSuchKey") from None
        return file, *described(file)

    def put(self, bucket: str, key: str, body: bytes, only_new: bool, only_etag: str | None) -> str:
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        path, staged = self.path(bucket, key), self.staging / uuid.uuid4().hex
        staged.write_bytes(json.dumps({"etag": etag}).encode() + b"\n" + body)
        try:
            with self._committing:
                if only_new:
                    os.link(staged, path)
                else:
                    if only_etag is not None and self._etag(bucket, key) != only_etag:
                        raise S3Error(412, "PreconditionFailed")
                    os.replace(staged, path)
        except FileExistsError:
            raise S3Error(412, "PreconditionFailed") from None
        finally:
            staged.unlink(missing_ok=True)
        return etag

    def delete(self, bucket: str, key: str) -> None:
        path = self.path(bucket, key)
        aside = self.folder / REMOVED / bucket
        aside.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            os.replace(path, aside / path.name)

    def keys(self, bucket: str) -> list[str]:
        # As UTF-8 bytes, the order in which S3 lists.
        return sorted((unquote(name) for name in os.listdir(self.bucket(bucket))), key=str.encode)

    def _etag(self, bucket: str, key: str) -> str:
        file, etag, _, _ = self.open(bucket, key)
        file.close()
        return etag


def described(file: BinaryIO) -> tuple[str, int, float]:
    """Return ETag, size and time of an open object, which is left at its first byte."""
    etag = json.loads(file.readline())["etag"]
    stat = os.fstat(file.fileno())
    return etag, stat.st_size - file.tell(), stat.st_mtime
