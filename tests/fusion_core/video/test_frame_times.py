"""How fast a video is by the times of its frames, where its header tells nonsense."""

from fractions import Fraction
from pathlib import Path

import av
from clips import ClipArchive, moving, write_video

from fusion_core.video.frame_times import rate_of


def frame(ticks: int | None) -> av.VideoFrame:
    made = av.VideoFrame(16, 16, "gray")
    made.pts = ticks
    return made


def test_the_rate_is_of_the_usual_interval() -> None:
    base = Fraction(1, 1000)
    assert rate_of([frame(t) for t in (0, 40, 80, 120, 900)], base) == 25
    assert rate_of([frame(t) for t in (80, 0, 40)], base) == 25  # as they are coded
    assert rate_of([frame(t) for t in (None, 7)], base) is None
    assert rate_of([], base) is None


def test_a_header_that_tells_its_clocks_ticks_is_not_believed(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path)
    for side in ("ir", "vi"):  # whose AVI header says 90,000 frames a second
        write_video(
            archive.path(side, "c.avi"),
            moving(8, infrared=side == "ir"),
            codec="mjpeg",
            pixel_format="yuvj420p",
        )
    row = archive.fuse_one(archive.ref("c.avi"))
    assert (row["frames"], row["frames_unmatched"], row["remark"]) == (8, 0, None)
    assert abs(row["frame_rate"] - 25) < 0.01
