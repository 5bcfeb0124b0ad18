"""The manifest row of a fused clip, from what was found while its segments were fused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fusion_core.jobs.remarks import join_remarks, unused_percentiles, unused_settings
from fusion_core.models.memory import tiles_remark
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.video.clip import Clip
from fusion_core.video.encoding import CONTAINER, Encoding
from fusion_core.video.frame import Faults
from fusion_core.video.frame_table import clip_scores
from fusion_core.video.segments import FrameRow, SegmentRecord


def clip_columns(
    clip: Clip, encoding: Encoding, records: Sequence[SegmentRecord]
) -> dict[str, Any]:
    """Return the columns that describe a fused clip, but for where it lies.

    Args:
        clip: The clip.
        encoding: How it is encoded.
        records: Its segments, all of them.
    """
    rows = rows_of(records)
    fused = [row for row in rows if row.scores]
    frames = sum(record.written for record in records)
    interval = float(1 / encoding.rate)
    kept = [row for row in rows if row.scores] if frames == len(fused) else rows
    duration = kept[-1].time - kept[0].time + interval
    scaled = clip.scaled
    scalings = {
        f"{name}_{what}": value
        for name, side in (("ir", scaled.ir), ("vi", scaled.vi))
        for what, value in (
            ("scaling", side.scaling_name),
            ("low", side.scaling.low),
            ("high", side.scaling.high),
        )
    }
    return {
        **clip_scores(rows),
        **scalings,
        "fused_format": CONTAINER[encoding.codec],
        "height": encoding.height,
        "width": encoding.width,
        "bit_depth": _bit_depth(encoding),
        "overlap": sum(record.overlaps for record in records) / len(rows),
        "frames": frames,
        "frames_unmatched": len(rows) - len(fused),
        "ir_frames_unused": sum(record.ir_unused for record in records),
        "duration": duration,
        "frame_rate": frames / duration,
    }


def clip_remark(
    clip: Clip,
    encoding: Encoding,
    records: Sequence[SegmentRecord],
    settings: FuseArchiveSettings,
    sound: str | None,
) -> str | None:
    """Return what a reader of a fused clip should know, if anything.

    Args:
        clip: The clip.
        encoding: How it is encoded.
        records: Its segments.
        settings: The run's settings.
        sound: What is to be told of its sound.
    """
    faults = {"infrared": Faults(), "visible": Faults()}
    for record in records:
        faults["infrared"].add(record.ir_faults)
        faults["visible"].add(record.vi_faults)
    tiles = [record.smallest_tile for record in records if record.smallest_tile]
    scaled = clip.scaled
    return join_remarks(
        *(found.remark(side) for side, found in faults.items()),
        _ends_early(clip, records),
        _unmatched(rows_of(records), settings.unmatched_frames),
        _uncovered(records),
        encoding.remark,
        sound,
        tiles_remark(min(tiles)) if tiles else None,
        unused_settings(settings, "a clip", tiled=bool(tiles), sequence=clip.has_sequence),
        unused_percentiles(settings, (scaled.ir.scaling_name, scaled.vi.scaling_name)),
    )


def rows_of(records: Sequence[SegmentRecord]) -> list[FrameRow]:
    """Return the frames of all segments."""
    return [row for record in records for row in record.rows]


def _bit_depth(encoding: Encoding) -> int:
    if not encoding.deep:
        return 8
    return 16 if encoding.codec == "ffv1" else 10


def _ends_early(clip: Clip, records: Sequence[SegmentRecord]) -> str | None:
    """Say that the infrared side goes on behind the visible one, as where that was cut off."""
    last, ir_last = rows_of(records)[-1].time, records[-1].ir_last
    interval = float(1 / min(clip.ir.facts.rate, clip.vi.facts.rate))
    if ir_last is None or ir_last - last <= 2 * interval:
        return None
    return f"the visible side ends {ir_last - last:.2f} s before the infrared one"


def _uncovered(records: Sequence[SegmentRecord]) -> str | None:
    fused = sum(bool(row.scores) for row in rows_of(records))
    share = 1 - sum(record.overlaps for record in records) / max(1, fused)
    if share <= 0:
        return None
    return f"{share:.1%} of the pixels of fused frames have no infrared and keep the visible values"


def _unmatched(rows: Sequence[FrameRow], policy: str) -> str | None:
    alone = [row for row in rows if not row.scores]
    if not alone:
        return None
    done = "were left out" if policy == "drop" else "are the visible ones as they were"
    return (
        f"{len(alone)} of {len(rows)} frames have no infrared one and {done}, the first at "
        f"{alone[0].time:.3f} s"
    )
