"""Opens both sides of a clip, and reads its frames as pairs, segment by segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from fusion_core.archive.plan import PairRef
from fusion_core.archive.sequence import is_sequence
from fusion_core.errors import DecodeError, OverlapError, SizeMismatchError
from fusion_core.images.pair import PicturePair, ScaledPicture
from fusion_core.images.picture import Picture, resize
from fusion_core.metrics.scaling import luminances
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.settings.scaling import Side
from fusion_core.storage.store import Storage
from fusion_core.video.frame import Faults, Frame
from fusion_core.video.matching import FrameMatcher, Pending, default_tolerance
from fusion_core.video.sequence_file import FrameSequence
from fusion_core.video.video_file import VideoFile

_SAMPLES = 8
"""Frames from all over a clip that its scaling is chosen by, where it has more than 8 bits."""


@dataclass(frozen=True)
class ClipFrame:
    """A visible frame with its infrared one.

    Attributes:
        number: Number of the visible frame in its clip, from 0.
        vi: The visible frame.
        vi_picture: Its pixels.
        ir_time: When the infrared one is shown, by its own clock; None where there is none.
        pictures: Both, of one size and scaled; None where there is no infrared one.
    """

    number: int
    vi: Frame
    vi_picture: Picture
    ir_time: Fraction | None
    pictures: PicturePair | None


@dataclass(frozen=True)
class SegmentStart:
    """Where a segment of a clip begins.

    Attributes:
        number: Number of its first visible frame in the clip, from 0.
        time: When that is shown; None at the clip's beginning.
        pending: Where matching stands.
    """

    number: int = 0
    time: Fraction | None = None
    pending: Pending = field(default_factory=Pending)


@dataclass
class SegmentReading:
    """A segment that is being read.

    Attributes:
        start: Where it begins.
        following: Where the next begins; None where it is the last, and before it is read.
        ir_faults: What of the infrared side could not be read.
        vi_faults: Likewise of the visible one.
        ir_unused: Infrared frames that no visible one took.
        ir_last: When the last infrared frame is shown, by the visible side's clock, in seconds;
            None before the last segment.
    """

    start: SegmentStart
    following: SegmentStart | None = None
    ir_faults: Faults = field(default_factory=Faults)
    vi_faults: Faults = field(default_factory=Faults)
    ir_unused: int = 0
    ir_last: float | None = None


class Clip:
    """Both sides of a clip.

    Args:
        source: The store that they are in.
        ref: The pair.
        settings: The run's settings.

    Raises:
        PairError: One of them can't be read, or they don't fit together.
        UnreachableError: The store gives no answer.

    Attributes:
        align: Moves the infrared side of each pair of frames; None where it stays as it is.
    """

    def __init__(self, source: Storage, ref: PairRef, settings: FuseArchiveSettings):
        self._settings = settings
        self.ir = _open_side(source, ref, "ir", settings)
        self.vi = _open_side(source, ref, "vi", settings)
        a, b = self.ir.facts, self.vi.facts
        self._turns = (a.rotation - b.rotation) // 90 % 4
        size = (a.width, a.height) if self._turns % 2 == 0 else (a.height, a.width)
        self._differs = size != (b.width, b.height)
        if self._differs and settings.size_mismatch == "error":
            raise SizeMismatchError(
                f"infrared frames are {size[0]}x{size[1]} and visible ones {b.width}x{b.height}; "
                "expected equal sizes. Set size_mismatch to resize_ir if both show the same field "
                "of view"
            )
        tolerance = settings.frame_tolerance
        self.tolerance = (
            default_tolerance(a.rate, b.rate) if tolerance is None else Fraction(tolerance)
        )
        self._shown = 1 / a.rate if tolerance is None else Fraction(0)
        self.offset = Fraction(settings.frame_offset).limit_denominator(1_000_000)
        if settings.frame_clock == "start":
            self.offset += b.begins - a.begins
        self._first: PicturePair | None = None
        self.align: Callable[[PicturePair], PicturePair] | None = None
        self._served: tuple[Frame, Picture | None] | None = None

    @property
    def has_sequence(self) -> bool:
        """Whether one of the sides is a sequence of images."""
        return isinstance(self.ir, FrameSequence) or isinstance(self.vi, FrameSequence)

    def check(self) -> None:
        """Raise ReadError unless both sides still are what was listed."""
        self.ir.check()
        self.vi.check()

    def read(self, reading: SegmentReading) -> Iterator[ClipFrame]:
        """Yield the frames of a segment, and note in ``reading`` what was found on the way.

        A segment ends before the first visible key frame after so many frames, where the next can
        be entered; after twice as many in any case.

        Raises:
            PairError: A frame can't be paired, or the store fails.
            UnreachableError: The store gives no answer.
        """
        settings, start = self._settings, reading.start
        most = settings.segment_frames
        vi_frames = self.vi.frames(start.time, reading.vi_faults)
        ir_frames = self.ir.frames(start.pending.time, reading.ir_faults)
        with closing(vi_frames), closing(ir_frames):  # type: ignore[type-var]
            matcher = FrameMatcher(
                ir_frames,
                tolerance=self.tolerance,
                offset=self.offset,
                shown=self._shown,
                pending=start.pending,
            )
            number = start.number
            for visible in vi_frames:
                count = number - start.number
                if count >= most and (visible.key or count >= 2 * most):
                    reading.following = SegmentStart(number, visible.time, matcher.pending)
                    reading.ir_unused = matcher.unused
                    return
                infrared = matcher.match(visible).ir
                frame = self._loaded(number, visible, infrared, reading)
                number += 1
                if frame is not None:
                    yield frame
            reading.ir_unused = matcher.finish()
            reading.ir_last = None if matcher.last is None else float(matcher.last)

    def _loaded(
        self, number: int, visible: Frame, infrared: Frame | None, reading: SegmentReading
    ) -> ClipFrame | None:
        """Decode a frame's pictures; None where the visible one can't be."""
        vi = _picture(visible, reading.vi_faults)
        if vi is None:
            return None
        ir = None if infrared is None else self._infrared(infrared, reading.ir_faults)
        if ir is None or infrared is None:
            return ClipFrame(number, visible, vi, None, None)
        pictures = self._scaling().following(ir, vi, self._settings)
        if self.align is not None:
            pictures = self.align(pictures)
        if pictures.valid is not None and not pictures.valid.any():
            return ClipFrame(number, visible, vi, None, None)
        return ClipFrame(number, visible, vi, infrared.time, pictures)

    def samples(self, count: int) -> list[PicturePair]:
        """Return pairs of frames from all over the clip, each as it is; fewer where it is short.

        Raises:
            PairError: The store fails.
            UnreachableError: The store gives no answer.
        """
        facts = self.vi.facts
        found: dict[Fraction, PicturePair] = {}
        for k in range(count):
            part = Fraction(2 * k + 1, 2 * count) * Fraction(facts.declared or 0)
            frames = self.vi.frames(facts.begins + part, Faults())
            with closing(frames):  # type: ignore[type-var]
                visible = next(frames, None)
                if visible is None or visible.time in found:
                    continue
                pictures = self._sample(visible)
            if pictures is not None:
                found[visible.time] = pictures
        return list(found.values())

    def _sample(self, visible: Frame) -> PicturePair | None:
        """Return a visible frame with its infrared one; None where there is none."""
        start = visible.time - self.offset - max(self.tolerance, self._shown)
        frames = self.ir.frames(max(start, self.ir.facts.begins), Faults())
        with closing(frames):  # type: ignore[type-var]
            matcher = FrameMatcher(
                frames, tolerance=self.tolerance, offset=self.offset, shown=self._shown
            )
            infrared = matcher.match(visible).ir
            vi = _picture(visible, Faults())
            ir = None if infrared is None else _picture(infrared, Faults())
        if vi is None or ir is None:
            return None
        return self._scaling().following(self.fitted(ir), vi, self._settings)

    def _infrared(self, frame: Frame, faults: Faults) -> Picture | None:
        """Decode and fit an infrared frame, once where it serves several visible ones."""
        if self._served is None or self._served[0] is not frame:
            picture = _picture(frame, faults)
            self._served = frame, None if picture is None else self.fitted(picture)
        return self._served[1]

    def fitted(self, ir: Picture) -> Picture:
        """Return an infrared picture turned and resized as the visible side is."""
        if self._turns:
            ir = Picture(np.ascontiguousarray(np.rot90(ir.pixels, self._turns)))
        facts = self.vi.facts
        return resize(ir, facts.height, facts.width) if self._differs else ir

    def _scaling(self) -> PicturePair:
        """Return frames whose scaling is that of the whole clip, so that it doesn't flicker."""
        if self._first is None:
            sides: list[ScaledPicture] = []
            for name, side in (("ir", self.ir), ("vi", self.vi)):
                sides.append(self._scaled(name, side))  # type: ignore[arg-type]
            self._first = PicturePair(sides[0], sides[1])
        return self._first

    @property
    def scaled(self) -> PicturePair:
        """A pair of frames with the scaling of the whole clip."""
        return self._scaling()

    def _scaled(self, name: Side, side: VideoFile | FrameSequence) -> ScaledPicture:
        facts = side.facts
        count = _SAMPLES if facts.bits > 8 and facts.declared else 1
        pictures: list[Picture] = []
        for k in range(count):
            time = None if k == 0 else facts.begins + Fraction(k * (facts.declared or 0) / count)
            frames = side.frames(time, Faults())
            with closing(frames):  # type: ignore[type-var]
                found = (_picture(frame, Faults()) for frame in frames)
                picture = next((one for one in found if one is not None), None)
            pictures += [] if picture is None else [picture]
        if not pictures:
            raise DecodeError(f"no frame of {side.path} can be decoded; expected some")
        sample = np.concatenate([luminances(picture.pixels) for picture in pictures])
        top = pictures[0].top
        kind, scaling = self._settings.choose(
            name,
            container=(0.0, float(top)),
            bits=top.bit_length(),
            photograph=True,
            sample=sample,
        )
        return ScaledPicture(pictures[0], kind, scaling, None)


def nothing_matches(clip: Clip) -> OverlapError:
    """Return the error of a clip of which no two frames are shown at the same time."""
    ir, vi = clip.ir.facts, clip.vi.facts
    return OverlapError(
        f"no infrared frame of {clip.ir.path}, which begins at {float(ir.begins):.3f} s, is shown "
        f"within {float(clip.tolerance):.3f} s of a visible one of {clip.vi.path}, which begins at "
        f"{float(vi.begins):.3f} s; expected some. Set frame_clock to start or frame_offset, if "
        "their clocks differ, or a larger frame_tolerance"
    )


def _open_side(
    source: Storage, ref: PairRef, name: Side, settings: FuseArchiveSettings
) -> VideoFile | FrameSequence:
    path, size, version = (getattr(ref, f"{name}_{what}") for what in ("path", "bytes", "version"))
    if is_sequence(path):
        return FrameSequence(
            source,
            path,
            size=size,
            version=version,
            rate=settings.frame_rate,
            max_megapixels=settings.max_megapixels,
        )
    return VideoFile(
        source, path, size=size, version=version, max_megapixels=settings.max_megapixels
    )


def _picture(frame: Frame, faults: Faults) -> Picture | None:
    try:
        picture = frame.picture()
    except DecodeError as error:
        faults.unreadable(f"{error}")
        return None
    faults.damaged += frame.damaged
    return picture
