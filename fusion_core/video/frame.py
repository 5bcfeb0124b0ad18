"""A frame of a clip on its way from a video or an image file to the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Protocol

import numpy as np

from fusion_core.images.picture import Picture


@dataclass(frozen=True)
class Colours:
    """What a video's samples stand for, as FFmpeg numbers it; 2 is unspecified.

    Attributes:
        matrix: From YCbCr to RGB.
        range: 1 is 16 to 235, 2 is 0 to 255, 0 unspecified.
        primaries: Of the colours.
        transfer: From samples to light; 16 and 18 are those of HDR.
    """

    matrix: int = 2
    range: int = 0
    primaries: int = 2
    transfer: int = 2


@dataclass(frozen=True)
class ClipFacts:
    """What a side of a clip is, known before its first frame is read.

    Attributes:
        width: Of its frames as they are coded, in pixels.
        height: Likewise.
        rotation: Degrees by which a player turns them counterclockwise.
        time_base: Seconds that its times are whole numbers of.
        rate: Frames a second; in the mean, where they differ.
        begins: Time of its first frame, in seconds.
        bits: Bits of a sample, 8 or more.
        grey: Whether it has no colours.
        colours: What its samples stand for.
        aspect: Width of a sample by its height.
        declared: Seconds that its header says it lasts; None where it doesn't.
    """

    width: int
    height: int
    rotation: int
    time_base: Fraction
    rate: Fraction
    begins: Fraction = Fraction(0)
    bits: int = 8
    grey: bool = False
    colours: Colours = Colours()
    aspect: Fraction = Fraction(1)
    declared: float | None = None


@dataclass(frozen=True)
class Frame:
    """One frame, not converted to pixels yet.

    Attributes:
        time: When it is shown, in seconds by its file's clock.
        ticks: The same in the time base of its side.
        key: Whether a decoder can begin with it.
        picture: Decodes or converts it.
        damaged: Whether it was decoded in part.
    """

    time: Fraction
    ticks: int
    key: bool
    picture: Callable[[], Picture]
    damaged: bool = False


def as_shown(picture: Picture, rotation: int) -> Picture:
    """Return a picture turned by so many degrees counterclockwise, as a player shows it."""
    if not rotation // 90 % 4:
        return picture
    return replace(picture, pixels=np.ascontiguousarray(np.rot90(picture.pixels, rotation // 90)))


@dataclass
class Faults:
    """What of a side could not be read; counted while it is.

    Attributes:
        packets: Packets, or files of a sequence, that can't be decoded.
        damaged: Frames that were decoded in part.
        disordered: Frames that are not later than the one before, and were left out.
        gaps: Where no frame came for more than three times the usual interval.
        longest: The longest of those: when it begins, and its length, in seconds.
        reasons: Why packets can't be decoded; the first alone.
        ended: Why it can't be read to its end, if it can't.
    """

    packets: int = 0
    damaged: int = 0
    disordered: int = 0
    gaps: int = 0
    longest: tuple[float, float] = (0.0, 0.0)
    ended: str | None = None
    reasons: list[str] = field(default_factory=list)

    def unreadable(self, reason: str) -> None:
        """Count a packet, and keep the first reason."""
        self.packets += 1
        if not self.reasons:
            self.reasons.append(reason)

    def clear(self) -> None:
        """Count from nothing again."""
        self.packets = self.damaged = self.disordered = self.gaps = 0
        self.longest, self.ended, self.reasons = (0.0, 0.0), None, []

    def gap(self, begins: float, seconds: float) -> None:
        """Count a gap, and keep the longest."""
        self.gaps += 1
        if seconds > self.longest[1]:
            self.longest = (begins, seconds)

    def add(self, other: Faults) -> None:
        """Add what was found in another part."""
        self.packets += other.packets
        self.damaged += other.damaged
        self.disordered += other.disordered
        self.gaps += other.gaps
        self.longest = max(self.longest, other.longest, key=lambda gap: gap[1])
        self.ended = self.ended or other.ended
        self.reasons = (self.reasons + other.reasons)[:1]

    def remark(self, side: str) -> str | None:
        """Say it to a reader of the fused clip; None where there is nothing to say.

        Args:
            side: What the side is called.
        """
        told = []
        if self.packets:
            why = f" ({self.reasons[0]})" if self.reasons else ""
            told.append(f"{self.packets} of its packets can't be decoded{why}")
        if self.damaged:
            told.append(f"{self.damaged} of its frames are damaged")
        if self.disordered:
            told.append(f"{self.disordered} of its frames are out of order and were left out")
        if self.gaps:
            begins, seconds = self.longest
            told.append(
                f"it has {self.gaps} gaps without frames, the longest of {seconds:.2f} s from "
                f"{begins:.2f} s on"
            )
        if self.ended:
            told.append(self.ended)
        return f"{side}: {', '.join(told)}" if told else None


class ClipSide(Protocol):
    """One side of a clip: a video file, or a sequence of images."""

    @property
    def facts(self) -> ClipFacts:
        """What it is."""
        ...

    def frames(self, start: Fraction | None, faults: Faults) -> Iterator[Frame]:
        """Yield its frames in the order of their times.

        Args:
            start: Time of the first one that is wanted. Default: all are.
            faults: What can't be read is counted in it.

        Raises:
            PairError: None of it can be read, or the store fails.
            UnreachableError: The store gives no answer.
        """
        ...
