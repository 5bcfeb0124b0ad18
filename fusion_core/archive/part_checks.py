"""Refuses parts that no run wrote: whoever may write to an output may put one into its manifest."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.schema import STATUSES

LARGEST_PART = 256 << 20
"""Bytes; the parts of runs hold at most 10,000 rows of some 500 bytes."""

_MOST_ROWS = 1_000_000  # a few bytes of Parquet may stand for any number of equal rows
_FIRST, _LAST = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (1900, 9999))


def check_size(size: int) -> None:
    """Check the size of a part, in bytes, before it is read; raises ValueError."""
    if size > LARGEST_PART:
        raise ValueError(f"it has {size} bytes, and parts have at most {LARGEST_PART}")


def check_count(rows: int) -> None:
    """Check how many rows a part claims to hold before they are read; raises ValueError."""
    if rows > _MOST_ROWS:
        raise ValueError(f"it claims {rows} rows, and parts have at most {_MOST_ROWS}")


def check_values(rows: pa.Table) -> None:
    """Check what all code after it takes for granted of rows.

    Args:
        rows: Any columns of a table.

    Raises:
        ValueError: A column that has no nulls has some, text is not UTF-8, a time can't be one of
            a calendar, or a status is unknown.
    """
    rows.validate(full=True)
    for field in rows.schema:
        column = rows[field.name]
        if column.null_count and not field.nullable:
            raise ValueError(f"{column.null_count} of its rows have no {field.name}")
        if pa.types.is_timestamp(field.type):
            limits = (pa.scalar(moment, field.type) for moment in (_FIRST, _LAST))
            _check_range(field.name, column, *limits)
        if field.name == "status":
            unknown = column.filter(pc.invert(pc.is_in(column, value_set=pa.array(STATUSES))))
            if len(unknown):
                raise ValueError(f"a row has the status {unknown[0].as_py()[:80]!r}")


def _check_range(name: str, column: pa.ChunkedArray, low: pa.Scalar, high: pa.Scalar) -> None:
    outside = pc.or_(pc.less(column, low), pc.greater(column, high))
    if pc.any(outside).as_py():
        raise ValueError(f"a row has a time in {name} that no clock shows")
