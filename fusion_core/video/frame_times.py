"""What the times of a video's frames tell: how fast it is, and where to go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

import av

from fusion_core.video.frame import Faults, Frame


def rate_of(pictures: Sequence[av.VideoFrame], base: Fraction) -> Fraction | None:
    """Return the frames a second that the times of some tell; None where they tell none."""
    ticks = sorted(picture.pts for picture in pictures if picture.pts is not None)
    steps = sorted(b - a for a, b in pairwise(ticks) if b > a)
    return 1 / (steps[len(steps) // 2] * base) if steps else None


def later(
    start: Fraction, frames: Iterator[Frame], entered: Faults, faults: Faults
) -> Iterator[Frame]:
    """Yield the frames from ``start`` on, and count only what is wrong with those."""
    begun = False
    try:
        for frame in frames:
            if frame.time >= start:
                begun = True
                yield frame
            else:  # what came before belongs to an earlier part of the clip
                entered.clear()
    finally:
        if begun:
            faults.add(entered)
