"""What is a clip by its name."""

import pytest

from fusion_core.archive.clip_names import VIDEO_SUFFIXES, clip_pixels, is_clip, is_video_name


@pytest.mark.parametrize("path", ["a.mp4", "vi/A.MKV", "b.c.Avi", "d/e.m2ts", "f.png.mov"])
def test_videos_are_told_by_their_extension(path: str) -> None:
    assert is_video_name(path)
    assert is_clip(path)


@pytest.mark.parametrize("path", ["a.png", "mp4", "a.mp4.png", "a.tiff", "ts/a.jpg", "a.mp4/b.tif"])
def test_images_are_no_clips(path: str) -> None:
    assert not is_video_name(path)
    assert not is_clip(path)


def test_a_sequence_or_a_video_on_either_side_makes_a_clip() -> None:
    assert is_clip("ir/{frame}.png", "vi/a.png")
    assert is_clip("ir/a.png", "vi/{digits}.png")
    assert is_clip("ir/a.png", "vi/a.mp4")
    assert not is_clip("ir/a.png", "vi/a.png")
    assert not is_video_name("ir/{frame}.png")


def test_pixels_are_bounded_by_bytes() -> None:
    """A still 1080p clip of a minute takes a megabyte and more: 1500 frames of 2 megapixels."""
    assert clip_pixels("a.mp4", 5_000_000) >= 1500 * 1920 * 1080
    assert clip_pixels("ir/{frame}.jpg", 1000) == 10_000


def test_extensions_are_lower_case_and_named_once() -> None:
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in VIDEO_SUFFIXES)
    assert len({*VIDEO_SUFFIXES}) == len(VIDEO_SUFFIXES)
