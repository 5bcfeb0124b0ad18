"""Writes local files whole or not at all, also where the process is killed in the middle."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


def check_regular(full: str) -> None:
    """Raise OSError unless a path is a regular file: a pipe would hold its reader up."""
    if not stat.S_ISREG(os.stat(full).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", full)


def read_file(full: str, most: int = -1) -> bytes:
    """Return a regular file's first bytes, or all; raises OSError, also for anything else."""
    check_regular(full)
    with open(full, "rb") as file:
        return file.read(most)


@contextmanager
def _temporary_beside(full: str, content: IO[bytes]) -> Iterator[str]:
    folder = os.path.dirname(full)
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError as error:  # which would say that the name asked for is taken
        raise NotADirectoryError(errno.ENOTDIR, "it is a file and no folder", folder) from error
    except FileNotFoundError as error:  # which would say that there is no such object
        raise NotADirectoryError(errno.ENOTDIR, "no folder can be made here", folder) from error
    # Readers of Parquet folders pass over names with a leading dot.
    temporary = os.path.join(folder, f".{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _create(full: str, content: IO[bytes]) -> None:
    with _temporary_beside(full, content) as temporary:
        # A hard link appears whole or not at all, and fails where the name is taken.
        os.link(temporary, full)


def _replace(full: str, content: IO[bytes]) -> None:
    with _temporary_beside(full, content) as temporary:
        os.replace(temporary, full)


def create_file(full: str, body: bytes) -> None:
    """Create a file in one piece; raises FileExistsError where the name is taken."""
    _create(full, io.BytesIO(body))


def replace_file(full: str, body: bytes) -> None:
    """Write or replace a file in one piece."""
    _replace(full, io.BytesIO(body))


def create_copy(full: str, source: Path) -> None:
    """Create a file as a copy in one piece; raises FileExistsError where the name is taken."""
    with source.open("rb") as content:
        _create(full, content)


def replace_copy(full: str, source: Path) -> None:
    """Write or replace a file by a copy in one piece."""
    with source.open("rb") as content:
        _replace(full, content)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
