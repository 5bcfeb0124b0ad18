"""Tells which files of a plan are worth a look at their headers, by their names and sizes alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.sequence import are_sequences

SUFFIXES = (".tif", ".tiff", ".jp2")
"""Names that may be scenes'; others are never looked into."""

TodoBatch: TypeAlias = pa.RecordBatch
"""Some rows of ``Plan.todo``."""

LargeFile: TypeAlias = tuple[str, int]
"""Path and size in bytes of a file that may be a scene."""

_LARGE_ENOUGH = 1 << 20
"""Bytes from which a file is looked into while planning, or a million photographs would be."""


def add_pixels(todo: TodoBatch, pixels: Mapping[int, int]) -> TodoBatch:
    """Return pairs that are to be fused with a column ``pixels``, for cutting them into chunks.

    Args:
        todo: Rows of ``Plan.todo``.
        pixels: Of the rows of ``may_be_scenes``, the number of the visible file's pixels; others
            get 0.
    """
    counts = [pixels.get(row, 0) for row in range(len(todo))]
    return todo.append_column("pixels", pa.array(counts, pa.int64()))


def may_be_scenes(todo: TodoBatch) -> dict[int, LargeFile]:
    """Return the visible files that are worth a look while planning, by row.

    They are no small files, and their names may be a scene's.
    """
    names = pc.utf8_lower(todo["vi_path"])
    named = reduce(pc.or_, (pc.ends_with(names, suffix) for suffix in SUFFIXES))
    large = pc.greater_equal(todo["vi_bytes"], _LARGE_ENOUGH)
    named = pc.and_not(named, are_sequences(todo["vi_path"]))
    rows = np.flatnonzero(pc.and_(named, large).to_numpy(zero_copy_only=False))
    found = todo.select(["vi_path", "vi_bytes"]).take(pa.array(rows)).to_pylist()
    return {
        int(row): (one["vi_path"], one["vi_bytes"]) for row, one in zip(rows, found, strict=True)
    }
