"""The rows that a catalogue of scenes is made of: those of the manifest that have an item.

They are rows of objects that others may have written. So where an item lies is told from what its
row says of its making, and not from its URLs, and a footprint that is not on Earth is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.manifest import newest_rows
from fusion_core.archive.part_checks import check_values
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.archive.spill import Spill, engine, query, spill
from fusion_core.archive.stored_images import IMAGE_COLUMNS, image_path
from fusion_core.metrics import METRIC_NAMES
from fusion_core.scenes.stac_places import CORNERS, places

_KEPT = (
    *("pair_id", "method", "attempt", "run_id", "started", "ended", "acquired", *CORNERS),
    *("outline", "height", "width", "crs", "overlap", *METRIC_NAMES),
    *("metric_version", "software_version"),
    *(name for name in IMAGE_COLUMNS if name not in ("pair_id", "fused_url")),
)

CATALOG_COLUMNS = (*_KEPT, "fused_url", "quicklook_url", "item_url", "status", "history")
"""Columns of the manifest that a catalogue is made of."""

SCENE_SCHEMA = pa.schema(
    [
        *(PART_SCHEMA.field(name).remove_metadata() for name in _KEPT),
        pa.field("fused_path", pa.string(), nullable=False),
        pa.field("quicklook", pa.bool_(), nullable=False),
    ]
)
"""A scene of a catalogue: what its row says of it, the path of its image, whether it has a picture.

Outline and corners, those of its box, are null where its place is unknown.
"""

_NEW_SCHEMA = SCENE_SCHEMA.append(pa.field("day", pa.date32(), nullable=False)).append(
    pa.field("first", pa.bool_(), nullable=False)
)

_PATH = "fused_path"

_NEWEST = """
SELECT * FROM read_parquet('{path}') QUALIFY row_number() OVER (
    PARTITION BY pair_id, method ORDER BY coalesce(attempt, 0) DESC, ended DESC, run_id DESC
) = 1 ORDER BY day, pair_id, method
"""


def newest_scenes(tables: Iterable[pa.Table], folder: Path) -> Spill:
    """Return the newest fused scene of every pair and method that has an item.

    Args:
        tables: Rows of any status, of ``CATALOG_COLUMNS``.
        folder: A scratch folder.

    Returns:
        Rows of ``SCENE_SCHEMA``, sorted by ``day``, pair id and method; ``first``: whether no
        earlier attempt of its pair can have fused it, as far as the row knows.
    """
    found = spill(folder, _NEW_SCHEMA, map(_scenes, tables))
    with engine(folder) as connection:
        newest = query(connection, folder, _NEWEST.format(path=found.path))
    found.path.unlink()
    return newest


def by_day(scenes: Spill) -> Iterator[tuple[date, pa.Table]]:
    """Yield the scenes of ``newest_scenes`` day by day, as rows of ``SCENE_SCHEMA``."""
    day: date | None = None
    waiting: list[pa.Table] = []
    for batch in scenes.to_batches():
        table = pa.Table.from_batches([batch])
        for found in table["day"].unique().to_pylist():
            if day is not None and found != day:
                yield day, pa.concat_tables(waiting)
                waiting = []
            day = found
            rows = table.filter(pc.equal(table["day"], pa.scalar(found, pa.date32())))
            waiting.append(rows.select(SCENE_SCHEMA.names).cast(SCENE_SCHEMA))
    if day is not None:
        yield day, pa.concat_tables(waiting)


def merged(scenes: Sequence[pa.Table]) -> pa.Table:
    """Return the newest of scenes by pair and method, sorted by these."""
    rows = pa.concat_tables(scenes)
    nobody = pa.nulls(len(rows), pa.string())  # no row of ours scores somebody else's image
    return newest_rows(rows.append_column("fused_version", nobody)).select(SCENE_SCHEMA.names)


def moments(scenes: pa.Table) -> pa.ChunkedArray:
    """Return the ``datetime`` of each scene: when it was taken, else when it was fused."""
    return pc.coalesce(scenes["acquired"], scenes["started"])


def item_path(fused_path: str) -> str:
    """Return the path of a scene's item, beside its image."""
    return f"{fused_path.rpartition('.')[0]}.json"


def check_scenes(scenes: pa.Table) -> pa.Table:
    """Return scenes that were read from a catalogue, without footprints that are not on Earth.

    Raises:
        ValueError: One is not where its image lies, or no run can have written it.
    """
    check_values(scenes)
    told = scenes.append_column("fused_url", pc.binary_join_element_wise("", scenes[_PATH], "/"))
    for row in told.select([*IMAGE_COLUMNS, _PATH]).to_pylist():
        if image_path(row) != row[_PATH]:
            raise ValueError(f"a scene of it has its image at {row[_PATH][:200]!r}")
    for name, values in places(scenes).items():
        scenes = scenes.set_column(
            scenes.schema.get_field_index(name), scenes.schema.field(name), values
        )
    return scenes


def _scenes(rows: pa.Table) -> pa.Table:
    rows = rows.filter(pc.and_(pc.equal(rows["status"], "ok"), pc.is_valid(rows["item_url"])))
    paths = [image_path(row) for row in rows.select(IMAGE_COLUMNS).to_pylist()]
    found = {
        **{name: rows[name] for name in _KEPT},
        **places(rows),
        _PATH: pa.array(paths, pa.string()),
        "quicklook": pc.is_valid(rows["quicklook_url"]),
        "day": moments(rows).cast(pa.date32()),
        "first": pa.array([_is_first(row) for row in rows.select(_TOLD).to_pylist()], pa.bool_()),
    }
    table = pa.table(found)
    return table.filter(pc.is_valid(table[_PATH])).cast(_NEW_SCHEMA)


_TOLD = ("attempt", "history")


def _is_first(row: dict[str, Any]) -> bool:
    """Tell whether every attempt before this one is known to have failed.

    The history tells of attempts at these files alone, and the number counts all.
    """
    before = (row["attempt"] or 1) - 1
    *causes, last = (row["history"] or "ok").split("; ")
    return before == 0 or (last == "ok" and "ok" not in causes and len(causes) >= before)
