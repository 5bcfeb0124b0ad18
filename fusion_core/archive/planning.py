"""Plans an archive of any size: pairs in batches, what is known of them from the index."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.attempts import Patience, last_attempts
from fusion_core.archive.found_pairs import FoundPairs
from fusion_core.archive.index.key_index import KeyIndex
from fusion_core.archive.pairing import PAIRS_SCHEMA, Pairing
from fusion_core.archive.plan import Plan, make_plan
from fusion_core.archive.spill import Spill, SpillWriter
from fusion_core.errors import SettingsError

_BATCH = 131_072  # pairs
_TOLD = 10

PLAN_SCHEMA = pa.schema(
    [*PAIRS_SCHEMA, ("attempt", pa.int32()), ("tries", pa.int32()), ("history", pa.string())]
)
"""Columns of what is to be fused."""

_COUNTS = ("done", "known_failed", "over_limit", "waiting", "archived", "older")


def plan_pairs(
    found: Pairing | FoundPairs,
    index: KeyIndex,
    split: Callable[[pa.Table], tuple[pa.Table, pa.Table]],
    folder: Path,
    *,
    reprocess: str = "none",
    limit: int | None = None,
    patience: Patience | None = None,
    only: Collection[str] = (),
) -> Plan:
    """Decide which pairs are to be fused, as ``make_plan`` does, in memory for one batch of them.

    Args:
        found: The archive's pairs.
        index: Of the manifest.
        split: Gives of rows those of the run's model and settings, and the successful ones of
            earlier image versions.
        folder: A scratch folder, for as long as the plan is used.
        reprocess: As ``make_plan`` takes it.
        limit: Likewise.
        patience: Likewise.
        only: Ids of pairs; where there are any, all others are left alone.

    Returns:
        The plan; what is to be done is a ``Spill``.

    Raises:
        SettingsError: A pair that is asked for isn't there.
        ManifestError: The index can't be read.
        StorageError: The store failed.
    """
    counts = dict.fromkeys(_COUNTS, 0)
    missing, unasked = set(only), 0
    with SpillWriter(folder, PLAN_SCHEMA) as todo:
        for batch in found.pairs.to_batches(_BATCH):
            pairs = pa.Table.from_batches([batch])
            if only:
                pairs = pairs.filter(pc.field("pair_id").isin(list(only)))
                missing.difference_update(pairs["pair_id"].to_pylist())
                unasked += len(batch) - len(pairs)
                if not len(pairs):
                    continue
            rows = index.rows_of(pairs["pair_id"].combine_chunks())
            own, older = split(rows)
            plan = make_plan(
                Pairing(pairs, (), (), ()),
                own,
                reprocess,
                None if limit is None else limit - todo.rows,
                numbers=last_attempts(rows),
                patience=patience,
                older=older,
            )
            todo.write(plan.todo)
            for name in _COUNTS:
                counts[name] += getattr(plan, name)
    if missing:
        raise _no_such_pairs(sorted(missing), len(found.pairs))
    return Plan(pairing=found, todo=Spill(todo.path), unasked=unasked, **counts)


def _no_such_pairs(missing: list[str], found: int) -> SettingsError:
    more = f" and {len(missing) - _TOLD} more" if len(missing) > _TOLD else ""
    named = ", ".join(map(repr, missing[:_TOLD]))
    return SettingsError(
        f"the pairs {named}{more} are none of the {found} that were found; expected ids as the "
        "column pair_id of the manifest has them, of pairs that are in what is looked at. Check "
        "the ids, and source, templates, prefix and days"
    )
