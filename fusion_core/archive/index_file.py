"""Index files: pairs by name, in CSV or Parquet, read whole or batch by batch."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from fusion_core.archive.sequence import IS_SEQUENCE
from fusion_core.errors import SettingsError

_COLUMNS = ("pair_id", "ir", "vi")
_TEXTS = dict.fromkeys(_COLUMNS, pa.string())  # ids such as 007 stay text
_PARQUET = (".parquet", ".pq")


def read_index(name: str, body: bytes) -> pa.Table:
    """Read an index file's bytes, Parquet where ``name`` ends so, else CSV with a header.

    Raises:
        SettingsError: The bytes are neither.
    """
    try:
        if name.endswith(_PARQUET):
            return pyarrow.parquet.read_table(io.BytesIO(body))
        options = pyarrow.csv.ConvertOptions(column_types=_TEXTS)
        # A header alone is no rows, and is read so only with a line break behind it.
        index = pyarrow.csv.read_csv(io.BytesIO(body + b"\n"), convert_options=options)
        return index.rename_columns(index.column_names)  # fails here if the header is not UTF-8
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise _unreadable(name, error) from error


def index_batches(name: str, file: Path) -> Iterator[pa.Table]:
    """Read an index file some thousand rows at a time, checked.

    Args:
        name: Its name; Parquet where it ends so, else CSV with a header.
        file: A copy of it on this machine.

    Raises:
        SettingsError: It can't be read, a column is missing or a value in it is empty.
    """
    begin = 0
    try:
        for batch in _parquet(file) if name.endswith(_PARQUET) else _csv(file):
            yield checked_index(batch, begin)
            begin += len(batch)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise _unreadable(name, error) from error


def checked_index(index: pa.Table, begin: int = 0) -> pa.Table:
    """Return the columns ``pair_id``, ``ir`` and ``vi`` of an index as text.

    Args:
        index: Its rows, or some of them.
        begin: How many rows stand before these.

    Raises:
        SettingsError: A column is missing or a value in it can't be.
    """
    check_columns(index.column_names)
    try:
        index = pa.table({name: index[name].cast(pa.string()) for name in _COLUMNS})
    except pa.ArrowException as error:
        raise SettingsError(f"the index holds other than text: {error}; expected text") from error
    for name in index.column_names:
        empty = pc.fill_null(pc.equal(index[name], ""), True)
        if pc.any(empty).as_py():
            raise SettingsError(
                f"the index column {name} has an empty value in row "
                f"{begin + pc.index(empty, True).as_py() + 1}; expected one in every row"
            )
    for name in ("ir", "vi"):
        twice = pc.greater(pc.count_substring_regex(index[name], IS_SEQUENCE), 1)
        if (row := pc.index(twice, True).as_py()) >= 0:
            raise SettingsError(
                f"the index names {index[name][row].as_py()!r} in the column {name} of row "
                f"{begin + row + 1}, with more than one place for a frame; expected one, such as "
                "ir/clip7/{frame}.png"
            )
    return index


def check_columns(names: Sequence[str]) -> None:
    """Raise SettingsError unless an index has its columns, each once."""
    if any(names.count(name) != 1 for name in _COLUMNS):
        raise SettingsError(
            f"the index has the columns {list(names)}; expected pair_id, ir and vi, each of them "
            "once"
        )


def looked_at(index: pa.Table, prefixes: Sequence[str]) -> pa.Table:
    """Leave out the rows of an index of which neither file starts with one of the prefixes."""
    if "" in prefixes:
        return index
    starts = [pc.starts_with(index[side], prefix) for side in ("ir", "vi") for prefix in prefixes]
    return index.filter(reduce(pc.or_, starts))


def _parquet(file: Path) -> Iterator[pa.Table]:
    with pyarrow.parquet.ParquetFile(file) as opened:
        names = opened.schema_arrow.names
        check_columns(names)
        for batch in opened.iter_batches(columns=list(_COLUMNS)):
            yield pa.Table.from_batches([batch])


def _csv(file: Path) -> Iterator[pa.Table]:
    # A header alone is no rows, and is read so only with a line break behind it.
    with file.open("ab") as end:
        end.write(b"\n")
    with pyarrow.csv.open_csv(file) as opened:
        check_columns([str(name) for name in opened.schema.names])
    # Of the other columns nothing is read: what they hold may change from one part to another.
    options = pyarrow.csv.ConvertOptions(column_types=_TEXTS, include_columns=list(_COLUMNS))
    with pyarrow.csv.open_csv(file, convert_options=options) as opened:
        for batch in opened:
            yield pa.Table.from_batches([batch])


def _unreadable(name: str, error: Exception) -> SettingsError:
    return SettingsError(
        f"can't read the index {name}: {error}. Expected CSV with a header line, or Parquet"
    )
