"""Reads the frames of a sequence of image files."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial

from fusion_core.archive.sequence import Frame as SequenceFrame
from fusion_core.archive.sequence import list_frames
from fusion_core.errors import DecodeError
from fusion_core.images.codecs import decode_listed
from fusion_core.images.picture import Picture
from fusion_core.storage.reading import read_listed
from fusion_core.storage.store import Storage
from fusion_core.video.frame import ClipFacts, Faults, Frame

_NTSC = Fraction(1000, 1001)
_NEAR = 0.0005  # frames a second


class FrameSequence:
    """A sequence of image files as one side of a clip; a frame's number tells its time.

    Args:
        source: The store that it is in.
        path: Its path there, with ``{frame}`` in the place of the number.
        size: Size of all files in bytes when they were listed.
        version: Digest of their versions then.
        rate: Frames a second.
        max_megapixels: Larger frames are refused.

    Raises:
        DecodeError: None of the files can be decoded.
        ReadError: They have changed, or the store failed.
        UnreachableError: The store gives no answer.
    """

    sounds = 0

    def __init__(
        self,
        source: Storage,
        path: str,
        *,
        size: int,
        version: str,
        rate: float,
        max_megapixels: float,
    ):
        self.path, self.metadata = path, dict[str, str]()
        self._source, self._most = source, max_megapixels
        self._listed = size, version
        self._files = list_frames(source, path, size=size, version=version)
        exact = exact_rate(rate)
        self._base = 1 / exact
        first = self._first_picture()
        height, width = first.pixels.shape[:2]
        self.facts = ClipFacts(
            width=width,
            height=height,
            rotation=0,
            time_base=self._base,
            rate=exact,
            bits=first.bit_depth,
            grey=first.pixels.ndim == 2,
            begins=self._files[0].number * self._base,
            declared=float((self._files[-1].number - self._files[0].number + 1) * self._base),
        )

    def check(self) -> None:
        """Raise ReadError unless the files still are what was listed."""
        list_frames(self._source, self.path, size=self._listed[0], version=self._listed[1])

    def frames(self, start: Fraction | None, faults: Faults) -> Iterator[Frame]:
        """Yield its frames, see ``ClipSide``; each file is read when its picture is asked for."""
        for file in self._files:
            time = file.number * self._base
            if start is None or time >= start:
                yield Frame(time, file.number, True, partial(self._picture, file))

    def _picture(self, file: SequenceFrame) -> Picture:
        body = read_listed(self._source, file.path, file.bytes, file.version)
        picture = decode_listed(file.path, body, self._most)
        found = picture.pixels.shape[:2]
        facts = getattr(self, "facts", None)
        if facts is not None and found != (facts.height, facts.width):
            raise DecodeError(
                f"{file.path} has {found[1]}x{found[0]} pixels; expected {facts.width}x"
                f"{facts.height}, as the sequence's first frame has"
            )
        return picture

    def _first_picture(self) -> Picture:
        reason: DecodeError | None = None
        for file in self._files:
            try:
                return self._picture(file)
            except DecodeError as error:
                reason = reason or error
        raise DecodeError(f"none of {len(self._files)} files of {self.path} is an image: {reason}")


def exact_rate(rate: float) -> Fraction:
    """Return frames a second as a fraction: 29.97 stands for 30000 / 1001, and the like."""
    of_ntsc = round(rate / float(_NTSC)) * _NTSC
    if rate != round(rate) and abs(float(of_ntsc) - rate) < _NEAR:
        return of_ntsc
    return Fraction(rate).limit_denominator(1000)
