"""What a run lists: all of it in a Parquet file beside the summary, the first of it in there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows.run import Run
from flows.summaries.listings import FIRST
from fusion_core.archive import FoundPairs, FusedImages, Pairing, RunRows, Spill, SpillWriter
from fusion_core.storage import Storage

_TEXTS = ("list", "pair_id", "path", "method", "stage", "cause")
DETAILS_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in _TEXTS),
        pa.field("attempt", pa.int32()),
        *(pa.field(name, pa.string()) for name in ("error_type", "error_message", "history")),
        pa.field("remark", pa.string()),
    ]
)
"""Columns of ``details.parquet``; ``list`` names the field of the summary."""

_AT_ONCE = 16_384
_REASON = ("stage", "cause", "attempt", "error_type", "error_message")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Listing:
    """A list of a run.

    Attributes:
        name: Field of the summary that shows its first rows.
        rows: All of it, in order: some columns of ``DETAILS_SCHEMA``, ``list`` not among them.
        shown: Makes of a row what the summary shows.
        method: Whose list it is, where each method has one.
    """

    name: str
    rows: Iterable[pa.Table | pa.RecordBatch]
    shown: Callable[[Row], Any]
    method: str | None = None


@dataclass
class Details:
    """The lists of a run as its summary has them.

    Attributes:
        details: URL of the file that holds all of them, if one was written.
        first: The first hundred of each list, by field; where each method has one, by method.
        counts: How long each list is.
        counts_by_method: Likewise, where each method has one.
    """

    details: str | None = None
    first: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    counts_by_method: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, listing: Listing, write: Callable[[pa.Table], None] = lambda _: None) -> None:
        """Count a list, keep its first rows, and have all of it written."""
        first: list[Any] = []
        count = 0
        for rows in listing.rows:
            table = _as_details(rows, listing)
            write(table)
            count += len(table)
            some = table.slice(0, FIRST - len(first)).to_pylist()
            first += [listing.shown(row) for row in some]
        if listing.method is None:
            self.first[listing.name], self.counts[listing.name] = tuple(first), count
        else:
            self.first.setdefault(listing.name, {})[listing.method] = tuple(first)
            self.counts_by_method.setdefault(listing.name, {})[listing.method] = count

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a summary."""
        fields = {"counts": self.counts, **self.first}
        if self.details is not None:
            fields["details"] = self.details
        if self.counts_by_method:
            fields["counts_by_method"] = self.counts_by_method
        return fields


def write_details(
    run: Run[Any], output: Storage, listings: Sequence[Listing], folder: Path
) -> Details:
    """Write all lists of a run beside its summary, and return what the summary has of them.

    Args:
        run: The run.
        output: Its output.
        listings: The lists; they are read once, and never held as a whole.
        folder: A scratch folder.

    Raises:
        StorageError: The store failed.
    """
    path = f"{run.folder}/details.parquet"
    details = Details(output.url(path))
    with SpillWriter(folder, DETAILS_SCHEMA) as writer:
        for listing in sorted(listings, key=lambda one: (one.name, one.method or "")):
            details.add(listing, writer.write)
        written = writer.finish()
    output.write_file(path, written.path)
    return details


def _as_details(rows: pa.Table | pa.RecordBatch, listing: Listing) -> pa.Table:
    known: dict[str, Any] = dict(zip(rows.schema.names, rows.columns, strict=True))
    known["list"] = pa.repeat(listing.name, len(rows))
    if listing.method is not None:
        known["method"] = pa.repeat(listing.method, len(rows))
    columns = [
        known[one.name] if one.name in known else pa.nulls(len(rows), one.type)
        for one in DETAILS_SCHEMA
    ]
    return pa.table(columns, names=DETAILS_SCHEMA.names).cast(DETAILS_SCHEMA)


def unsuccessful(rows: RunRows, *names: str) -> list[Listing]:
    """Return the lists of what failed in a run and of what is undone: who, where, why.

    Args:
        rows: The run's rows.
        names: The columns that name what failed.
    """

    def shown(row: Row) -> dict[str, Any]:
        return {name: row[name] for name in (*names, *_REASON)}

    return [
        Listing("failures", rows.unsuccessful("failed"), shown),
        Listing("undone_pairs", rows.unsuccessful("undone"), shown),
    ]


def remarks(rows: RunRows) -> Listing:
    """Return the list of the remarks on fused scenes, each with its pair."""
    return Listing("remarks", rows.remarks(), lambda row: f"{row['pair_id']}: {row['remark']}")


def misaligned(rows: RunRows) -> Listing:
    """Return the list of the fused pairs whose infrared image is off, each with its remark."""
    return Listing(
        "misaligned", rows.misaligned(), lambda row: f"{row['pair_id']}: {row['remark']}"
    )


def files_without_pair(pairing: Pairing | FoundPairs) -> list[Listing]:
    """Return the lists of source files that make no pair."""
    return [_paths(name, getattr(pairing, name)) for name in ("unpaired", "ambiguous", "unmatched")]


def first_files(pairing: Pairing | FoundPairs) -> dict[str, Any]:
    """Return the fields of a summary on the source files that make no pair; writes nothing."""
    details = Details()
    for listing in files_without_pair(pairing):
        details.add(listing)
    return details.fields


def images_without_counterpart(images: FusedImages) -> list[Listing]:
    """Return the lists of each method's images without a pair, and of pairs without an image."""
    found = []
    for method in images.missing:
        found += [
            _paths("unpaired_images", images.unpaired[method], method=method),
            _paths("missing", images.missing[method], method=method, column="pair_id"),
            _paths("ambiguous_images", images.ambiguous[method], method=method),
        ]
    return found


def labels_without_pair(names: Sequence[str]) -> Listing:
    """Return the list of the labelled images that belong to no pair."""
    return _paths("labels_without_pair", names)


def _paths(
    name: str, paths: Sequence[str] | Spill, *, method: str | None = None, column: str = "path"
) -> Listing:
    return Listing(name, _batches(paths, column), lambda row: row[column], method)


def _batches(names: Sequence[str] | Spill, column: str) -> Iterator[pa.Table | pa.RecordBatch]:
    """Yield names, which are a sequence or the one column of a spilled table."""
    if isinstance(names, Spill):
        yield from names.to_batches()
        return
    for start in range(0, len(names), _AT_ONCE):
        yield pa.table({column: pa.array(names[start : start + _AT_ONCE], pa.string())})
