"""Tells clips from photographs and scenes by their paths."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.sequence import IS_SEQUENCE, is_sequence

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"),
    *(".wmv", ".asf", ".flv", ".mxf", ".3gp", ".ogv", ".vob", ".nut", ".mj2", ".y4m", ".dv"),
    *(".h264", ".264", ".h265", ".265", ".hevc", ".mjpeg", ".mjpg", ".ivf"),
)

_CLIPS = rf"(?i:{'|'.join(map(re.escape, VIDEO_SUFFIXES))})$|{IS_SEQUENCE}"

_VIDEO_PIXELS = 800
"""Pixels of frames for each byte of a video, at most: a hundredth of a bit for a pixel."""

_SEQUENCE_PIXELS = 10  # likewise of images


def is_video_name(path: str) -> bool:
    """Tell whether a file is called as videos are."""
    return path.lower().endswith(VIDEO_SUFFIXES)


def is_clip(*paths: str) -> bool:
    """Tell whether one of the paths is called as a video is, or is that of a sequence."""
    return any(is_video_name(path) or is_sequence(path) for path in paths)


def are_clips(pairs: pa.Table) -> pa.ChunkedArray:
    """Tell of pairs, by their columns ``ir_path`` and ``vi_path``, which are clips."""
    sides = (pc.match_substring_regex(pairs[f"{side}_path"], _CLIPS) for side in ("ir", "vi"))
    return pc.or_(*sides)


def clip_pixels(path: str, size: int) -> int:
    """Return how many pixels the frames of a side of a clip have together, or more.

    Args:
        path: Its path.
        size: Its size in bytes.
    """
    return size * (_SEQUENCE_PIXELS if is_sequence(path) else _VIDEO_PIXELS)
