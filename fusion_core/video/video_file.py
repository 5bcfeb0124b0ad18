"""Reads the frames of a video file, by range from a store, as far as it can be read."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import partial
from itertools import chain, islice
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from fusion_core.errors import DecodeError, PairError, UnreachableError
from fusion_core.images.picture import Picture, check_size
from fusion_core.scenes.stored_object import StoredObject
from fusion_core.storage.store import Storage
from fusion_core.video.frame import ClipFacts, Colours, Faults, Frame
from fusion_core.video.frame_times import later, rate_of

BLOCK = 1 << 20
"""Bytes that are fetched at once; sixteen such blocks of each open file are kept."""

_ODD = 2.0  # seconds that a file may end before what its header says
_GAP = 3  # intervals
_FASTEST = 300
"""Frames a second beyond which a header isn't believed: some tell the ticks of their clock."""

_SEEN = 9  # frames whose times are looked at then
_MICROSECONDS = 1_000_000  # what FFmpeg counts a container's times in


class VideoFile:
    """A video file as one side of a clip.

    Args:
        source: The store that it is in.
        path: Its path there.
        size: Its size in bytes when it was listed.
        version: Its version then.
        max_megapixels: Larger frames are refused.

    Raises:
        DecodeError: It is no video, is damaged from its beginning on, or holds no pictures.
        ReadError: It is gone, has changed, or the store failed.
        UnreachableError: The store gives no answer.
    """

    def __init__(
        self, source: Storage, path: str, *, size: int, version: str, max_megapixels: float
    ):
        self.path, self._version = path, version
        self._object = StoredObject(source, path, size, BLOCK)
        if not size:
            raise DecodeError(f"{path} is empty (0 bytes); expected a video. Upload it again")
        self.check()
        with self._opened() as (container, stream):
            self.facts = self._facts(container, stream)
            self.sounds = len(container.streams.audio)
            self.metadata = dict(container.metadata)
        check_size(self.facts.width, self.facts.height, max_megapixels, what=f"a frame of {path}")

    def check(self) -> None:
        """Raise ReadError unless the file still is what was listed."""
        self._object.check(self._version)

    def frames(self, start: Fraction | None, faults: Faults) -> Iterator[Frame]:
        """Yield its frames, see ``ClipSide``; after a cut in its bytes it goes on where it can."""
        if start is None:
            with self._opened() as (container, stream):
                yield from self._decoded(container, stream, faults)
            return
        with self._opened() as (container, stream):
            entered = Faults()
            if self._enter(container, stream, start):
                frames = self._decoded(container, stream, entered)
                first = next(frames, None)
                if first is not None and first.time <= start:
                    yield from later(start, chain([first], frames), entered, faults)
                    return
        # Some files can't be entered in their middle: they are decoded from their beginning.
        with self._opened() as (container, stream):
            entered = Faults()
            yield from later(start, self._decoded(container, stream, entered), entered, faults)

    def _enter(self, container: InputContainer, stream: VideoStream, start: Fraction) -> bool:
        """Go to the key frame before a time, and tell whether that can be done."""
        assert stream.time_base is not None
        try:
            container.seek(int(start / stream.time_base), stream=stream)
        except av.error.FFmpegError:  # an index that is damaged, or none
            self._raise_stores()
            return False
        return True

    @contextmanager
    def sound(self) -> Iterator[InputContainer]:
        """Give the file opened once more, for what isn't pictures in it."""
        with self._opened() as (container, _):
            yield container

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        with self._told():
            file: Any = self._object.open(self.path)
            try:
                container = av.open(file, "r")
            except BaseException:
                file.close()
                raise
        try:
            pictures = [
                stream
                for stream in container.streams.video
                if not stream.disposition & Disposition.attached_pic  # the cover of a film
            ]
            if not pictures:
                kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
                raise DecodeError(
                    f"{self.path} holds {' and '.join(kinds)} and no pictures; expected a video. "
                    "Check what was uploaded under this name"
                )
            stream = pictures[0]
            stream.thread_type = "SLICE"  # frames of threads depend on each other's errors
            yield container, stream
        finally:
            container.close()
            file.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise the project's error for one of FFmpeg or of the store."""
        try:
            yield
        except (PairError, UnreachableError):
            raise
        except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
            self._raise_stores()
            raise DecodeError(
                f"{self.path} can't be opened as a video: {_reason(error)}. Expected a whole file "
                "with its index; upload it again"
            ) from error

    def _raise_stores(self) -> None:
        if self._object.error is not None:
            self._object.fail()

    def _facts(self, container: InputContainer, stream: VideoStream) -> ClipFacts:
        context = stream.codec_context
        if container.format.name.endswith("_pipe"):
            raise DecodeError(
                f"{self.path} is a single picture ({context.name}), and the pair is a clip; "
                "expected a video. Check what was uploaded under this name"
            )
        if not (context.width and context.height and context.pix_fmt):
            raise DecodeError(
                f"{self.path} doesn't tell how large its pictures are, or how they are coded "
                f"({context.name}); expected a whole video. Upload it again"
            )
        assert stream.time_base is not None
        declared = None
        if stream.duration:
            declared = float(stream.duration * stream.time_base)
        elif container.duration:
            declared = container.duration / _MICROSECONDS
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)
        with self._told():
            pictures = self._pictures(container, stream, Faults())
            first = next(pictures, None)
            if first is not None and rate > _FASTEST:
                rate = rate_of([first, *islice(pictures, _SEEN)], stream.time_base) or rate
        if first is None:
            self._raise_stores()
            raise DecodeError(
                f"no picture of {self.path} can be decoded ({context.name}); expected a video. "
                "Upload it again"
            )
        depth = max(part.bits for part in first.format.components)
        return ClipFacts(
            width=first.width,
            height=first.height,
            rotation=int(first.rotation),
            time_base=stream.time_base,
            rate=Fraction(rate),
            begins=(first.pts or 0) * stream.time_base,
            bits=depth,
            grey=len(first.format.components) == 1 and not first.format.name.startswith("pal"),
            colours=Colours(
                matrix=int(first.colorspace),
                range=int(first.color_range),
                primaries=int(first.color_primaries),
                transfer=int(first.color_trc),
            ),
            aspect=stream.sample_aspect_ratio or Fraction(1),
            declared=declared,
        )

    def _decoded(
        self, container: InputContainer, stream: VideoStream, faults: Faults
    ) -> Iterator[Frame]:
        """Yield frames in order, and say at the end what is missing there."""
        base = stream.time_base
        assert base is not None
        last: Fraction | None = None
        interval = 1 / self.facts.rate
        for ticks, picture in self._in_order(container, stream, faults):
            time = ticks * base
            if last is not None and time - last > _GAP * interval:
                faults.gap(float(last), float(time - last))
            last = time
            if (picture.height, picture.width) != (self.facts.height, self.facts.width):
                faults.ended = (
                    f"from {float(time):.3f} s on it has frames of {picture.width}x"
                    f"{picture.height} and not {self.facts.width}x{self.facts.height}, which were "
                    "left out"
                )
                return
            yield Frame(
                time,
                ticks,
                bool(picture.key_frame),
                partial(to_picture, picture),
                damaged=bool(picture.is_corrupt),
            )
        self._raise_stores()
        first = (stream.start_time or 0) * base
        if self.facts.declared and last is not None:
            missing = self.facts.declared - float(last + interval - first)
            if missing > max(_ODD * float(interval), 0.05):
                faults.ended = (
                    f"it ends {missing:.2f} s before the {self.facts.declared:.2f} s that its "
                    "header tells"
                )

    def _in_order(
        self, container: InputContainer, stream: VideoStream, faults: Faults
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield frames with their times in ticks, each later than the one before.

        A frame is held until the next is known: one whose time is damaged, and far too late, would
        cost all that are earlier than that.
        """
        assert stream.time_base is not None
        interval = max(1, round(1 / self.facts.rate / stream.time_base))
        before: int | None = None
        held: tuple[int, av.VideoFrame] | None = None
        for picture in self._pictures(container, stream, faults):
            ticks = picture.pts
            if ticks is None:  # a stream without times
                ticks = 0 if held is None else held[0] + interval
            if held is None or ticks > held[0]:
                if held is not None:
                    yield held
                    before = held[0]
                held = ticks, picture
                continue
            faults.disordered += 1
            if ticks < held[0] and (before is None or ticks > before):
                held = ticks, picture
        if held is not None:
            yield held

    def _pictures(
        self, container: InputContainer, stream: VideoStream, faults: Faults
    ) -> Iterator[av.VideoFrame]:
        """Yield what can be decoded; packets that can't are counted."""
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, EOFError) as error:
                self._raise_stores()
                faults.ended = f"it can't be read to its end ({_reason(error)})"
                packet = None
            if packet is None:
                with suppress(av.error.FFmpegError, EOFError):
                    yield from stream.codec_context.decode(None)
                return
            if packet.is_corrupt:
                faults.unreadable("damaged on the way into the file")
            try:
                yield from packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError as error:
                self._raise_stores()
                if error.errno == errno.ENOMEM:
                    raise MemoryError(f"{error}") from error
                faults.unreadable(_reason(error))


def to_picture(frame: av.VideoFrame) -> Picture:
    """Convert a decoded frame to grey or RGB of 8 or 16 bits, as it is coded: not turned."""
    deep = max(part.bits for part in frame.format.components) > 8
    grey = len(frame.format.components) == 1 and not frame.format.name.startswith("pal")
    kind = ("gray16le" if deep else "gray") if grey else ("rgb48le" if deep else "rgb24")
    return Picture(np.ascontiguousarray(frame.to_ndarray(format=kind)))


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or f"{error}" or type(error).__name__
    return text[:120]
