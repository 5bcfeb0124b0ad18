"""Puts the segments of a clip together to one video, with the sound of the visible side."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from fusion_core.errors import EncodeError
from fusion_core.video.encoding import CONTAINER, Encoding
from fusion_core.video.sequence_file import FrameSequence
from fusion_core.video.video_file import VideoFile

_COPIED = ("aac", "mp3", "mp2", "ac3", "eac3", "opus", "flac", "alac")
"""Sound that MP4 holds and players play; Matroska holds all."""

_SOUND_RATE = 48_000  # of sound that is encoded anew, in samples a second


def join(
    segments: Sequence[Path],
    target: Path,
    *,
    encoding: Encoding,
    visible: VideoFile | FrameSequence,
    frames: int,
) -> str | None:
    """Write a video of some segments, whose frames aren't encoded again.

    Args:
        segments: Their files, in order.
        target: The video.
        encoding: How the frames are encoded.
        visible: The visible side, whose rotation, sound and metadata are kept.
        frames: How many there are in the segments.

    Returns:
        What a reader should know of the sound, if anything.

    Raises:
        EncodeError: The video's kind of file doesn't hold that, or frames are missing.
    """
    try:
        with ExitStack() as opened:
            sound = None
            if isinstance(visible, VideoFile) and visible.sounds:
                sound = opened.enter_context(visible.sound()).streams.audio[0]
            remark, count = _join(segments, target, encoding, visible, sound)
    except av.error.FFmpegError as error:
        raise EncodeError(
            f"the segments of the clip can't be put together as {target.suffix[1:]}: {error}; "
            "choose another video_codec"
        ) from error
    if count != frames:
        raise EncodeError(
            f"the segments of the clip hold {count} frames; expected {frames}. Remove them, "
            "which lie beside where the clip was to be, and fuse it again"
        )
    return remark


def _join(
    segments: Sequence[Path],
    target: Path,
    encoding: Encoding,
    visible: VideoFile | FrameSequence,
    sound: AudioStream | None,
) -> tuple[str | None, int]:
    ticks = encoding.time_base.denominator
    options = {"fflags": "+bitexact"}
    if CONTAINER[encoding.codec] == "mp4":
        # In these, a beginning later than 0 is told to the tick.
        options |= {"movie_timescale": str(ticks), "video_track_timescale": str(ticks)}
        options |= {"movflags": "+faststart"}
    with av.open(str(target), "w", options=options) as out:
        out.metadata.update(visible.metadata)
        with av.open(str(segments[0])) as first:
            pictures = out.add_stream_from_template(first.streams.video[0])
        pictures.time_base = Fraction(1, ticks)
        if visible.facts.rotation:
            pictures.set_display_rotation(visible.facts.rotation)
        remark, sounds = _sound_packets(out, sound)
        both = heapq.merge(_picture_packets(segments), sounds, key=_time_of)
        count = 0
        for packet in both:
            if packet.stream.type == "video":
                packet.stream = pictures
                count += 1
            out.mux(packet)
    return remark, count


def _picture_packets(segments: Sequence[Path]) -> Iterator[Packet[Any]]:
    for path in segments:
        with av.open(str(path)) as segment:
            for packet in segment.demux(segment.streams.video[0]):
                if packet.pts is not None:
                    packet.dts = packet.pts  # FFmpeg doesn't always tell it of NUT
                    yield packet


def _sound_packets(
    out: OutputContainer, sound: AudioStream | None
) -> tuple[str | None, Iterator[Packet[Any]]]:
    """Give the file a stream of sound, and return the packets for it, with what is to be told."""
    if sound is None:
        return None, iter(())
    name = sound.codec_context.codec.canonical_name  # and not that of one of its decoders
    container = sound.container
    assert isinstance(container, InputContainer)
    if name in _COPIED or not out.format.name.startswith("mp4"):
        copied = out.add_stream_from_template(sound)
    else:
        encoded = out.add_stream("aac", rate=_SOUND_RATE)
        told = f"its sound, which is {name}, was encoded anew as AAC"
        return told, _encoded_sound(container, sound, encoded)
    return None, _copied_sound(container, sound, copied)


def _copied_sound(
    container: InputContainer, sound: AudioStream, target: AudioStream
) -> Iterator[Packet[Any]]:
    for packet in _readable(container, sound):
        packet.stream = target
        yield packet


def _encoded_sound(
    container: InputContainer, sound: AudioStream, target: AudioStream
) -> Iterator[Packet[Any]]:
    resampler = av.AudioResampler(
        format="fltp", layout=target.codec_context.layout, rate=target.codec_context.sample_rate
    )
    for packet in _readable(container, sound):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in frames:
            assert isinstance(frame, av.AudioFrame)
            for part in resampler.resample(frame):
                yield from target.encode(part)
    for part in resampler.resample(None):
        yield from target.encode(part)
    yield from target.encode(None)


def _readable(container: InputContainer, sound: AudioStream) -> Iterator[Packet[Any]]:
    """Yield the packets of sound, as far as the file can be read."""
    packets = container.demux(sound)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, EOFError):
            return
        if packet is None:
            return
        if packet.dts is not None:
            yield packet


def _time_of(packet: Packet[Any]) -> Fraction:
    base = packet.time_base or Fraction(1)
    return (packet.dts or 0) * base
