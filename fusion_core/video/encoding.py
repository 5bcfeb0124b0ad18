"""Encodes a segment of a fused clip, and gives back its frames as whoever opens it sees them.

A segment begins with a key frame and no frame of it is shown in another order than it is coded in,
so that segments can be put one behind the other as they are. The encoders' threads are of a fixed
number, since what they write depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from fusion_core.archive.layout import ClipFormat
from fusion_core.errors import EncodeError
from fusion_core.images.picture import Picture
from fusion_core.settings.video import VideoCodec
from fusion_core.video.frame import ClipFacts, Colours
from fusion_core.video.video_file import to_picture

CONTAINER: dict[VideoCodec, ClipFormat] = {"h264": "mp4", "h265": "mp4", "ffv1": "mkv"}
"""Extensions of fused clips. MP4 keeps times to the tick; FFV1 isn't for it."""

KEY_EVERY = 250  # frames
_THREADS = 2
_AHEAD = 10
"""Frames that an encoder looks ahead: so many are held in memory before the first comes out."""

# By x264's code for AVX-512, 255 of 3500 copies of a segment of 304x160 pixels got other bytes than
# the rest; by that for AVX2 none of 5850: those of the rest, and as fast.
X264_CODE = "asm=AVX2" if torch.backends.cpu.get_cpu_capability().startswith("AVX512") else ""
"""Parameter of x264 with which the same frames always become the same bytes; may be empty."""

_SCALER = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.BITEXACT
)
_UNSPECIFIED = 2
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""By FFmpeg's number of a matrix, its number for the scaler; others are taken for BT.601."""

_BT601 = 5


@dataclass(frozen=True)
class Encoding:
    """How the frames of a fused clip are encoded.

    Attributes:
        codec: What encodes them.
        quality: Constant rate factor; without a meaning for ffv1.
        width: Of a frame, in pixels.
        height: Likewise.
        deep: Whether a sample has more than 8 bits.
        grey: Whether there are no colours.
        time_base: Seconds that times are whole numbers of.
        rate: Frames a second, for rate control.
        colours: What samples stand for.
        aspect: Width of a sample by its height.
    """

    codec: VideoCodec
    quality: int
    width: int
    height: int
    deep: bool
    grey: bool
    time_base: Fraction
    rate: Fraction
    colours: Colours
    aspect: Fraction

    @classmethod
    def like(cls, facts: ClipFacts, codec: VideoCodec, quality: int) -> Encoding:
        """Return the encoding of a clip whose visible side has these facts."""
        return cls(
            codec=codec,
            quality=quality,
            width=facts.width,
            height=facts.height,
            deep=facts.bits > 8,
            grey=facts.grey,
            time_base=facts.time_base,
            rate=facts.rate,
            colours=facts.colours,
            aspect=facts.aspect,
        )

    @property
    def pixel_format(self) -> str:
        """The format of the encoder's samples, as FFmpeg names it."""
        if self.codec == "ffv1":
            if self.grey:
                return "gray16le" if self.deep else "gray"
            return "gbrp16le" if self.deep else "bgr0"
        # Half the colours of an odd side can't be told: such clips keep them whole.
        odd = self.width % 2 or self.height % 2
        return f"yuv{'444' if odd else '420'}p{'10le' if self.deep else ''}"

    @property
    def remark(self) -> str | None:
        """What a reader of the clip should know of its encoding, if anything."""
        if "444" not in self.pixel_format:
            return None
        return (
            f"its size of {self.width}x{self.height} is odd, so it is stored with colours of full "
            "resolution (4:4:4), which some players don't show"
        )


class SegmentEncoder:
    """Writes the frames of one segment into a file.

    Args:
        path: The file; NUT, which keeps every codec and every time as it is.
        encoding: How.

    Raises:
        EncodeError: The encoder doesn't take such frames.
    """

    def __init__(self, path: Path, encoding: Encoding):
        self._encoding = encoding
        self._container = av.open(str(path), "w", format="nut", options={"fflags": "+bitexact"})
        try:
            stream = self._container.add_stream(_NAMES[encoding.codec], rate=encoding.rate)
            assert isinstance(stream, VideoStream)
            self._stream = stream
            self._configure(self._stream.codec_context)
            self._stream.time_base = encoding.time_base
            self._stream.codec_context.open()
        except av.error.FFmpegError as error:
            self._container.close()
            raise _unable(encoding, error) from error
        self._decoder = None if encoding.codec == "ffv1" else self._made_decoder()

    def add(self, picture: Picture, ticks: int) -> Iterator[tuple[int, Picture]]:
        """Encode the next frame.

        Args:
            picture: The frame.
            ticks: Its time.

        Returns:
            The frames that came out meanwhile, as they are stored, each with its time.

        Raises:
            EncodeError: The encoder failed.
        """
        yield from self._encoded(self._frame(picture, ticks))
        if self._decoder is None:
            yield ticks, picture

    def finish(self) -> Iterator[tuple[int, Picture]]:
        """Encode what is left; yields as ``add`` does, and closes the file."""
        yield from self._encoded(None)
        if self._decoder is not None:
            for frame in self._decoder.decode(None):
                yield int(frame.pts or 0), to_picture(frame)
        self.close()

    def close(self) -> None:
        """Close the file, also in the middle."""
        self._container.close()

    def _encoded(self, frame: av.VideoFrame | None) -> Iterator[tuple[int, Picture]]:
        try:
            for packet in self._stream.encode(frame):
                if self._decoder is not None:
                    for stored in self._decoder.decode(packet):
                        yield int(stored.pts or 0), to_picture(stored)
                self._container.mux(packet)
        except av.error.FFmpegError as error:
            raise _unable(self._encoding, error) from error

    def _frame(self, picture: Picture, ticks: int) -> av.VideoFrame:
        encoding, pixels = self._encoding, picture.pixels
        if pixels.ndim == 2:
            kind = "gray16le" if pixels.dtype == np.uint16 else "gray"
        else:
            kind = "rgb48le" if pixels.dtype == np.uint16 else "rgb24"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=kind)
        if kind != encoding.pixel_format:
            lossless = encoding.codec == "ffv1"
            frame = frame.reformat(
                format=encoding.pixel_format,
                dst_colorspace=None if lossless else _MATRICES.get(encoding.colours.matrix, _BT601),
                dst_color_range=None if lossless else encoding.colours.range or 1,
                interpolation=_SCALER,
            )
        frame.pts, frame.time_base = ticks, encoding.time_base
        return frame

    def _configure(self, context: VideoCodecContext) -> None:
        encoding = self._encoding
        context.width, context.height = encoding.width, encoding.height
        context.pix_fmt = encoding.pixel_format
        context.time_base = encoding.time_base
        context.thread_count = _THREADS
        context.gop_size = KEY_EVERY
        context.flags |= av.codec.context.Flags.global_header | av.codec.context.Flags.bitexact
        context.options = _options(encoding)
        if encoding.aspect > 0:
            context.sample_aspect_ratio = encoding.aspect
        if encoding.codec != "ffv1":
            context.colorspace = encoding.colours.matrix
            context.color_range = encoding.colours.range or 1
            context.color_primaries = encoding.colours.primaries
            context.color_trc = encoding.colours.transfer

    def _made_decoder(self) -> VideoCodecContext:
        decoder = av.CodecContext.create(_DECODERS[self._encoding.codec], "r")
        decoder.extradata = self._stream.codec_context.extradata
        decoder.thread_count = 1
        assert isinstance(decoder, VideoCodecContext)
        return decoder


_NAMES: dict[VideoCodec, str] = {"h264": "libx264", "h265": "libx265", "ffv1": "ffv1"}
_DECODERS: dict[VideoCodec, str] = {"h264": "h264", "h265": "hevc"}


def _options(encoding: Encoding) -> dict[str, str]:
    if encoding.codec == "ffv1":
        return {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}
    own = {
        "h264": (
            "x264-params",
            f"bframes=0:rc-lookahead={_AHEAD}:sync-lookahead=0:{X264_CODE}".rstrip(":"),
        ),
        "h265": (
            "x265-params",
            f"bframes=0:rc-lookahead={_AHEAD}:frame-threads=1:pools={_THREADS}:log-level=error:"
            f"keyint={KEY_EVERY}:info=0",
        ),
    }
    name, value = own[encoding.codec]
    return {"preset": "veryfast", "crf": str(encoding.quality), "bf": "0", name: value}


def _unable(encoding: Encoding, error: Exception) -> EncodeError:
    return EncodeError(
        f"{encoding.codec} can't encode frames of {encoding.width}x{encoding.height} as "
        f"{encoding.pixel_format}: {error}; choose video_codec ffv1, or cut the clip to another "
        "size"
    )
