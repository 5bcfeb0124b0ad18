"""What is read of videos that are cut off, damaged, or none; all of it is told."""

import io
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import cut_off, frames_of, garble, moving, video_file, write_video
from PIL import Image
from tiny import png

from fusion_core.errors import DecodeError
from fusion_core.storage.store import Storage
from fusion_core.video.frame import Faults, Frame
from fusion_core.video.kinds import is_video_inside
from fusion_core.video.video_file import VideoFile

COUNT = 40
H264 = {"codec": "libx264", "options": {"bf": "0"}}
FRAGMENTS = {"container": {"movflags": "frag_keyframe+empty_moov"}}
FAST = {"container": {"movflags": "+faststart"}}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def read(video: VideoFile, start: Fraction | None = None) -> tuple[list[Frame], Faults]:
    faults = Faults()
    return list(video.frames(start, faults)), faults


def without_index(path: Path) -> None:
    cut_off(write_video(path, moving(9)), 0.7)


def sound_alone(path: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate = 48_000
        out.mux([*stream.encode(frame), *stream.encode(None)])


def without_a_whole_frame(path: Path) -> None:
    body = bytearray(write_video(path, moving(9), **FAST).read_bytes())
    begin = body.index(b"mdat") + 4
    body[begin:] = bytes(len(body) - begin)
    path.write_bytes(bytes(body))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.write_bytes(b""), r"a\.mp4 is empty \(0 bytes\).* Upload it again"),
        (lambda path: path.write_bytes(b"hello, no video " * 40), "can't be opened as a video: "),
        (without_index, "can't be opened as a video: .* whole file with its index"),
        (sound_alone, "holds audio and no pictures; .* Check what was uploaded"),
        (lambda path: path.write_bytes(png(moving(1)[0])), r"is a single picture \(png\)"),
        (without_a_whole_frame, "doesn't tell how large its pictures are"),
    ],
    ids=["empty", "text", "no index", "sound alone", "a picture", "no whole frame"],
)
def test_what_is_no_video_is_refused_with_the_reason(
    make: Callable[[Path], Any], told: str, storage: Storage, tmp_path: Path
) -> None:
    make(tmp_path / "a.mp4")
    with pytest.raises(DecodeError, match=told):
        video_file(storage, "a.mp4")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.mp4", H264 | FAST),
        ("b.mp4", H264 | FRAGMENTS),
        ("a.mkv", H264),
        ("a.ts", H264),
        ("a.avi", {}),
    ],
)
def test_a_video_that_is_cut_off_is_read_to_its_end(
    name: str, how: dict[str, Any], storage: Storage, tmp_path: Path
) -> None:
    path = write_video(tmp_path / name, moving(COUNT), **how)
    whole = frames_of(path)
    cut_off(path, 0.8)
    video = video_file(storage, name)
    frames, faults = read(video)
    assert 1 < len(frames) < COUNT
    for frame, (time, pixels) in zip(frames[:-1], whole, strict=False):  # the last is cut
        assert frame.time == time
        assert np.array_equal(frame.picture().pixels, pixels)
    if video.facts.declared and video.facts.declared > 1.5:
        assert "before the 1.60 s that its header tells" in str(faults.ended)


@pytest.mark.parametrize(
    ("name", "how", "found", "packets", "gap"),
    [
        ("a.mp4", H264, 40, True, True),
        ("a.mkv", H264, 30, True, True),
        ("a.ts", H264, 30, True, True),
        ("a.mov", {"codec": "mjpeg", "pixel_format": "yuvj420p"}, 40, True, True),
        ("a.avi", {}, 50, False, False),
    ],
)
def test_behind_damage_a_video_is_read_on_and_the_faults_are_counted(
    name: str,
    how: dict[str, Any],
    found: int,
    packets: bool,
    gap: bool,
    storage: Storage,
    tmp_path: Path,
) -> None:
    path = write_video(tmp_path / name, moving(60), **how)
    whole = dict(frames_of(path))
    garble(path)
    video = video_file(storage, name)
    frames, faults = read(video)
    assert found < len(frames) < 60
    assert {frame.time for frame in frames} <= {*whole}
    if name != "a.avi":  # whose header is what was hit
        same = [np.array_equal(frame.picture().pixels, whole[frame.time]) for frame in frames]
        assert all(same[:15])
        assert all(same[-8:])
    assert (faults.packets > 0, faults.gaps > 0) == (packets, gap)
    assert (faults.packets > 0) == bool(faults.reasons)
    assert len(frames) + faults.disordered <= 60
    for number in (5, len(frames) - 5):
        part, _ = read(video, frames[number].time)
        assert [frame.time for frame in part] == [frame.time for frame in frames[number:]]
    keys = [number for number, frame in enumerate(frames) if frame.key]
    for number in keys[1::2]:
        part, _ = read(video, frames[number].time)
        for one, other in zip(part, frames[number:], strict=True):
            assert np.array_equal(one.picture().pixels, other.picture().pixels)


def transport_stream(path: Path, count: int, begin: Fraction, size: tuple[int, int]) -> bytes:
    times = [begin + Fraction(k, 25) for k in range(count)]
    return write_video(path, moving(count, size), times=times, **H264).read_bytes()


def test_frames_whose_times_begin_anew_are_left_out_and_counted(
    storage: Storage, tmp_path: Path
) -> None:
    body = transport_stream(tmp_path / "a.ts", 9, Fraction(0), (48, 64))
    (tmp_path / "b.ts").write_bytes(body + body)
    frames, faults = read(video_file(storage, "b.ts"))
    assert (len(frames), faults.disordered) == (9, 9)
    assert "9 of its frames are out of order and were left out" in str(faults.remark("visible"))


def test_a_single_frame_whose_time_is_far_too_late_costs_no_other(
    storage: Storage, tmp_path: Path
) -> None:
    parts = [
        transport_stream(tmp_path / "a.ts", count, begin, (48, 64))
        for count, begin in ((5, Fraction(0)), (1, Fraction(9)), (6, Fraction(5, 25)))
    ]
    (tmp_path / "b.ts").write_bytes(b"".join(parts))
    video = video_file(storage, "b.ts")
    frames, faults = read(video)
    times = [frame.time - frames[0].time for frame in frames]
    assert times == [Fraction(k, 25) for k in range(11)]
    assert (faults.disordered, faults.gaps) == (1, 0)
    part, _ = read(video, frames[8].time)
    assert [frame.time for frame in part] == [frame.time for frame in frames[8:]]


def test_a_video_ends_where_its_frames_get_another_size(storage: Storage, tmp_path: Path) -> None:
    first = transport_stream(tmp_path / "a.ts", 9, Fraction(0), (48, 64))
    second = transport_stream(tmp_path / "a.ts", 9, Fraction(9, 25), (32, 48))
    (tmp_path / "b.ts").write_bytes(first + second)
    frames, faults = read(video_file(storage, "b.ts"))
    assert len(frames) == 9
    assert "it has frames of 48x32 and not 64x48, which were left out" in str(faults.ended)


def test_a_gap_is_told_with_its_beginning_and_its_length(storage: Storage, tmp_path: Path) -> None:
    times = [Fraction(k, 25) for k in (0, 1, 2, 3, 4, 30, 31, 32, 40, 41, 42)]
    write_video(tmp_path / "a.mp4", moving(11), times=times, rate=25, **H264)
    video = video_file(storage, "a.mp4")
    _, faults = read(video)
    interval = 1 / video.facts.rate
    assert faults.gaps == sum(b - a > 3 * interval for a, b in pairwise(times))
    assert faults.longest == pytest.approx((4 / 25, 26 / 25))
    assert "gaps without frames, the longest of 1.04 s from 0.16 s on" in str(faults.remark("x"))
    _, later = read(video, times[6])
    assert later.longest[1] < 1


def test_faults_of_parts_add_up() -> None:
    one, two = Faults(), Faults()
    one.unreadable("first")
    two.unreadable("second")
    one.gap(1.0, 2.0)
    two.gap(5.0, 3.0)
    two.damaged, two.disordered, two.ended = 2, 3, "it ends"
    one.add(two)
    expected = Faults(2, 2, 3, 2, (5.0, 3.0), "it ends", ["first"])
    assert one == expected
    assert one.remark("infrared") == (
        "infrared: 2 of its packets can't be decoded (first), 2 of its frames are damaged, 3 of "
        "its frames are out of order and were left out, it has 2 gaps without frames, the longest "
        "of 3.00 s from 5.00 s on, it ends"
    )
    one.clear()
    assert (one, one.remark("infrared")) == (Faults(), None)


@pytest.mark.parametrize(
    "name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.avi", "a.ts", "a.mpg", "a.flv", "a.nut"]
)
def test_a_video_is_told_by_its_first_bytes(name: str, tmp_path: Path) -> None:
    codec = "libvpx" if name == "a.webm" else "mpeg2video" if name == "a.mpg" else "mpeg4"
    codec = "flv" if name == "a.flv" else codec
    rate = {"a.flv": {"times": [Fraction(k, 25) for k in range(3)]}}.get(name, {})
    body = write_video(tmp_path / name, moving(3), codec=codec, **rate).read_bytes()
    assert is_video_inside(body[:600])


def test_pictures_and_texts_are_no_videos() -> None:
    file = io.BytesIO()
    Image.fromarray(moving(1)[0]).save(file, format="AVIF")
    for body in (png(moving(1)[0]), file.getvalue(), b"", b"text", b"G" * 100, b"RIFF0000WEBP"):
        assert not is_video_inside(body)
