"""Draws the quicklook of a fused clip: both sources and the fused, at its worst frames."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av

from fusion_core.images.picture import Picture
from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.contact_sheet import SheetRow, draw_contact_sheet
from fusion_core.video.clip import Clip
from fusion_core.video.frame import ClipSide, Faults, as_shown
from fusion_core.video.frame_table import worst_frames
from fusion_core.video.segments import FrameRow
from fusion_core.video.video_file import to_picture

_SHOWN = 4
_NEAR = Fraction(1, 500)
"""Seconds by which the time of a frame in Matroska, which is in milliseconds, may differ."""


def draw_strip(clip: Clip, fused: Path, rows: Sequence[FrameRow], title: str) -> bytes:
    """Return a PNG of the frames that are worst by some metric.

    Args:
        clip: The clip.
        fused: The fused video.
        rows: All its frames.
        title: What the strip is headed by.
    """
    shown = []
    for row in worst_frames(rows, _SHOWN):
        pictures = (
            _at(clip.ir, row.ir_time),
            _at(clip.vi, row.time),
            _fused_at(fused, row.time),
        )
        ir, vi, stored = pictures
        if ir is None or vi is None or stored is None:
            continue
        name = f"frame {row.frame}, {row.time:.3f} s"
        metrics = {metric: row.scores.get(metric) for metric in METRIC_NAMES}
        sides = [
            as_shown(picture, clip.vi.facts.rotation).pixels
            for picture in (clip.fitted(ir), vi, stored)
        ]
        shown.append(SheetRow(name, sides[0], sides[1], sides[2], metrics))
    file = io.BytesIO()
    draw_contact_sheet(shown, f"{title}: its worst frames").save(file, format="PNG")
    return file.getvalue()


def _at(side: ClipSide, time: float | None) -> Picture | None:
    """Return the frame of a side that is shown at a time, None where it can't be decoded."""
    if time is None:
        return None
    wanted = Fraction(time) - _NEAR
    frames = side.frames(wanted, Faults())
    with closing(frames):  # type: ignore[type-var]
        frame = next(frames, None)
        return None if frame is None else frame.picture()


def _fused_at(path: Path, time: float) -> Picture | None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        wanted = Fraction(time) - _NEAR
        container.seek(max(0, int(wanted / stream.time_base)), stream=stream)
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts * stream.time_base >= wanted:
                return to_picture(frame)
    return None
