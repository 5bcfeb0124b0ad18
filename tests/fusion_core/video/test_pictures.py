"""The frame of a clip that sheets of a run show."""

from pathlib import Path

import numpy as np
import pytest
from clips import ClipArchive, moving, write_sequence, write_video
from tiny import png

from fusion_core.errors import StorageError
from fusion_core.storage.stored_file import StoredFile
from fusion_core.video.pictures import clip_pictures

LOSSLESS = {"codec": "ffv1", "pixel_format": "bgr0"}


@pytest.fixture
def archive(tmp_path: Path) -> ClipArchive:
    return ClipArchive(tmp_path)


def files(archive: ClipArchive, *paths: str) -> list[StoredFile]:
    return [StoredFile(archive.source, path) for path in paths]


def assert_one_of(picture: np.ndarray, frames: list[np.ndarray], near: int) -> None:
    numbers = [k for k, frame in enumerate(frames) if np.array_equal(frame, picture)]
    assert len(numbers) == 1
    assert abs(numbers[0] - near) <= 1


def test_the_middle_of_each_side_and_of_the_fused_is_shown(archive: ClipArchive) -> None:
    for side in ("ir", "vi"):
        frames = moving(16, infrared=side == "ir")
        write_video(archive.path(side, "a.mkv"), frames, **LOSSLESS)
    found = clip_pictures(files(archive, "ir/a.mkv", "vi/a.mkv", "vi/a.mkv"), (200, 200))
    assert found is not None
    ir, vi, fused = found
    assert_one_of(ir, moving(16, infrared=True), 8)
    assert_one_of(vi, moving(16), 8)
    assert np.array_equal(fused, vi)


def test_large_frames_are_reduced_and_infrared_fits_the_visible(archive: ClipArchive) -> None:
    write_video(archive.path("ir", "a.mkv"), moving(3, (30, 40)), **LOSSLESS)
    write_video(archive.path("vi", "a.mkv"), moving(3, (96, 128)), **LOSSLESS)
    found = clip_pictures(files(archive, "ir/a.mkv", "vi/a.mkv"), (48, 64))
    assert found is not None
    assert [picture.shape for picture in found] == [(48, 64, 3)] * 2


def test_sides_are_turned_as_a_player_shows_them(archive: ClipArchive) -> None:
    how = {"codec": "libx264rgb", "pixel_format": "rgb24", "options": {"qp": "0"}}
    upright, lying = moving(1, (64, 48))[0], np.ascontiguousarray(np.rot90(moving(1, (64, 48))[0]))
    write_video(archive.path("ir", "a.mp4"), [upright], **how)
    write_video(archive.path("vi", "a.mp4"), [lying], rotation=-90, **how)
    found = clip_pictures(files(archive, "ir/a.mp4", "vi/a.mp4"), (200, 200))
    assert found is not None
    for picture in found:
        assert np.array_equal(picture, upright)


def test_a_sequence_shows_its_middle_file(archive: ClipArchive) -> None:
    for side in ("ir", "vi"):
        write_sequence(archive.path(side, "a"), moving(9, infrared=side == "ir"))
    (ref,) = archive.sequences("ir/{c}/{n:frame}.png", "vi/{c}/{n:frame}.png")
    write_video(archive.path("vi", "fused.mkv"), moving(9), **LOSSLESS)
    paths = (ref.ir_path, ref.vi_path, "vi/fused.mkv")
    found = clip_pictures(files(archive, *paths), (200, 200))
    assert found is not None
    assert np.array_equal(found[0], moving(9, infrared=True)[4])
    assert np.array_equal(found[1], moving(9)[4])


def test_photographs_are_none_of_its_business(archive: ClipArchive) -> None:
    archive.path("ir", "a.png").parent.mkdir(parents=True)
    archive.path("ir", "a.png").write_bytes(png(moving(1)[0]))
    assert clip_pictures(files(archive, "ir/a.png", "ir/a.png"), (200, 200)) is None


def test_a_sequence_that_is_gone_is_told(archive: ClipArchive) -> None:
    with pytest.raises(FileNotFoundError, match=r"ir/gone/\{frame\}\.png"):
        clip_pictures(files(archive, "ir/gone/{frame}.png", "vi/a.mp4"), (200, 200))


def test_a_fused_clip_of_other_bytes_than_its_row_says_is_not_shown(archive: ClipArchive) -> None:
    archive.put(codec="libx264", count=3)
    planted = StoredFile(archive.source, "vi/clip.mp4", "ab" * 32, 7)
    with pytest.raises(StorageError):
        clip_pictures([*files(archive, "ir/clip.mp4", "vi/clip.mp4"), planted], (200, 200))
