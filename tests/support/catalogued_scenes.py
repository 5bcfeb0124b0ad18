"""Rows of fused scenes as the manifest has them, few by hand or many at once."""

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
from manifest_rows import row
from published_rows import as_part

from fusion_core.archive.schema import PART_SCHEMA

TAKEN = dt.datetime(2015, 5, 2, 1, 35, tzinfo=dt.UTC)
FUSED = dt.datetime(2026, 11, 20, 3, 0, tzinfo=dt.UTC)

_MADE = {
    **{"fused_format": "cog", "fused_sha256": "ab" * 32, "fused_bytes": 12345},
    **{"fused_url": "x", "item_url": "x", "quicklook_url": "x", "settings_hash": "5e77"},
    **{"model_hash": "ef" * 32, "device": "cpu", "precision": "fp32", "engine": "eager"},
    **{"software_version": "0.2.0", "crs": "EPSG:32654", "height": 6000, "width": 7000},
}


def scene_row(pair_id: str, **changed: Any) -> dict[str, Any]:
    """An ok row of a scene in Japan, taken at ``TAKEN``."""
    place = {"west": 138.0, "south": 34.0, "east": 141.0, "north": 36.0}
    made = {"attempt": 1, "acquired": TAKEN, "started": FUSED, "ended": FUSED, "overlap": 1.0}
    return row(pair_id, **{**_MADE, **place, **made, **changed})


def scene_rows(*rows: dict[str, Any]) -> pa.Table:
    """Rows as one table, as a run publishes them."""
    return pa.Table.from_pylist(list(rows), schema=PART_SCHEMA)


def many_scenes(first: int, count: int, a_day: int) -> pa.Table:
    """Rows of scenes all over the Earth, so many taken a day, the first of them in 2015."""
    numbers = np.arange(first, first + count)
    seconds = np.int64(TAKEN.timestamp()) + numbers // a_day * 86_400 + numbers % a_day
    taken = pa.array(seconds * 1_000_000).cast(pa.timestamp("us", tz="UTC"))
    days = taken.cast(pa.date32()).cast(pa.string()).to_pylist()
    random = np.random.default_rng(first)
    west, south = random.uniform(-180, 178, count), random.uniform(-80, 78, count)
    scores = {name: random.uniform(size=count) for name in ("vif", "qabf", "ssim", "overlap")}
    columns = {
        "pair_id": [f"{day}/{number:07}" for day, number in zip(days, numbers, strict=True)],
        "attempt": np.ones(count, np.int32),
        "status": ["ok"] * count,
        "acquired": taken,
        **{"west": west, "south": south, "east": west + 2, "north": south + 2},
        **scores,
        **{name: [value] * count for name, value in _MADE.items()},
    }
    columns["fused_sha256"] = [f"{number:064x}" for number in numbers]
    return as_part(pa.table(columns))
