"""Reads parts, and joins their rows to pieces, each of which becomes one row group of a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from fusion_core.archive.layout import COMMITS_FOLDER
from fusion_core.archive.parts import read_part
from fusion_core.archive.publications import MOST_PARTS
from fusion_core.archive.rows_file import MOST_ROWS
from fusion_core.storage.store import Storage

_READERS = 16
_MOST_BYTES = 224 << 20  # of a piece in memory; compressed it is about two thirds of that at most
_AT_ONCE = 256


@dataclass(frozen=True)
class Piece:
    """Parts that become one row group, and their rows.

    Attributes:
        folder: Of the file: table and date, as ``manifest/date=2026-11-20``.
        parts: Their paths.
        rows: All rows of them.
    """

    folder: str
    parts: tuple[str, ...]
    rows: pa.Table


def read_pieces(storage: Storage, parts: Sequence[str]) -> Iterator[Piece]:
    """Read parts in their order, and yield pieces of one folder each, no larger than a file.

    Parts without rows, as tombstones and those of split chunks are, make none.

    Raises:
        ManifestError: A part can't be read.
        StorageError: The store failed.
    """
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for part in parts:
        folders[part.removeprefix(f"{COMMITS_FOLDER}/").rpartition("/")[0]].append(part)
    with ThreadPoolExecutor(_READERS, "pieces") as readers:
        for folder, paths in folders.items():
            names: list[str] = []
            tables: list[pa.Table] = []
            count = size = 0
            for start in range(0, len(paths), _AT_ONCE):
                some = paths[start : start + _AT_ONCE]
                read = readers.map(partial(read_part, storage), some)
                for path, rows in zip(some, read, strict=True):
                    full = count + len(rows) > MOST_ROWS or len(names) == MOST_PARTS
                    full = full or size + rows.nbytes > _MOST_BYTES
                    if tables and full:
                        yield Piece(folder, tuple(names), pa.concat_tables(tables))
                        names, tables, count, size = [], [], 0, 0
                    if len(rows):
                        names.append(path)
                        tables.append(rows)
                        count, size = count + len(rows), size + rows.nbytes
            if tables:
                yield Piece(folder, tuple(names), pa.concat_tables(tables))
