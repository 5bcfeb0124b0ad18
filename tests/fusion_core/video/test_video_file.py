"""What is read of whole videos of many kinds, from their beginning and from their middle."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import frames_of, moving, video_file, write_video

from fusion_core.errors import DecodeError, SourceChangedError
from fusion_core.storage.store import Storage
from fusion_core.video.frame import Faults, Frame
from fusion_core.video.video_file import VideoFile

PLAIN = {"codec": "libx264", "options": {"bf": "0"}}
UNEVEN = [Fraction(k * k + 3 * k, 300) for k in range(24)]
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "mp4": ("a.mp4", PLAIN),
    "mp4 with frames in another order": ("a.mp4", {"codec": "libx264", "options": {"bf": "2"}}),
    "mp4 in fragments": (
        "a.mp4",
        {**PLAIN, "container": {"movflags": "frag_keyframe+empty_moov"}},
    ),
    "mov": ("a.mov", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
    "mkv": ("a.mkv", {"codec": "ffv1", "pixel_format": "bgr0"}),
    "webm": ("a.webm", {"codec": "libvpx", "options": {"deadline": "realtime"}}),
    "mpeg-ts": ("a.ts", PLAIN),
    "avi": ("a.avi", {"codec": "mpeg4"}),
    "mpeg": ("a.mpg", {"codec": "mpeg2video"}),
}
ROUNDED = {"mkv": Fraction(1, 1000), "webm": Fraction(1, 1000)}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def read(video: VideoFile, start: Fraction | None = None) -> tuple[list[Frame], Faults]:
    faults = Faults()
    return list(video.frames(start, faults)), faults


def pixels(frames: list[Frame]) -> np.ndarray:
    return np.stack([frame.picture().pixels for frame in frames])


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_those_that_pyav_alone_decodes(
    kind: str, storage: Storage, tmp_path: Path
) -> None:
    name, how = KINDS[kind]
    path = write_video(tmp_path / name, moving(20), **how)
    video = video_file(storage, name)
    frames, faults = read(video)
    expected = frames_of(path)
    assert [frame.time for frame in frames] == [time for time, _ in expected]
    assert np.array_equal(pixels(frames), np.stack([picture for _, picture in expected]))
    assert all(frame.time == frame.ticks * video.facts.time_base for frame in frames)
    assert (len(frames), frames[0].key, faults) == (20, True, Faults())
    assert (video.facts.height, video.facts.width, video.facts.bits) == (48, 64, 8)
    assert (video.facts.begins, video.facts.rate) == (frames[0].time, 25)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("avi", "mpeg")])
def test_uneven_times_are_those_that_were_written(
    kind: str, storage: Storage, tmp_path: Path
) -> None:
    """AVI and MPEG-2 have none."""
    name, how = KINDS[kind]
    write_video(tmp_path / name, moving(24), times=UNEVEN, **how)
    frames, _ = read(video_file(storage, name))
    begins = frames[0].time if name.endswith(".ts") else 0
    step = ROUNDED.get(kind, Fraction(1, 90_000))
    assert [frame.time - begins for frame in frames] == [round(t / step) * step for t in UNEVEN]


@pytest.mark.parametrize("kind", KINDS)
def test_a_video_entered_in_its_middle_gives_the_same_frames(
    kind: str, storage: Storage, tmp_path: Path
) -> None:
    name, how = KINDS[kind]
    write_video(tmp_path / name, moving(30), **how)
    video = video_file(storage, name)
    whole, _ = read(video)
    for number, before in ((1, 0), (11, 0), (12, 0), (17, Fraction(1, 100)), (29, 0)):
        part, faults = read(video, whole[number].time - before)
        assert [one.time for one in part] == [one.time for one in whole[number:]]
        assert [one.key for one in part] == [one.key for one in whole[number:]]
        assert np.array_equal(pixels(part), pixels(whole[number:]))
        assert faults == Faults()


def test_behind_its_last_frame_there_is_nothing(storage: Storage, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving(3))
    assert read(video_file(storage, "a.mp4"), Fraction(9)) == ([], Faults())


@pytest.mark.parametrize(
    ("pixel_format", "shape", "dtype"),
    [
        ("gray", (48, 64), np.uint8),
        ("gray16le", (48, 64), np.uint16),
        ("bgr0", (48, 64, 3), np.uint8),
        ("gbrp16le", (48, 64, 3), np.uint16),
    ],
)
def test_samples_keep_their_colours_and_bits(
    pixel_format: str, shape: tuple[int, ...], dtype: Any, storage: Storage, tmp_path: Path
) -> None:
    frames = [frame if len(shape) == 3 else frame[..., 0].copy() for frame in moving(2)]
    if dtype == np.uint16:
        frames = [frame.astype(np.uint16) * 257 for frame in frames]
    write_video(tmp_path / "a.mkv", frames, codec="ffv1", pixel_format=pixel_format)
    video = video_file(storage, "a.mkv")
    assert (video.facts.grey, video.facts.bits) == (len(shape) == 2, 8 * np.dtype(dtype).itemsize)
    found = pixels(read(video)[0])
    assert found.dtype == dtype
    assert np.array_equal(found, np.stack(frames))


def test_colours_rotation_and_shape_of_samples_are_told(storage: Storage, tmp_path: Path) -> None:
    colours = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 1}
    colours["sample_aspect_ratio"] = Fraction(4, 3)  # type: ignore[assignment]
    write_video(tmp_path / "a.mp4", moving(2), codec="libx264", rotation=90, colours=colours)
    facts = video_file(storage, "a.mp4").facts
    told = facts.colours
    assert (told.primaries, told.transfer, told.matrix, told.range) == (9, 16, 9, 1)
    assert (facts.rotation, facts.aspect) == (90, Fraction(4, 3))
    assert (facts.height, facts.width) == (48, 64)  # as they are coded


def test_sound_and_metadata_are_known(storage: Storage, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving(2), sound="aac")
    write_video(tmp_path / "b.mp4", moving(2))
    assert [video_file(storage, name).sounds for name in ("a.mp4", "b.mp4")] == [1, 0]
    with video_file(storage, "a.mp4").sound() as opened:
        assert opened.streams.audio[0].codec_context.name == "aac"


def test_a_frame_larger_than_allowed_is_refused(storage: Storage, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving(2))
    with pytest.raises(DecodeError, match=r"a frame of a\.mp4"):
        video_file(storage, "a.mp4", max_megapixels=0.003)


def test_a_video_that_changed_since_it_was_listed_is_not_read(
    storage: Storage, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "a.mp4", moving(2))
    (row,) = storage.list("").to_pylist()
    listed = {"size": row["bytes"], "version": row["version"], "max_megapixels": 1.0}
    video = VideoFile(storage, "a.mp4", **listed)
    video.check()
    write_video(path, moving(3))
    with pytest.raises(SourceChangedError, match=r"a\.mp4"):
        video.check()
    with pytest.raises(SourceChangedError, match=r"a\.mp4"):
        VideoFile(storage, "a.mp4", **listed)


def test_a_video_that_is_gone_is_told(storage: Storage, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(2))
    video = video_file(storage, "a.mp4")
    path.unlink()
    with pytest.raises(SourceChangedError, match=r"a\.mp4"):
        video.check()
