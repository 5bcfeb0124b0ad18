"""The scores of a clip's frames: as a table in a file, and as means and worst frames in its row."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fusion_core.metrics import METRIC_NAMES, METRIC_VERSION
from fusion_core.video.segments import FrameRow

FRAMES_SCHEMA = pa.schema(
    [
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("time", pa.float64(), nullable=False),
        pa.field("ir_time", pa.float64()),
        pa.field("cut", pa.bool_(), nullable=False),
        *(pa.field(name, pa.float64()) for name in METRIC_NAMES),
        pa.field("metrics_undefined", pa.string()),
    ]
)
"""A row for each visible frame: its number and time, when its infrared frame is shown (null where
it has none), whether it begins a new shot, and its metrics."""


def frame_table(rows: Sequence[FrameRow]) -> bytes:
    """Return the frames of a clip as a Parquet file."""
    columns: dict[str, list[Any]] = {
        "frame": [row.frame for row in rows],
        "time": [row.time for row in rows],
        "ir_time": [row.ir_time for row in rows],
        "cut": [row.cut for row in rows],
        **{name: [row.scores.get(name) for row in rows] for name in METRIC_NAMES},
        "metrics_undefined": [row.undefined for row in rows],
    }
    schema = FRAMES_SCHEMA.with_metadata({"metric_version": METRIC_VERSION})
    file = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), file, compression="zstd")
    return file.getvalue()


def clip_scores(rows: Sequence[FrameRow]) -> dict[str, Any]:
    """Return the columns of the manifest that tell of all frames: means, and the worst of each.

    A metric is higher for a better frame, all of them are. Frames where one is undefined don't
    count for it.
    """
    columns: dict[str, Any] = {}
    reasons = []
    fused = [row for row in rows if row.scores]
    for name in METRIC_NAMES:
        found = [(row.scores[name], row.frame) for row in fused if row.scores[name] is not None]
        values = [(float(value or 0.0), frame) for value, frame in found]
        if values:
            least, frame = min(values)
            mean = math.fsum(value for value, _ in values) / len(values)
            columns |= {name: mean, f"{name}_least": least, f"{name}_worst_frame": frame}
        else:
            columns |= dict.fromkeys((name, f"{name}_least", f"{name}_worst_frame"))
        if missing := len(fused) - len(values):
            reasons.append(f"{name}: undefined for {missing} of {len(fused)} frames")
    return {
        **columns,
        "metrics_undefined": "; ".join(reasons) or None,
        "metric_version": METRIC_VERSION,
    }


def worst_frames(rows: Sequence[FrameRow], count: int) -> list[FrameRow]:
    """Return the frames that are worst by some metric, in their order, at most so many.

    Those that are worst by several come first; of others, those by the first metrics.
    """
    fused = [row for row in rows if row.scores]
    votes: dict[int, int] = {}
    for name in METRIC_NAMES:
        known = [row for row in fused if row.scores[name] is not None]
        if known:
            worst = min(known, key=lambda row: (row.scores[name] or 0.0, row.frame))
            votes[worst.frame] = votes.get(worst.frame, 0) + 1
    chosen = sorted(votes, key=lambda frame: -votes[frame])[:count]
    return [row for row in fused if row.frame in chosen]
