"""Rows of clips of which a side is damaged, cut off, no video at all, or has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import ClipArchive, cut_off, frames_of, garble, moving, write_sequence, write_video
from tiny import png

from fusion_core.archive.plan import PairRef
from fusion_core.jobs import clip

H264 = {"codec": "libx264"}
Change = Callable[[Path], object]


@pytest.fixture
def archive(tmp_path: Path) -> ClipArchive:
    return ClipArchive(tmp_path)


@pytest.mark.parametrize("side", ["ir", "vi"])
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.write_bytes(b""), "is empty (0 bytes); expected a video"),
        (lambda path: path.write_bytes(b"no video" * 99), "can't be opened as a video"),
        (lambda path: cut_off(path, 0.5), "Expected a whole file with its index"),
        (lambda path: path.write_bytes(png(moving(1)[0])), "is a single picture (png)"),
    ],
    ids=["empty", "text", "no index", "a picture"],
)
def test_a_side_that_is_no_video_fails_its_pair_for_good(
    side: str, spoil: Change, told: str, archive: ClipArchive
) -> None:
    archive.put(count=5, **H264)
    spoil(archive.path(side))
    row = archive.fuse_one(archive.ref())
    assert (row["status"], row["cause"], row["stage"]) == ("failed", "pair", "decode")
    assert row["error_type"] == "DecodeError"
    assert row["error_message"].startswith(f"{side}/clip.mp4 ")
    assert told in row["error_message"]
    assert archive.objects() == []


@pytest.mark.parametrize(
    ("name", "how", "spoil", "told"),
    [
        ("a.mp4", {"container": {"movflags": "+faststart"}}, 0.8, "before the 1.60 s that its"),
        ("a.mkv", {}, 0.8, "before the 1.60 s that its header tells"),
        ("a.ts", {}, 0.8, "the visible side ends"),
        ("a.mp4", {}, None, "of its packets can't be decoded"),
        ("a.ts", {}, None, "gaps without frames"),
    ],
)
def test_a_side_that_is_damaged_is_fused_as_far_as_it_goes_and_the_row_says_so(
    name: str, how: dict[str, Any], spoil: float | None, told: str, archive: ClipArchive
) -> None:
    archive.put(name, count=40, **(H264 | how))
    if spoil is None:
        garble(archive.path("vi", name))
    else:
        cut_off(archive.path("vi", name), spoil)
    row = archive.fuse_one(archive.ref(name))
    assert row["status"] == "ok", row["error_message"]
    assert 10 < row["frames"] < 40
    assert told in row["remark"]
    assert len(frames_of(row["fused_url"])) == row["frames"]


def test_where_infrared_is_damaged_all_visible_frames_stay(archive: ClipArchive) -> None:
    archive.put(count=40, **H264)
    garble(archive.path("ir"))
    row = archive.fuse_one(archive.ref())
    assert (row["status"], row["frames"]) == ("ok", 40)
    assert row["frames_unmatched"] > 0
    assert "infrared: " in row["remark"]
    assert f"{row['frames_unmatched']} of 40 frames have no infrared one" in row["remark"]


def test_a_side_that_changed_since_it_was_listed_is_not_fused(archive: ClipArchive) -> None:
    ref = archive.put(count=5, **H264)
    write_video(archive.path("vi"), moving(6), **H264)
    row = archive.fuse_one(ref)
    assert (row["error_type"], row["stage"]) == ("SourceChangedError", "read")


def test_a_side_that_changes_while_it_is_fused_is_not_stored(
    archive: ClipArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = archive.put(count=5, **H264)

    def changing(*arguments: Any, **how: Any) -> Any:
        write_video(archive.path("vi"), moving(6), **H264)
        return real(*arguments, **how)

    real = clip.SegmentWork
    monkeypatch.setattr(clip, "SegmentWork", changing)
    row = archive.fuse_one(ref)
    assert row["error_type"] == "SourceChangedError"
    assert not [name for name in archive.objects() if name.endswith(".mp4")]


def test_images_of_a_sequence_that_are_broken_cost_their_frames_alone(
    archive: ClipArchive,
) -> None:
    for side in ("ir", "vi"):
        write_sequence(archive.path(side, "a"), moving(8, infrared=side == "ir"))
    archive.path("ir", "a/0003.png").write_bytes(b"no image")
    archive.path("vi", "a/0005.png").write_bytes(b"no image")
    (ref,) = archive.sequences("ir/{c}/{n:frame}.png", "vi/{c}/{n:frame}.png")
    row = archive.fuse_one(ref)
    assert (row["status"], row["frames"], row["frames_unmatched"]) == ("ok", 7, 1)
    assert "infrared: 1 of its packets can't be decoded (ir/a/0003.png" in row["remark"]
    assert "visible: 1 of its packets can't be decoded (vi/a/0005.png" in row["remark"]
    assert [round(time * 25) for time, _ in frames_of(row["fused_url"])] == [0, 1, 2, 3, 4, 6, 7]


def test_one_file_for_both_sides_is_refused(archive: ClipArchive) -> None:
    ref = archive.put(count=2, **H264)
    same = {"ir_path": ref.vi_path, "ir_bytes": ref.vi_bytes, "ir_version": ref.vi_version}
    row = archive.fuse_one(PairRef(**{**vars(ref), **same}))
    assert (row["error_type"], row["status"]) == ("SameFileError", "failed")


def test_frames_of_another_kind_go_together(archive: ClipArchive) -> None:
    """Grey infrared of 16 bits in Matroska and colours of 8 in MP4."""
    deep = [7000 + 20 * frame[..., 0].astype(np.uint16) for frame in moving(6, infrared=True)]
    write_video(archive.path("ir", "a.mkv"), deep, codec="ffv1", pixel_format="gray16le")
    write_video(archive.path("vi", "a.mp4"), moving(6), **H264)
    row = archive.fuse_one(archive.ref("a.mkv", "a.mp4"))
    assert (row["status"], row["bit_depth"]) == ("ok", 8)
    assert (row["ir_scaling"], row["vi_scaling"]) == ("percentiles", "type")
    assert row["ir_high"] > 255
