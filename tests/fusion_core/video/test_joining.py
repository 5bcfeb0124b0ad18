"""Segments put together to one video, with the sound of the visible side."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import ClipArchive, cut_off, frames_of, moving, video_file, write_sequence, write_video

from fusion_core.errors import EncodeError
from fusion_core.images.picture import Picture
from fusion_core.settings.video import VideoCodec
from fusion_core.storage.store import Storage
from fusion_core.video.encoding import CONTAINER, Encoding, SegmentEncoder
from fusion_core.video.joining import join
from fusion_core.video.sequence_file import FrameSequence
from fusion_core.video.video_file import VideoFile

COUNT = 24
LATE = [Fraction(7, 3) + Fraction(k * k + 9 * k, 300) for k in range(COUNT)]
Side = VideoFile | FrameSequence


def visible(folder: Path, name: str = "a.mp4", **how: object) -> VideoFile:
    write_video(folder / name, moving(COUNT), codec="libx264", **how)  # type: ignore[arg-type]
    return video_file(Storage(str(folder)), name)


def joined(
    folder: Path,
    side: Side,
    codec: VideoCodec = "h264",
    times: Sequence[Fraction] | None = None,
    lengths: Sequence[int] = (7, 12, 5),
) -> tuple[Path, str | None]:
    """Encode frames in segments of some lengths and join them; return file and remark."""
    encoding = Encoding.like(side.facts, codec, 18)
    times = times or [Fraction(k, 25) for k in range(COUNT)]
    frames = list(zip(moving(COUNT), times, strict=True))
    paths = []
    for length in lengths:
        paths.append(folder / f"{len(paths)}.nut")
        encoder = SegmentEncoder(paths[-1], encoding)
        for pixels, time in frames[:length]:
            list(encoder.add(Picture(pixels), round(time / encoding.time_base)))
        list(encoder.finish())
        frames = frames[length:]
    target = folder / f"joined.{CONTAINER[codec]}"
    return target, join(paths, target, encoding=encoding, visible=side, frames=COUNT)


def sound_of(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as opened:
        stream = opened.streams.audio[0]
        assert stream.time_base is not None
        packets = [packet for packet in opened.demux(stream) if packet.size]
        return [(packet.pts * stream.time_base, bytes(packet)) for packet in packets]


@pytest.mark.parametrize("codec", ["h264", "h265", "ffv1"])
def test_frames_are_those_of_the_segments_at_their_times(codec: VideoCodec, tmp_path: Path) -> None:
    side = visible(tmp_path, times=LATE)
    path, remark = joined(tmp_path, side, codec, LATE)
    found = frames_of(path)
    parts = [frame for k in range(3) for frame in frames_of(tmp_path / f"{k}.nut")]
    assert np.array_equal([pixels for _, pixels in found], [pixels for _, pixels in parts])
    step = Fraction(1, 1000) if codec == "ffv1" else side.facts.time_base
    assert [time for time, _ in found] == [round(time / step) * step for time in LATE]
    assert remark is None
    if codec != "ffv1":
        assert [time for time, _ in found] == LATE


@pytest.mark.parametrize("first", range(1, 24, 2))
def test_no_frame_is_lost_however_long_segments_are(first: int, tmp_path: Path) -> None:
    path, _ = joined(tmp_path, visible(tmp_path), lengths=(first, COUNT - first))
    assert [time for time, _ in frames_of(path)] == [Fraction(k, 25) for k in range(COUNT)]


@pytest.mark.parametrize("codec", ["h264", "h265", "ffv1"])
def test_joining_twice_makes_the_same_bytes(codec: VideoCodec, tmp_path: Path) -> None:
    side = visible(tmp_path, sound="aac")
    bodies = [joined(tmp_path, side, codec)[0].read_bytes() for _ in range(2)]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize(
    ("name", "sound", "codec"),
    [
        ("a.mp4", "aac", "h264"),
        ("a.mp4", "libmp3lame", "h265"),
        ("a.mkv", "libopus", "h264"),
        ("a.mkv", "flac", "h264"),
        ("a.ts", "aac", "ffv1"),
        ("a.mkv", "pcm_s16le", "ffv1"),
    ],
)
def test_sound_is_copied_bit_by_bit_where_the_file_may_hold_it(
    name: str, sound: str, codec: VideoCodec, tmp_path: Path
) -> None:
    path, remark = joined(tmp_path, visible(tmp_path, name, sound=sound), codec)
    found, expected = sound_of(path), sound_of(tmp_path / name)
    assert remark is None
    assert len(expected) > 5
    header = 7 if name.endswith(".ts") else 0  # of each packet, in transport streams alone
    assert [body for _, body in found] == [body[header:] for _, body in expected]
    for (time, _), (other, _) in zip(found, expected, strict=True):
        assert abs(time - other) <= Fraction(1, 1000)
    with av.open(str(path)) as one, av.open(str(tmp_path / name)) as other_file:
        contexts = [opened.streams.audio[0].codec_context for opened in (one, other_file)]
        assert contexts[0].name == contexts[1].name
        assert contexts[0].sample_rate == contexts[1].sample_rate == 48_000


def test_other_sound_becomes_aac_in_mp4_and_that_is_told(tmp_path: Path) -> None:
    side = visible(tmp_path, "a.mkv", sound="pcm_s16le")
    path, remark = joined(tmp_path, side)
    assert remark == "its sound, which is pcm_s16le, was encoded anew as AAC"
    with av.open(str(path)) as opened:
        stream = opened.streams.audio[0]
        assert stream.codec_context.name == "aac"
        samples = np.concatenate([one.to_ndarray()[0] for one in opened.decode(stream)])
    assert len(samples) == pytest.approx(48_000 * COUNT / 25, abs=3 * 1024)
    middle = samples[16_000:32_000]
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.argmax(spectrum) * 48_000 / len(middle) == pytest.approx(440, abs=4)
    assert np.abs(middle).max() == pytest.approx(0.3, abs=0.05)


def test_rotation_and_metadata_of_the_visible_side_are_kept(tmp_path: Path) -> None:
    told = {"title": "A night in the harbour", "artist": "nobody"}
    side = visible(tmp_path, rotation=90, metadata=told)
    for codec in ("h264", "ffv1"):
        path, _ = joined(tmp_path, side, codec)  # type: ignore[arg-type]
        with av.open(str(path)) as opened:
            found = {name.lower(): value for name, value in opened.metadata.items()}
            assert found["title"] == told["title"]
            assert found["artist"] == told["artist"]
            assert next(opened.decode(video=0)).rotation == 90


def test_sound_of_a_file_that_is_cut_off_is_kept_as_far_as_it_goes(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", moving(COUNT), codec="libx264", sound="aac")
    whole = sound_of(tmp_path / "a.mkv")
    cut_off(tmp_path / "a.mkv", 0.7)
    path, _ = joined(tmp_path, video_file(Storage(str(tmp_path)), "a.mkv"))
    found = [body for _, body in sound_of(path)]
    assert 3 < len(found) < len(whole)
    assert found == [body for _, body in whole[: len(found)]]
    assert len(frames_of(path)) == COUNT


def test_a_sequence_has_no_sound(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path)
    for side in ("ir", "vi"):
        write_sequence(archive.path(side, "a"), moving(2))
    (ref,) = archive.sequences("ir/{c}/{n:frame}.png", "vi/{c}/{n:frame}.png")
    listed = {"size": ref.vi_bytes, "version": ref.vi_version}
    sequence = FrameSequence(archive.source, ref.vi_path, **listed, rate=25, max_megapixels=1)
    path, remark = joined(tmp_path, sequence)
    with av.open(str(path)) as opened:
        assert [stream.type for stream in opened.streams] == ["video"]
    assert remark is None


def test_a_video_begins_with_what_a_player_looks_for(tmp_path: Path) -> None:
    body = joined(tmp_path, visible(tmp_path))[0].read_bytes()
    assert body.index(b"moov") < body.index(b"mdat")


def test_segments_that_cannot_be_joined_are_told(tmp_path: Path) -> None:
    side, broken = visible(tmp_path), tmp_path / "broken.nut"
    broken.write_bytes(b"no video")
    encoding = Encoding.like(side.facts, "h264", 18)
    with pytest.raises(EncodeError, match=r"can't be put together as mp4: .* video_codec"):
        join([broken], tmp_path / "out.mp4", encoding=encoding, visible=side, frames=1)


def test_frames_that_are_missing_are_told(tmp_path: Path) -> None:
    side = visible(tmp_path)
    path, _ = joined(tmp_path, side)
    encoding = Encoding.like(side.facts, "h264", 18)
    parts = [tmp_path / "0.nut", tmp_path / "2.nut"]
    with pytest.raises(EncodeError, match="hold 12 frames; expected 24"):
        join(parts, path, encoding=encoding, visible=side, frames=COUNT)
