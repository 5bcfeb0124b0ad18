"""Finds rows of a table by what they say, and reads of its files only what may hold such rows."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.layout import is_part_path, is_rows_path, part_date
from fusion_core.archive.parts import read_part
from fusion_core.archive.rows_file import ranges_of
from fusion_core.archive.tables import column
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

_READERS, _AT_ONCE = 4, 8  # files; each holds a hundred thousand rows


@dataclass(frozen=True)
class Wanted:
    """What is looked for.

    Attributes:
        pairs: Rows of these pairs only; of any, where there are none.
        run_id: Rows of this run only.
        since: Rows of attempts that ended then or later.
    """

    pairs: tuple[str, ...] = ()
    run_id: str | None = None
    since: dt.datetime | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that tell a row that is wanted from others."""
        told = {"pair_id": self.pairs, "run_id": self.run_id, "ended": self.since}
        return tuple(name for name, value in told.items() if value)

    def may_be_between(self, ranges: dict[str, tuple[Any, Any]]) -> bool:
        """Tell whether such a row may be among rows whose columns have values in these ranges."""
        named = {"pair_id": self.pairs, "run_id": (self.run_id,) if self.run_id else ()}
        for name, values in named.items():
            low, high = ranges.get(name, (None, None))
            known = isinstance(low, str) and isinstance(high, str)
            if values and known and not any(low <= one <= high for one in values):
                return False
        last = ranges.get("ended", (None, None))[1]
        return not (self.since and isinstance(last, dt.datetime) and last < self.since)

    def among(self, rows: pa.Table) -> pa.Table:
        """Return those of the rows that are wanted."""
        if self.pairs:
            ids = pa.array(self.pairs, pa.string())
            rows = rows.filter(pc.is_in(rows["pair_id"], value_set=ids))
        if self.run_id:
            rows = rows.filter(pc.equal(rows["run_id"], self.run_id))
        if self.since:
            rows = rows.filter(pc.greater_equal(rows["ended"], self.since))
        return rows


def find_rows(
    output: Storage, table: str, columns: Sequence[str], wanted: Wanted | None = None
) -> Iterator[pa.Table]:
    """Yield rows of a table, a file at a time, with the columns that were asked for.

    Memory holds some files' rows of these columns, however many there are.

    Args:
        output: The output.
        table: The table.
        columns: Those wanted, null where the table lacks them; ``date`` is that of the run.
        wanted: Which rows. Default: all.

    Raises:
        ManifestError: A file can't be read.
        StorageError: The store failed.
    """
    found = wanted or Wanted()
    files = (
        (path, size)
        for batch in output.list_batches(f"{table}/")
        for path, size in zip(batch["path"].to_pylist(), batch["bytes"].to_pylist(), strict=True)
        if is_rows_path(path) or is_part_path(path)
    )
    read, waiting = partial(_read, output, columns, found), deque[Future[pa.Table]]()
    with ThreadPoolExecutor(_READERS, "search") as readers:
        while True:
            for path, size in islice(files, _AT_ONCE - len(waiting)):
                waiting.append(readers.submit(read, path, size))
            if not waiting:
                return
            rows = waiting.popleft().result()
            if len(rows):
                yield rows


def _read(
    output: Storage, columns: Sequence[str], wanted: Wanted, path: str, size: int
) -> pa.Table:
    needed = tuple(dict.fromkeys([*(one for one in columns if one != "date"), *wanted.columns]))
    groups = None
    if wanted.columns:
        groups = [
            place
            for place, ranges in enumerate(_ranges(output, path, size, wanted.columns))
            if wanted.may_be_between(ranges)
        ]
    if groups == []:
        rows = pa.schema([column(path, name) for name in needed]).empty_table()
    else:
        rows = wanted.among(read_part(output, path, needed, size=size, row_groups=groups))
    if "date" in columns:
        dates = pa.repeat(pa.scalar(part_date(path), pa.date32()), len(rows))
        rows = rows.append_column("date", dates)
    return rows.select(list(columns)).replace_schema_metadata(None)


def _ranges(
    output: Storage, path: str, size: int, columns: Sequence[str]
) -> list[dict[str, tuple[Any, Any]]]:
    try:
        return ranges_of(output, path, size, columns)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise ManifestError(
            f"{output.url(path)} can't be read: {error}. Expected Parquet as runs write it; move "
            "the file out of the folder, and see who put it there"
        ) from error
