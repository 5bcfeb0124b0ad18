"""Writes local files whole or not at all, also where the process is killed in the middle."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def _temporary_beside(full: str, body: bytes) -> Iterator[str]:
    folder = os.path.dirname(full)
    os.makedirs(folder, exist_ok=True)
    # Readers of Parquet folders pass over names with a leading dot.
    temporary = os.path.join(folder, f".{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def create_file(full: str, body: bytes) -> None:
    """Create a file in one piece; raises FileExistsError where the name is taken."""
    with _temporary_beside(full, body) as temporary:
        # A hard link appears whole or not at all, and fails where the name is taken.
        os.link(temporary, full)


def replace_file(full: str, body: bytes) -> None:
    """Write or replace a file in one piece."""
    with _temporary_beside(full, body) as temporary:
        os.replace(temporary, full)
