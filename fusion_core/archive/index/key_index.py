"""The index of a table as a plan uses it: brought up to date, and looked up by pair."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from fusion_core.archive.index.lookup import ShardReader, look_up
from fusion_core.archive.index.state import IndexState, index_schema
from fusion_core.archive.index.update import IndexUpdate
from fusion_core.archive.lease_record import newest_generation
from fusion_core.storage.store import Storage


class KeyIndex:
    """Looks up what is known of pairs.

    Args:
        output: Where the index is.
        table: Of the index.
        state: What it consists of.
        local: Where those of its shards are that no other run is to see; None where all are in the
            output.
        in_local: Names of these shards.
    """

    def __init__(
        self,
        output: Storage,
        table: str,
        state: IndexState,
        *,
        local: Storage | None = None,
        in_local: frozenset[str] = frozenset(),
    ):
        self.state = state
        self._schema = index_schema(table)
        self._readers = [
            ShardReader(local if local and shard.name in in_local else output, table, shard)
            for shard in state.shards
        ]

    def rows_of(self, pairs: pa.Array) -> pa.Table:
        """Return all rows of these pairs, of any model and settings.

        Args:
            pairs: Sorted pair ids.

        Raises:
            ManifestError: A shard isn't what the state says.
            StorageError: The store failed.
        """
        return look_up(self._readers, self._schema, pairs)


def open_index(
    output: Storage, table: str, folder: Path, *, generation: int | None = None
) -> KeyIndex:
    """Bring an index up to date and open it.

    Args:
        output: The output.
        table: The table.
        folder: A scratch folder, for as long as the index is used.
        generation: Of the lease that the run holds. Without one nothing is written to the output:
            what the index lacks is in the scratch folder.

    Raises:
        ManifestError: A part or file can't be read.
        StorageError: The store failed.
    """
    if generation is not None:
        return KeyIndex(output, table, IndexUpdate(output, table, folder).run(generation))
    local = Storage(str(folder))
    update = IndexUpdate(output, table, folder, local)
    state = update.run(newest_generation(output))
    in_local = frozenset(shard.name for shard in update.added)
    return KeyIndex(output, table, state, local=local, in_local=in_local)
