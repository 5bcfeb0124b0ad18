"""Brings an index up to date with what was published, and merges its shards as they grow.

Each step ends with a new state; killed before it, a run leaves shards that no state names, which
`fuse-archive clean` removes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa

from fusion_core.archive.index.shards import MOST_ROWS, write_shards
from fusion_core.archive.index.state import (
    IndexState,
    Shard,
    create_state,
    index_schema,
    newest_number,
    newest_state,
    remove_unnamed,
    shard_path,
)
from fusion_core.archive.layout import is_part_path, table_of
from fusion_core.archive.lease_record import declared_intents, read_record
from fusion_core.archive.parts import read_part
from fusion_core.archive.publications import Publication, publications
from fusion_core.archive.rows_file import read_row_group, row_groups_of
from fusion_core.archive.spill import Spill, SpillWriter, engine, query, spill
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

_READERS = 16
_PARTS_AT_ONCE = 4096  # of versions before, whose rows become one shard
_MERGED = 4
"""Shards of about one size that become one."""

_BACKLOG = 16
"""Shards of about one size with which a run merges before it plans, and not when it has done its
work: those before it didn't come to their ends."""

_IN_MEMORY = 1 << 17
"""Rows that are sorted in memory."""

_SMALLEST = 8192  # rows; smaller shards are all of one size


class IndexUpdate:
    """Brings one index up to date.

    Args:
        output: Where what was published is.
        table: The table.
        folder: A scratch folder.
        place: Where the index's shards and states are written. Default: the output.
        anew: Whether to begin with nothing, whatever there is.
    """

    def __init__(
        self,
        output: Storage,
        table: str,
        folder: Path,
        place: Storage | None = None,
        *,
        anew: bool = False,
    ):
        self._output, self._table, self._folder = output, table, folder
        self._place = place or output
        self._schema = index_schema(table)
        self._number, self.state = (
            (newest_number(output, table), IndexState()) if anew else newest_state(output, table)
        )
        self._before = self.state
        self.added: list[Shard] = []
        """Shards that were written by this object."""

    def run(self, generation: int) -> IndexState:
        """Take in all that was published up to a generation of the lease; merge a backlog.

        Args:
            generation: The last one to look at: whose runs before can publish nothing any more.

        Raises:
            ManifestError: A part or file can't be read.
            StorageError: The store failed.
        """
        if not self.state.carried:
            self._carry_over()
        self._take_in(generation)
        if self._place is self._output:
            self.merge(_BACKLOG)
            # A dry run holds no lease, and may be reading what there was when this run began.
            remove_unnamed(self._output, self._table, [self._before, self.state])
        return self.state

    def _carry_over(self) -> None:
        """Take in the parts of versions before, which committed where people read; once."""
        listed = self._output.list(f"{self._table}/")["path"].to_pylist()
        parts = [path for path in listed if is_part_path(path) and path > self.state.carried_to]
        for start in range(0, len(parts), _PARTS_AT_ONCE):
            some = parts[start : start + _PARTS_AT_ONCE]
            self.add(self._rows_of(some), carried_to=some[-1])
        self._step(self.state.model_copy(update={"carried": True}))

    def _take_in(self, generation: int) -> None:
        last = self.state.generation, self.state.number
        with SpillWriter(self._folder, self._schema) as writer:
            for number in range(max(self.state.generation, 1), generation + 1):
                after = self.state.number if number == self.state.generation else 0
                records = publications(self._output, number, after)
                for place, record in records:
                    if self._is_unwritten(record) and next(records, None) is None:
                        break
                    last = number, place
                    if record.file is not None and table_of(record.file) == self._table:
                        writer.write(self._published(record))
                if number > self.state.generation:
                    last = max(last, (number, 0))
                    for rows in self._of_version_before(number):
                        writer.write(rows)
        if last != (self.state.generation, self.state.number):
            found = Spill(writer.path).to_batches()
            self.add(found, generation=last[0], number=last[1])

    def _is_unwritten(self, record: Publication) -> bool:
        """Tell whether a file is still to grow, by who publishes or by who takes over from it."""
        if self._place is self._output or record.file is None:
            return False  # under the lease all records are in their files
        return row_groups_of(self._output, record.file) < record.row_groups

    def _published(self, record: Publication) -> pa.Table:
        assert record.file is not None
        try:
            rows = read_row_group(
                self._output, record.file, record.row_groups - 1, self._schema.names
            )
        except FileNotFoundError as error:
            raise ManifestError(
                f"{self._output.url(record.file)} is missing; expected it, for a record says that "
                "rows were published in it. Restore the file"
            ) from error
        return rows.cast(self._schema)

    def _of_version_before(self, generation: int) -> Iterator[pa.Table]:
        """Yield the rows of a run of a version before that came after the index was begun."""
        if self.state.generation == 0:
            return  # what these wrote was carried over
        record = read_record(self._output, generation)
        if record is not None and not record.publishes:
            for listed in declared_intents(self._output, generation):
                own = [path for path in listed if is_part_path(path)]
                yield from self._rows_of([path for path in own if self._is_ours(path)])

    def _is_ours(self, path: str) -> bool:
        return path.startswith(f"{self._table}/") and self._output.exists(path)

    def _rows_of(self, parts: Sequence[str]) -> Iterator[pa.Table]:
        read = partial(read_part, self._output, columns=self._schema.names)
        with ThreadPoolExecutor(_READERS, "index") as readers:
            for rows in readers.map(lambda path: read(path), parts):
                yield rows.cast(self._schema)

    def add(self, tables: Iterable[pa.Table | pa.RecordBatch], **covers: str | int) -> None:
        """Write rows as shards, and a state that names them too.

        Args:
            tables: Rows of ``index_schema``, in any order.
            covers: What the index covers with them, as fields of ``IndexState``.
        """
        rows = spill(self._folder, self._schema, tables)
        shards = self._sorted([rows.path]) if len(rows) else []
        rows.path.unlink()
        self._step(
            self.state.model_copy(update={"shards": (*self.state.shards, *shards), **covers})
        )

    def _sorted(self, paths: Sequence[Path]) -> list[Shard]:
        files = [Spill(path) for path in paths]
        if sum(map(len, files)) <= _IN_MEMORY:  # a night's, for which no engine need be started
            rows = pa.concat_tables(file.read() for file in files).sort_by("pair_id")
            found = spill(self._folder, self._schema, [rows])
        else:
            names = ", ".join(f"'{path}'" for path in paths)
            sql = f"SELECT * FROM read_parquet([{names}]) ORDER BY pair_id"
            with engine(self._folder) as connection:
                found = query(connection, self._folder, sql)
        shards = write_shards(self._place, self._table, found, self._folder)
        found.path.unlink()
        self.added += shards
        return shards

    def _step(self, state: IndexState) -> None:
        """Make a state the newest one.

        Raises:
            ManifestError: Somebody else has made one, which only the lease's holder may.
        """
        if not create_state(self._place, self._table, self._number + 1, state):
            raise ManifestError(
                f"another run has written state {self._number + 1} of the index of {self._table}; "
                "expected to be the only run at work. Run again"
            )
        self._number += 1
        self.state = state

    def merge(self, many: int) -> None:
        """Merge shards of about one size, until there are few of each.

        Args:
            many: So many of a size are too many.
        """
        while group := _to_merge(self.state.shards, many):
            local = [self._folder / shard.name for shard in group]
            for shard, path in zip(group, local, strict=True):
                self._output.download(shard_path(self._table, shard), path)
            merged = self._sorted(local)
            for path in local:
                path.unlink()
            kept = [shard for shard in self.state.shards if shard not in group]
            self._step(self.state.model_copy(update={"shards": (*kept, *merged)}))


def merge_shards(output: Storage, table: str, folder: Path) -> None:
    """Merge the shards of an index, under the lease, once nobody waits for a plan.

    What was merged stays: a dry run may be reading it. The next run removes it.

    Args:
        output: The output.
        table: The table; it may have no index.
        folder: A scratch folder.

    Raises:
        ManifestError: A state can't be read, or somebody else has written one.
        StorageError: The store failed.
    """
    if newest_number(output, table):
        IndexUpdate(output, table, folder).merge(_MERGED)


def _to_merge(shards: Iterable[Shard], many: int) -> list[Shard]:
    """Return shards of about one size that are to become one, if there are so many."""
    by_size: defaultdict[int, list[Shard]] = defaultdict(list)
    for shard in shards:
        by_size[int(math.log(max(shard.rows, _SMALLEST) / _SMALLEST, _MERGED))].append(shard)
    for _, group in sorted(by_size.items()):
        some = sorted(group, key=lambda shard: shard.rows)[:_MERGED]
        if len(group) >= many and sum(shard.rows for shard in some) <= MOST_ROWS:
            return some
    return []
