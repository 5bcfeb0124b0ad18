"""Says where commits, records of publication and published rows differ; no code of ours."""

from __future__ import annotations

import collections
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROW_KEY = ("run_id", "pair_id", "attempt")
COMMIT = re.compile(r"/commits/manifest/date=[0-9-]+/part-[^/]+\.parquet$")
ROWS_FILE = re.compile(r"/manifest/date=[0-9-]+/rows-[^/]+\.parquet$")
RECORD = re.compile(r"/commits/published/([0-9]{8,})-([0-9]{6,})\.json$")
Files = dict[Any, list[str]]


@dataclass
class Publications:
    """What an output holds of publishing.

    Attributes:
        committed: Files of the commits that a row is in, by ``ROW_KEY``.
        published: Likewise the files of published rows.
        row_groups: Rows of each row group of a file of published rows.
        records: The records by generation and number.
        unreadable: What can't be read, in words.
    """

    committed: Files = field(default_factory=lambda: collections.defaultdict(list))
    published: Files = field(default_factory=lambda: collections.defaultdict(list))
    row_groups: dict[str, list[int]] = field(default_factory=dict)
    records: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """All that is wrong, in words."""
        found = [*self.unreadable, *differing(self.committed, self.published)]
        found += gaps(self.records)
        for (generation, number), record in sorted(self.records.items()):
            name = f"record {generation}-{number}"
            found += [f"{name}: {one}" for one in broken_promises(record, self.row_groups)]
        return found


def publications(output: str, keys: Iterable[str], read: Callable[[str], bytes]) -> Publications:
    """Read commits, records and published rows of an output.

    Args:
        output: Prefix of the output.
        keys: Of all objects below it.
        read: Returns an object's bytes.
    """
    found = Publications()
    for key in keys:
        path = "/" + key.removeprefix(f"{output}/")
        try:
            if record := RECORD.match(path):
                number = int(record[1]), int(record[2])
                found.records[number] = dict(json.loads(read(key)).items())
            elif COMMIT.match(path):
                _take_rows(pq.ParquetFile(io.BytesIO(read(key))), path[1:], found.committed)
            elif ROWS_FILE.match(path):
                file = pq.ParquetFile(io.BytesIO(read(key)))
                _take_rows(file, path[1:], found.published)
                groups = range(file.num_row_groups)
                found.row_groups[path[1:]] = [file.metadata.row_group(k).num_rows for k in groups]
        except (pa.ArrowException, OSError, ValueError, AttributeError) as error:
            found.unreadable.append(f"{path[1:]}: can't be read as what it is: {error}")
    return found


def differing(committed: Files, published: Files) -> Iterator[str]:
    """Check that each committed row is in one file of published rows, once, and vice versa."""
    for key in sorted(committed.keys() | published.keys(), key=repr):
        parts, files = committed.get(key, []), published.get(key, [])
        row = " ".join(f"{name}={value}" for name, value in zip(ROW_KEY, key, strict=True))
        if len(parts) > 1:
            yield f"{row}: committed {len(parts)} times, in {', '.join(parts)}"
        if len(files) > 1:
            yield f"{row}: published {len(files)} times, in {', '.join(files)}"
        if not files:
            yield f"{row}: committed in {parts[0]}, and not published"
        if not parts:
            yield f"{row}: published in {files[0]}, and never committed"


def gaps(records: Mapping[tuple[int, int], Mapping[str, Any]]) -> Iterator[str]:
    """Check that a generation's records are numbered without gaps, and none follows its end."""
    numbers: dict[int, list[int]] = collections.defaultdict(list)
    for generation, number in sorted(records):
        numbers[generation].append(number)
    for generation, there in numbers.items():
        last = there[-1]
        for number in sorted(set(range(1, last)) - set(there)):
            yield f"record {generation}-{number}: missing, and {generation}-{last} is there"
        for number in there[:-1]:
            if "closed_by" in records[generation, number]:
                yield (
                    f"record {generation}-{last}: follows {generation}-{number}, which ended the "
                    "publishing"
                )


def broken_promises(
    record: Mapping[str, Any], row_groups: Mapping[str, list[int]]
) -> Iterator[str]:
    """Check that the rows of a record are the row group of the file that it says."""
    if "closed_by" in record:
        return
    file, group, rows = record.get("file"), record.get("row_groups", 0), record.get("rows", 0)
    there = row_groups.get(str(file))
    if there is None:
        yield f"published in {file}, which doesn't exist"
    elif not 1 <= group <= len(there):
        yield f"published as row group {group} of {file}, which has {len(there)}"
    elif there[group - 1] != rows:
        yield f"published {rows} rows in row group {group} of {file}, which has {there[group - 1]}"


def _take_rows(file: pq.ParquetFile, path: str, into: Files) -> None:
    for row in file.read(columns=list(ROW_KEY), use_threads=False).to_pylist():
        into[tuple(row[name] for name in ROW_KEY)].append(path)
