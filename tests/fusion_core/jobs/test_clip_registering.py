"""Clips whose sides are shifted: found, aligned by one transform, or left with the reason."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clips import ClipArchive, frames_of, write_video
from off_pairs import Off, pair

from fusion_core.archive.plan import PairRef

SHIFT = 12
SIZE = (240, 320)


def shifted_clip(archive: ClipArchive, shift: int, count: int = 9) -> PairRef:
    """Write a clip whose infrared side lies so many pixels to the right of the visible one."""
    planes = pair(5, Off(x=shift), SIZE)
    for side, plane in zip(("ir", "vi"), planes, strict=True):
        frames = []
        for k in range(count):
            picture = np.rint(255 * plane).astype(np.uint8)
            left = 10 * k + 40 + (shift if side == "ir" else 0)
            picture[20:30, left : left + 10] = 250
            frames.append(np.repeat(picture[..., None], 3, axis=2))
        write_video(archive.path(side), frames, codec="libx264", options={"crf": "10"})
    return archive.ref()


@pytest.fixture
def archive(tmp_path: Path) -> ClipArchive:
    return ClipArchive(tmp_path)


def test_a_clip_that_is_aligned_says_so(archive: ClipArchive) -> None:
    row = archive.fuse_one(shifted_clip(archive, 0))
    assert (row["status"], row["registration"]) == ("ok", "aligned")
    assert abs(row["shift_x"]) < 1
    assert row["registration_matrix"] is None


def test_a_shifted_clip_gets_a_remark(archive: ClipArchive) -> None:
    row = archive.fuse_one(shifted_clip(archive, SHIFT))
    assert (row["status"], row["registration"]) == ("ok", "shifted")
    assert row["shift_x"] == pytest.approx(SHIFT, abs=2)
    assert "the infrared image is off by about 12 pixels" in row["remark"]


def test_a_shifted_clip_fails_where_it_is_to(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path, misaligned="fail")
    row = archive.fuse_one(shifted_clip(archive, SHIFT))
    assert (row["status"], row["error_type"], row["cause"]) == ("failed", "MisalignedError", "pair")


def test_a_shifted_clip_is_aligned_and_its_border_keeps_the_visible(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path, registration="translation", video_codec="ffv1")
    row = archive.fuse_one(shifted_clip(archive, SHIFT))
    assert (row["status"], row["registration"]) == ("ok", "corrected")
    matrix = np.reshape(row["registration_matrix"], (3, 3))
    assert matrix[:2, 2] == pytest.approx([SHIFT, 0], abs=1)
    assert "no infrared and keep the visible values" in row["remark"]
    assert row["overlap"] == pytest.approx(1 - SHIFT / SIZE[1], abs=0.01)
    # Where the infrared image ends, the visible one stays as it is.
    edge = slice(SIZE[1] - SHIFT + 2, None)
    visible, fused = frames_of(archive.path("vi")), frames_of(row["fused_url"])
    for (_, before), (_, after) in zip(visible, fused, strict=True):
        assert np.array_equal(before[:, edge], after[:, edge])
        assert not np.array_equal(before, after)
    assert len(pd.read_parquet(row["frames_url"])) == 9


def test_a_single_clip_tells_too_little_of_its_camera(tmp_path: Path) -> None:
    archive = ClipArchive(
        tmp_path,
        registration="translation",
        registration_by="{camera}",
        ir="ir/{camera}.mp4",
        vi="vi/{camera}.mp4",
    )
    ref = shifted_clip(archive, SHIFT, count=3)
    row = archive.fuse_one(ref)
    assert row["registration"] == "unsure"
    assert "no transform of the camera clip is sure" in row["remark"]


def test_one_transform_serves_all_clips_of_a_camera(tmp_path: Path) -> None:
    archive = ClipArchive(
        tmp_path,
        registration="translation",
        registration_by="{camera}",
        ir="ir/{camera}/{n}.mp4",
        vi="vi/{camera}/{n}.mp4",
    )
    for number in range(3):
        shifted_clip(archive, SHIFT, count=3)
        for side in ("ir", "vi"):
            target = archive.path(side, f"gate/{number}.mp4")
            target.parent.mkdir(exist_ok=True)
            archive.path(side).rename(target)
    refs = tuple(archive.ref(f"gate/{number}.mp4") for number in range(3))
    worker = archive.worker(samples={"gate": refs})
    rows = archive.fuse(*refs, worker=worker)
    assert [row["registration"] for row in rows] == ["corrected"] * 3
    (matrix,) = {tuple(row["registration_matrix"]) for row in rows}
    assert matrix[2] == pytest.approx(SHIFT, abs=1)
    assert len(pd.read_parquet(f"{tmp_path}/output/registration")) == 1


def test_nothing_is_looked_at_where_that_is_off(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path, registration="off")
    row = archive.fuse_one(shifted_clip(archive, SHIFT, count=3))
    assert (row["status"], row["registration"], row["shift_x"]) == ("ok", None, None)
