"""Both sides of a clip, read as pairs of pictures."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import ClipArchive, frames_of, moving, write_sequence, write_video

from fusion_core.archive.plan import PairRef
from fusion_core.errors import SizeMismatchError, SourceChangedError
from fusion_core.images.picture import Picture, resize
from fusion_core.video.clip import Clip, ClipFrame, SegmentReading, SegmentStart, nothing_matches
from fusion_core.video.frame import Frame
from fusion_core.video.sequence_file import FrameSequence

LOSSLESS = {"codec": "ffv1", "pixel_format": "bgr0"}
Segments = list[tuple[SegmentReading, list[ClipFrame]]]


def opened(archive: ClipArchive, ref: PairRef) -> Clip:
    return Clip(archive.source, ref, archive.settings)


def segments(clip: Clip) -> Segments:
    """Read a clip segment by segment."""
    found: Segments = []
    start: SegmentStart | None = SegmentStart()
    while start is not None:
        reading = SegmentReading(start)
        found.append((reading, list(clip.read(reading))))
        start = reading.following
    return found


def put(archive: ClipArchive, ir: dict[str, Any], vi: dict[str, Any], count: int = 12) -> PairRef:
    """Write sides that differ in how they are written."""
    for side, how in (("ir", ir), ("vi", vi)):
        size = how.pop("size", (48, 64))
        length = how.pop("count", count)
        frames = moving(length, size, infrared=side == "ir")
        write_video(archive.path(side, "a.mkv"), frames, **{**LOSSLESS, **how})
    return archive.ref("a.mkv")


def pixels(frame: ClipFrame) -> tuple[np.ndarray, np.ndarray]:
    assert frame.pictures is not None
    return frame.pictures.ir.picture.pixels, frame.pictures.vi.picture.pixels


def test_frames_come_with_those_of_the_other_side(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path)
    ((reading, frames),) = segments(opened(archive, put(archive, {}, {})))
    assert [frame.number for frame in frames] == list(range(12))
    assert [frame.vi.time for frame in frames] == [Fraction(k, 25) for k in range(12)]
    assert [frame.ir_time for frame in frames] == [Fraction(k, 25) for k in range(12)]
    for frame, ir, vi in zip(frames, moving(12, infrared=True), moving(12), strict=True):
        assert np.array_equal(pixels(frame)[0], ir)
        assert np.array_equal(pixels(frame)[1], vi)
        assert np.array_equal(frame.vi_picture.pixels, vi)
    assert (reading.following, reading.ir_unused) == (None, 0)
    assert reading.ir_last == pytest.approx(11 / 25)


@pytest.mark.parametrize(("key_every", "lengths"), [(1, [5, 5, 5, 5, 1]), (7, [7, 7, 7])])
def test_a_segment_ends_at_the_first_key_frame_after_so_many(
    key_every: int, lengths: list[int], tmp_path: Path
) -> None:
    archive = ClipArchive(tmp_path, segment_frames=5)
    how = {"codec": "libx264", "pixel_format": "yuv444p", "key_every": key_every}
    found = segments(opened(archive, put(archive, dict(how), dict(how), 21)))
    assert [len(frames) for _, frames in found] == lengths


def test_a_segment_ends_at_twice_as_many_frames_in_any_case(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path, segment_frames=4)
    how = {"codec": "libx264", "pixel_format": "yuv444p", "key_every": 250}
    found = segments(opened(archive, put(archive, dict(how), dict(how), 20)))
    assert [len(frames) for _, frames in found] == [8, 8, 4]


@pytest.mark.parametrize("rates", [(25, 25), (9, 30), (30, 9)])
def test_segments_give_together_what_the_clip_gives_whole(
    rates: tuple[int, int], tmp_path: Path
) -> None:
    found = []
    for length in (100, 4):
        archive = ClipArchive(tmp_path / str(length), segment_frames=length)
        ref = put(archive, {"rate": rates[0], "count": rates[0]}, {"rate": rates[1], "count": 24})
        parts = segments(opened(archive, ref))
        found.append([frame for _, frames in parts for frame in frames])
        unused = sum(reading.ir_unused for reading, _ in parts)
        assert unused == rates[0] - len({one.ir_time for one in found[-1]} - {None})
    whole, parted = found
    assert [one.number for one in parted] == [one.number for one in whole] == list(range(24))
    assert [one.ir_time for one in parted] == [one.ir_time for one in whole]
    for one, other in zip(parted, whole, strict=True):
        assert (one.pictures is None) == (other.pictures is None)
        assert np.array_equal(one.vi_picture.pixels, other.vi_picture.pixels)
        if one.pictures is not None:
            assert np.array_equal(pixels(one)[0], pixels(other)[0])


def test_an_infrared_frame_that_serves_several_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = ClipArchive(tmp_path, frame_rate=9)
    write_sequence(archive.path("ir", "a"), moving(9, infrared=True))
    archive.path("ir", "a/0004.png").write_bytes(b"no image")
    write_video(archive.path("vi", "a.mp4"), moving(27), codec="libx264", rate=27)
    (ref,) = archive.sequences("ir/{clip}/{n:frame}.png", "vi/{clip}.mp4")
    clip, read = opened(archive, ref), []
    picture = FrameSequence._picture

    def counted(side: FrameSequence, file: Any) -> Picture:
        read.append(file.number)
        return picture(side, file)

    monkeypatch.setattr(FrameSequence, "_picture", counted)
    ((reading, frames),) = segments(clip)
    assert read == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]  # the first also for the scaling
    assert reading.ir_faults.packets == 1
    assert [frame.number for frame in frames if frame.pictures is None] == [11, 12, 13]


def turned(frames: list[np.ndarray], turns: int) -> list[np.ndarray]:
    return [np.ascontiguousarray(np.rot90(frame, turns)) for frame in frames]


@pytest.mark.parametrize(("ir", "vi"), [(0, 90), (90, 0), (180, 0), (270, 90), (90, 90)])
def test_sides_that_are_turned_otherwise_are_seen_alike(ir: int, vi: int, tmp_path: Path) -> None:
    """An upright camera and one on its side show the same, once both are turned."""
    archive = ClipArchive(tmp_path)
    upright = {"ir": moving(3, infrared=True), "vi": moving(3)}
    for side, rotation in (("ir", ir), ("vi", vi)):
        coded = turned(upright[side], -rotation // 90)
        path = archive.path(side, "a.mp4")
        write_video(
            path,
            coded,
            codec="libx264rgb",
            pixel_format="rgb24",
            rotation=rotation,
            options={"qp": "0"},
        )
    ((_, frames),) = segments(opened(archive, archive.ref("a.mp4")))
    for frame, infrared, visible in zip(frames, upright["ir"], upright["vi"], strict=True):
        assert np.array_equal(np.rot90(pixels(frame)[0], vi // 90), infrared)
        assert np.array_equal(np.rot90(pixels(frame)[1], vi // 90), visible)


def test_sizes_that_differ_are_refused_or_fitted_as_set(tmp_path: Path) -> None:
    refused = ClipArchive(tmp_path)
    ref = put(refused, {"size": (24, 32)}, {})
    told = "infrared frames are 32x24 and visible ones 64x48; .* Set size_mismatch to resize_ir"
    with pytest.raises(SizeMismatchError, match=told):
        opened(refused, ref)
    archive = ClipArchive(tmp_path, size_mismatch="resize_ir")
    ((_, frames),) = segments(opened(archive, ref))
    expected = resize(Picture(moving(1, (24, 32), infrared=True)[0]), 48, 64)
    assert np.array_equal(pixels(frames[0])[0], expected.pixels)


def test_a_deep_clip_is_scaled_alike_from_its_first_frame_to_its_last(tmp_path: Path) -> None:
    """By frames from all over it: one by one, its frames would be scaled otherwise each."""
    ramp = np.linspace(0, 2000, 48 * 64).reshape(48, 64)
    counts = [(7000 + 500 * k + ramp).astype(np.uint16) for k in range(20)]
    archive = ClipArchive(tmp_path)
    write_video(archive.path("ir", "a.mkv"), counts, codec="ffv1", pixel_format="gray16le")
    write_video(archive.path("vi", "a.mkv"), moving(20), **LOSSLESS)
    clip = opened(archive, archive.ref("a.mkv"))
    assert clip.ir.facts.bits == 16
    ((_, frames),) = segments(clip)
    scalings = {(f.pictures.ir.scaling_name, f.pictures.ir.scaling) for f in frames if f.pictures}
    ((name, scaling),) = scalings
    assert name == "percentiles"
    assert scaling.low < 7200
    assert scaling.high > 14_000  # the first frame ends at 9000
    assert clip.scaled.ir.scaling == scaling
    assert {f.pictures.vi.scaling_name for f in frames if f.pictures} == {"type"}


def later(archive: ClipArchive, seconds: Fraction) -> PairRef:
    times = [Fraction(k, 25) + seconds for k in range(10)]
    put(archive, {}, {}, 10)
    frames = moving(10, infrared=True)
    write_video(archive.path("ir", "a.mkv"), frames, times=times, **LOSSLESS)
    return archive.ref("a.mkv")


@pytest.mark.parametrize(
    ("changes", "fused"),
    [
        ({}, 0),
        ({"frame_clock": "start"}, 10),
        ({"frame_offset": -7.0}, 10),
        ({"frame_offset": -7.16}, 6),
        ({"frame_clock": "start", "frame_offset": 0.2}, 5),
        ({"frame_tolerance": 7.5}, 10),
    ],
)
def test_clocks_that_differ_are_set_right_as_told(
    changes: dict[str, Any], fused: int, tmp_path: Path
) -> None:
    archive = ClipArchive(tmp_path, **changes)
    ((_, frames),) = segments(opened(archive, later(archive, Fraction(7))))
    assert len([frame for frame in frames if frame.pictures is not None]) == fused


def test_the_error_of_a_clip_without_matches_tells_both_beginnings(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path)
    error = nothing_matches(opened(archive, later(archive, Fraction(7))))
    assert str(error) == (
        "no infrared frame of ir/a.mkv, which begins at 7.000 s, is shown within 0.020 s of a "
        "visible one of vi/a.mkv, which begins at 0.000 s; expected some. Set frame_clock to start "
        "or frame_offset, if their clocks differ, or a larger frame_tolerance"
    )


def test_a_set_tolerance_holds_for_the_last_infrared_frame_too(tmp_path: Path) -> None:
    fused = []
    for tolerance in (None, 0.02):
        archive = ClipArchive(tmp_path, frame_tolerance=tolerance)
        ref = put(archive, {"rate": 5, "count": 2}, {"rate": 25, "count": 12})
        ((_, frames),) = segments(opened(archive, ref))
        fused.append([frame.number for frame in frames if frame.pictures is not None])
    assert fused == [list(range(10)), [0, 5]]


def test_where_infrared_shows_nothing_at_all_a_frame_is_as_without(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path, nodata=0)
    infrared = [frame[..., 0].copy() for frame in moving(4, infrared=True)]
    infrared[2][:] = 0
    for side, frames in (("ir", infrared), ("vi", moving(4))):
        write_video(
            archive.path(side, "a.mkv"),
            frames,
            **{**LOSSLESS, "pixel_format": "gray" if side == "ir" else "bgr0"},
        )
    ((_, found),) = segments(opened(archive, archive.ref("a.mkv")))
    assert [frame.pictures is None for frame in found] == [False, False, True, False]


def test_a_side_that_changed_is_told(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path)
    clip = opened(archive, put(archive, {}, {}))
    clip.check()
    write_video(archive.path("ir", "a.mkv"), moving(3), **LOSSLESS)
    with pytest.raises(SourceChangedError, match=r"ir/a\.mkv"):
        clip.check()


def test_videos_and_sequences_make_clips_together(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path, frame_rate=10)
    write_sequence(archive.path("ir", "a"), moving(5, infrared=True))
    write_video(archive.path("vi", "a.mp4"), moving(5), codec="libx264", rate=10)
    (ref,) = archive.sequences("ir/{clip}/{n:frame}.png", "vi/{clip}.mp4")
    clip = opened(archive, ref)
    assert clip.has_sequence
    ((_, frames),) = segments(clip)
    assert [frame.ir_time for frame in frames] == [Fraction(k, 10) for k in range(5)]
    assert isinstance(frames[0].vi, Frame)
    assert np.array_equal(frames[0].vi_picture.pixels, frames_of(archive.path("vi", "a.mp4"))[0][1])
    assert not opened(archive, archive.put()).has_sequence
