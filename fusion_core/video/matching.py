"""Matches the frames of two sides by their times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from fusion_core.video.frame import Frame


@dataclass(frozen=True)
class Pending:
    """Where matching stands between two visible frames; all that it needs to go on from there.

    Attributes:
        time: Of the infrared frame that is next in line, by its own clock; None before the first.
        used: Whether a visible frame took it.
    """

    time: Fraction | None = None
    used: bool = False


@dataclass(frozen=True)
class MatchedFrame:
    """A visible frame, and the infrared one that is nearest in time; None where none is near."""

    vi: Frame
    ir: Frame | None


class FrameMatcher:
    """Gives each visible frame the infrared one that is nearest to it, the earlier of two.

    An infrared frame may serve several visible ones, where its camera is the slower.

    Args:
        infrared: The infrared frames, from the pending one on.
        tolerance: Seconds that two frames may be apart.
        offset: Seconds that are added to the infrared times.
        shown: Seconds for which the last infrared frame serves at least.
        pending: Where an earlier part of the clip left off.

    Attributes:
        unused: Infrared frames that no visible one took.
        last: Time of the last infrared frame that was seen, by the visible side's clock.
    """

    def __init__(
        self,
        infrared: Iterable[Frame],
        *,
        tolerance: Fraction,
        offset: Fraction = Fraction(0),
        shown: Fraction = Fraction(0),
        pending: Pending | None = None,
    ):
        self._infrared = iter(infrared)
        self._tolerance, self._offset, self._shown = tolerance, offset, shown
        before = pending or Pending()
        self._current: Frame | None = next(self._infrared, None)
        resumed = self._current is not None and self._current.time == before.time
        self._used = before.used and resumed
        self._next: Frame | None = next(self._infrared, None)
        self.unused = 0
        self.last: Fraction | None = None

    @property
    def pending(self) -> Pending:
        """Where it stands."""
        if self._current is None:
            return Pending()
        return Pending(self._current.time, self._used)

    def match(self, visible: Frame) -> MatchedFrame:
        """Match the next visible frame, which is later than the one before."""
        while self._next is not None and self._distance(self._next, visible) < self._distance(
            self._current, visible
        ):
            self._advance()
        near = self._current is not None and self._is_near(self._current, visible)
        self._used = self._used or near
        return MatchedFrame(visible, self._current if near else None)

    def finish(self) -> int:
        """Take the infrared frames that are left, and return how many were never used."""
        while self._current is not None:
            self._advance()
        return self.unused

    def _advance(self) -> None:
        self.unused += not self._used
        if self._current is not None:
            self.last = self._current.time + self._offset
        self._current, self._used = self._next, False
        self._next = next(self._infrared, None)

    def _is_near(self, infrared: Frame, visible: Frame) -> bool:
        if self._distance(infrared, visible) <= self._tolerance:
            return True
        later = visible.time - infrared.time - self._offset
        return self._next is None and 0 < later < self._shown

    def _distance(self, infrared: Frame | None, visible: Frame) -> Fraction:
        assert infrared is not None
        return abs(infrared.time + self._offset - visible.time)


def default_tolerance(ir_rate: Fraction, vi_rate: Fraction) -> Fraction:
    """Return half of the longer interval between frames, in seconds, and a hundredth more.

    Frames in the middle between two others, whose times are rounded, would be lost without.

    Args:
        ir_rate: Infrared frames a second.
        vi_rate: Visible ones.
    """
    return Fraction(101, 200) / min(ir_rate, vi_rate)
