"""Looks pairs up in shards: their footers and filters tell which row groups to read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fusion_core.archive.index.filters import FILTER_BYTES, hashes, may_hold
from fusion_core.archive.index.state import Shard, filter_path, index_schema, shard_path
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

_READERS = 4  # each takes 10 MB or so, however long the history is
_AT_ONCE = 32  # row groups that one reader opens a shard for
_FEW = 1024  # pairs in a row group from which on its filter would hardly pass over it
_LAST = chr(sys.maxunicode)  # no text sorts behind it, but such that begin so
_GAP = 16  # filters that are read along, so that it takes fewer requests


@dataclass(frozen=True)
class _Candidate:
    """A row group, and the pairs that it may hold, with their hashes."""

    group: int
    pairs: pa.Array
    hashes: NDArray[np.uint64]


class ShardReader:
    """Looks pairs up in one shard.

    Args:
        storage: Where it is.
        table: Of the index.
        shard: What the state says of it.
    """

    def __init__(self, storage: Storage, table: str, shard: Shard):
        self.shard = shard
        self._storage, self._path = storage, shard_path(table, shard)
        self._filters = filter_path(table, shard)
        self._schema = index_schema(table)
        self._metadata: pq.FileMetaData | None = None
        self._ends: list[list[str]] = [[], []]

    def candidates(self, pairs: pa.Array, numbers: NDArray[np.uint64]) -> list[_Candidate]:
        """Return the row groups that may hold some of these pair ids, which are sorted.

        Args:
            pairs: The ids.
            numbers: Their hashes.

        Raises:
            ManifestError: The shard isn't what the state says.
            StorageError: The store failed.
        """
        if not len(pairs) or pairs[0].as_py() > self.shard.last:
            return []
        if pairs[-1].as_py() < self.shard.first:
            return []
        self._read_footer()
        ids = pairs.to_numpy(zero_copy_only=False)
        # As many ids are below the first of a group as below or at its last: none is inside.
        below = np.searchsorted(ids, np.array(self._ends[0], object), side="left")
        upto = np.searchsorted(ids, np.array(self._ends[1], object), side="right")
        found = [
            _Candidate(int(group), pairs.slice(first, end - first), numbers[first:end])
            for group in np.flatnonzero(upto > below)
            for first, end in [(int(below[group]), int(upto[group]))]
        ]
        many = [one for one in found if len(one.pairs) >= _FEW]
        return many + self._that_pass([one for one in found if len(one.pairs) < _FEW])

    def rows(self, candidates: Sequence[_Candidate]) -> pa.Table:
        """Return the rows of the candidates' pairs in their row groups.

        Raises:
            StorageError: The store failed for good.
        """
        # From the opening on, for any read of an open file may meet a fault that passes.
        return self._again(lambda: self._rows_once(candidates))

    def _rows_once(self, candidates: Sequence[_Candidate]) -> pa.Table:
        found = [self._schema.empty_table()]
        with self._file() as file:
            for one in candidates:
                ids = file.read_row_group(one.group, ["pair_id"], use_threads=False)["pair_id"]
                wanted = pc.is_in(ids, value_set=one.pairs)
                if pc.any(wanted).as_py():
                    rows = file.read_row_group(one.group, self._schema.names, use_threads=False)
                    found.append(rows.cast(self._schema).filter(wanted))
        return pa.concat_tables(found)

    def _that_pass(self, candidates: Sequence[_Candidate]) -> list[_Candidate]:
        """Leave out the pairs, and row groups, that filters pass over."""
        left = []
        try:
            filters = self._read_filters([one.group for one in candidates])
            for one in candidates:
                passed = may_hold(filters[one.group], one.hashes)
                if passed.any():
                    asked = one.pairs.filter(pa.array(passed))
                    left.append(_Candidate(one.group, asked, one.hashes[passed]))
        except (FileNotFoundError, ValueError) as error:
            what = "missing" if isinstance(error, FileNotFoundError) else f"damaged: {error}"
            raise ManifestError(
                f"{self._storage.url(self._filters)} is {what}; expected the filters of a shard "
                "as runs write them. `fuse-archive index` makes the index anew"
            ) from error
        return left

    def _read_filters(self, groups: Sequence[int]) -> dict[int, memoryview]:
        """Read the filters of row groups, in few pieces."""
        full, found = self._storage.fs_path(self._filters), {}
        breaks = np.flatnonzero(np.diff(groups) > _GAP) + 1
        for piece in np.split(np.asarray(groups, int), breaks) if len(groups) else ():
            start, stop = int(piece[0]) * FILTER_BYTES, int(piece[-1] + 1) * FILTER_BYTES
            read = partial(self._storage.fs.cat_file, full, start=start, end=stop)
            what = f"read {self._storage.url(self._filters)}"
            body = memoryview(self._storage.call(what, read, stop - start))
            for group in piece.tolist():
                at = group * FILTER_BYTES - start
                found[group] = body[at : at + FILTER_BYTES]
        return found

    def _read_footer(self) -> None:
        if self._metadata is not None:
            return
        metadata = self._again(self._footer_once)
        if metadata.num_rows != self.shard.rows:
            raise ManifestError(
                f"{self._storage.url(self._path)} has {metadata.num_rows} rows; expected "
                f"{self.shard.rows}. `fuse-archive index` makes the index anew"
            )
        place = metadata.schema.names.index("pair_id")
        for group in range(metadata.num_row_groups):
            ends = metadata.row_group(group).column(place).statistics
            known = ends is not None and ends.has_min_max  # Parquet keeps none of long texts
            self._ends[0].append(ends.min if known else "")
            self._ends[1].append(ends.max if known else _LAST)
        self._metadata = metadata

    def _footer_once(self) -> pq.FileMetaData:
        with self._file() as file:
            return file.metadata

    def _again(self, read: Callable[[], Any]) -> Any:
        """Read the shard, again while that fails for a passing reason."""
        return self._storage.call(f"read {self._storage.url(self._path)}", read, self.shard.bytes)

    def _file(self) -> pq.ParquetFile:
        options: dict[str, Any] = {
            "metadata": self._metadata,
            "pre_buffer": False,
            "page_checksum_verification": True,
        }
        full = self._storage.fs_path(self._path)
        if self._storage.is_local:
            return pq.ParquetFile(full, **options)
        handle = self._storage.fs.open(full, "rb", block_size=1 << 20, size=self.shard.bytes)
        return pq.ParquetFile(handle, **options)


def look_up(readers: Sequence[ShardReader], schema: pa.Schema, pairs: pa.Array) -> pa.Table:
    """Return all rows of these pairs.

    Args:
        readers: One for each shard.
        schema: Of the index.
        pairs: Sorted pair ids.

    Raises:
        ManifestError: A shard isn't what the state says.
        StorageError: The store failed.
    """
    numbers = hashes(pairs) if readers else np.zeros(0, np.uint64)
    with ThreadPoolExecutor(_READERS, "index") as threads:
        asked = threads.map(lambda one: one.candidates(pairs, numbers), readers)
        found = zip(readers, asked, strict=True)
        work = [
            (reader, candidates[start : start + _AT_ONCE])
            for reader, candidates in found
            for start in range(0, len(candidates), _AT_ONCE)
        ]
        tables = list(threads.map(lambda one: one[0].rows(one[1]), work))
    return pa.concat_tables([schema.empty_table(), *tables])
