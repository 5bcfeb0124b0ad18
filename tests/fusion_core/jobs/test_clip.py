"""Clips from two videos to a stored one, its row, its table and its picture."""

import hashlib
import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
from clips import ClipArchive, frames_of, garble, moving, write_sequence, write_video
from generated_scenes import scene_bands, write_raster
from PIL import Image
from tiny import picture_pair, png

from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.metrics import METRIC_NAMES, METRIC_VERSION, score

H264 = {"codec": "libx264"}


@pytest.fixture
def archive(tmp_path: Path) -> ClipArchive:
    return ClipArchive(tmp_path)


def ok(archive: ClipArchive, *refs: Any) -> dict[str, Any]:
    (row,) = archive.fuse(*refs)
    assert row["status"] == "ok", (row["stage"], row["error_message"])
    return row


def table_of(row: dict[str, Any]) -> pd.DataFrame:
    return pd.read_parquet(row["frames_url"])


def test_a_row_tells_of_the_clip_that_lies_where_it_says(archive: ClipArchive) -> None:
    row = ok(archive, archive.put(**H264))
    body = Path(row["fused_url"]).read_bytes()
    assert row["fused_sha256"] == hashlib.sha256(body).hexdigest()
    assert row["fused_bytes"] == len(body)
    assert (row["fused_format"], row["bit_depth"]) == ("mp4", 8)
    assert (row["height"], row["width"]) == (48, 64)
    assert (row["frames"], row["frames_unmatched"], row["ir_frames_unused"]) == (20, 0, 0)
    assert (row["duration"], row["frame_rate"], row["overlap"]) == (pytest.approx(0.8), 25, 1)
    assert (row["ir_scaling"], row["vi_scaling"]) == ("type", "type")
    assert (row["ir_low"], row["ir_high"]) == (0, 255)
    assert row["remark"] is None
    assert row["metric_version"] == METRIC_VERSION
    assert {*row} == {*PART_SCHEMA.names}
    stages = ("read", "decode", "fuse", "encode", "write", "score")
    assert all(row[f"seconds_{stage}"] > 0 for stage in stages)
    names = [Path(url).name for url in archive.beside(row)]
    assert archive.objects() == sorted(names)
    stem = names[0].removesuffix(".mp4")
    assert names[1:] == [f"{stem}.frames.parquet", f"{stem}.quicklook.png"]


@pytest.mark.parametrize("codec", ["h264", "h265", "ffv1"])
def test_stored_frames_are_the_visible_ones_in_time_and_score_as_the_table_says(
    codec: str, tmp_path: Path
) -> None:
    archive = ClipArchive(tmp_path, video_codec=codec)
    times = [Fraction(40 * k + 5 * k * k, 1000) for k in range(20)]
    row = ok(archive, archive.put(times=times, **H264))
    fused, vi, ir = (frames_of(p) for p in (row["fused_url"], *map(archive.path, ("vi", "ir"))))
    assert [time for time, _ in fused] == [time for time, _ in vi] == times
    table = table_of(row)
    assert table["frame"].tolist() == list(range(20))
    assert table["time"].tolist() == [float(time) for time in times]
    assert table["ir_time"].tolist() == [float(time) for time, _ in ir]
    for number in (0, 7, 19):
        expected = score(ir[number][1], vi[number][1], fused[number][1])
        found = {name: table[name][number] for name in METRIC_NAMES}
        assert found == pytest.approx(expected, rel=1e-12)
    for name in METRIC_NAMES:
        assert row[name] == pytest.approx(table[name].mean(), rel=1e-12)
        assert row[f"{name}_least"] == table[name].min()
        assert row[f"{name}_worst_frame"] == table[name].idxmin()
    assert row["frame_rate"] == pytest.approx(20 / row["duration"])


def test_colours_are_those_of_the_visible_side(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path, video_codec="ffv1")
    row = ok(archive, archive.put(count=3, **H264))
    for (_, fused), (_, vi) in zip(
        frames_of(row["fused_url"]), frames_of(archive.path("vi")), strict=True
    ):
        differences = [side.astype(int)[..., 0] - side[..., 2] for side in (fused, vi)]
        inside = ((fused > 0) & (fused < 255)).all(axis=2)
        assert inside.mean() > 0.5
        assert np.abs(differences[0] - differences[1])[inside].max() <= 2


def test_the_quicklook_shows_the_worst_frames_of_all_three(archive: ClipArchive) -> None:
    row = ok(archive, archive.put(**H264))
    picture = np.asarray(Image.open(io.BytesIO(Path(row["quicklook_url"]).read_bytes())))
    assert picture.shape[0] > 48
    assert picture.shape[1] > 3 * 64
    assert picture[..., :3].std() > 5


def test_deep_colours_and_sound_go_into_the_clip(archive: ClipArchive) -> None:
    colours = {"color_primaries": 9, "color_trc": 16, "colorspace": 9}
    deep = {"codec": "libx265", "pixel_format": "yuv420p10le", "colours": colours}
    for side in ("ir", "vi"):
        frames = [f.astype(np.uint16) * 257 for f in moving(8, infrared=side == "ir")]
        quiet = {"x265-params": "log-level=error"}
        write_video(archive.path(side), frames, options=quiet, sound="aac", **deep)
    row = ok(archive, archive.ref())
    assert row["bit_depth"] == 10
    with av.open(row["fused_url"]) as opened:
        assert [stream.type for stream in opened.streams] == ["video", "audio"]
        frame = next(opened.decode(video=0))
        assert frame.format.name == "yuv420p10le"
        assert (frame.color_primaries, frame.color_trc, frame.colorspace) == (9, 16, 9)


def shifted(archive: ClipArchive) -> Any:
    """Put a clip whose infrared side begins 5 frames late."""
    archive.put(**H264)
    times = [Fraction(k + 5, 25) for k in range(20)]
    write_video(archive.path("ir"), moving(20, infrared=True), times=times, **H264)
    return archive.ref()


def test_a_visible_frame_without_infrared_is_kept_as_it_is(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path, video_codec="ffv1")
    row = ok(archive, shifted(archive))
    assert (row["frames"], row["frames_unmatched"], row["ir_frames_unused"]) == (20, 5, 5)
    assert (row["overlap"], row["duration"]) == (0.75, pytest.approx(0.8))
    stored, vi = frames_of(row["fused_url"]), frames_of(archive.path("vi"))
    same = [np.array_equal(a, b) for (_, a), (_, b) in zip(stored, vi, strict=True)]
    assert same == [True] * 5 + [False] * 15
    assert (
        "5 of 20 frames have no infrared one and are the visible ones as they were, the first at "
        "0.000 s"
    ) in row["remark"]
    assert "the visible side ends 0.20 s before the infrared one" in row["remark"]
    table = table_of(row)
    assert table["ir_time"].isna().tolist() == [True] * 5 + [False] * 15
    assert table[METRIC_NAMES[0]].isna().tolist() == [True] * 5 + [False] * 15
    assert row[METRIC_NAMES[0]] == pytest.approx(table[METRIC_NAMES[0]].mean())


def test_a_visible_frame_without_infrared_is_left_out_if_so_set(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path, unmatched_frames="drop")
    row = ok(archive, shifted(archive))
    assert (row["frames"], row["frames_unmatched"]) == (15, 5)
    assert row["duration"] == pytest.approx(0.6)
    assert row["frame_rate"] == pytest.approx(25)
    times = [time for time, _ in frames_of(row["fused_url"])]
    assert times == [Fraction(k, 25) for k in range(5, 20)]
    assert "5 of 20 frames have no infrared one and were left out" in row["remark"]
    assert len(table_of(row)) == 20


def test_a_visible_frame_without_infrared_fails_the_clip_if_so_set(tmp_path: Path) -> None:
    archive = ClipArchive(tmp_path, unmatched_frames="fail")
    (row,) = archive.fuse(shifted(archive))
    assert (row["status"], row["cause"], row["error_type"]) == ("failed", "pair", "OverlapError")
    assert "the visible frame at 0.000 s has no infrared one within 0.020 s" in row["error_message"]
    assert archive.objects() == []


def test_a_clip_without_any_match_fails_for_good(archive: ClipArchive) -> None:
    archive.put(count=6, **H264)
    times = [Fraction(k, 25) + 100 for k in range(6)]
    write_video(archive.path("ir"), moving(6, infrared=True), times=times, **H264)
    (row,) = archive.fuse(archive.ref())
    assert (row["status"], row["stage"], row["cause"]) == ("failed", "pair", "pair")
    assert "Set frame_clock to start or frame_offset" in row["error_message"]


def test_what_could_not_be_read_of_either_side_is_told(archive: ClipArchive) -> None:
    for side in ("ir", "vi"):
        write_video(archive.path(side), moving(30, infrared=side == "ir"), **H264)
    garble(archive.path("vi"))
    row = ok(archive, archive.ref())
    assert row["frames"] == len(frames_of(row["fused_url"])) < 30
    assert "visible: " in row["remark"]
    assert "of its packets can't be decoded" in row["remark"]
    assert row["ir_frames_unused"] == 30 - row["frames"]


def test_a_cut_is_told_in_the_table(archive: ClipArchive) -> None:
    for side in ("ir", "vi"):
        frames = moving(12, infrared=side == "ir")
        frames[7:] = [255 - frame for frame in frames[7:]]
        write_video(archive.path(side), frames, **H264)
    table = table_of(ok(archive, archive.ref()))
    assert table["frame"][table["cut"]].tolist() == [7]


def test_undefined_metrics_are_told_with_their_number_of_frames(archive: ClipArchive) -> None:
    for side in ("ir", "vi"):
        frames = moving(6, infrared=side == "ir")
        frames[2] = np.full_like(frames[2], 80)
        how = {"codec": "ffv1", "pixel_format": "bgr0"}
        write_video(archive.path(side, "clip.mkv"), frames, **how)
    row = ok(archive, archive.ref("clip.mkv"))
    table = table_of(row)
    missing = [name for name in METRIC_NAMES if table[name].isna().any()]
    for name in missing:
        count = table[name].isna().sum()
        assert f"{name}: undefined for {count} of 6 frames" in row["metrics_undefined"]
        assert row[name] == pytest.approx(table[name].mean())
    assert bool(missing) == (row["metrics_undefined"] is not None)
    assert missing


def test_photographs_a_scene_and_clips_go_through_one_chunk(archive: ClipArchive) -> None:
    ir, vi = picture_pair(3)
    scene_ir, scene_vi = scene_bands(3, (64, 80), bands=1, nodata=None)
    for side, photograph, bands in (("ir", ir, scene_ir), ("vi", vi, scene_vi)):
        archive.path(side, "photo.png").parent.mkdir(parents=True, exist_ok=True)
        archive.path(side, "photo.png").write_bytes(png(photograph))
        write_raster(archive.path(side, "scene.tif"), bands)
        write_sequence(archive.path(side, "many"), moving(4, infrared=side == "ir"))
    template = "{}/{{c}}/{{n:frame}}.png"
    (sequence,) = archive.sequences(template.format("ir"), template.format("vi"))
    refs = [archive.ref("photo.png"), archive.ref("scene.tif"), archive.put(**H264), sequence]
    rows = archive.fuse(*refs)
    assert {row["status"] for row in rows} == {"ok"}, [row["error_message"] for row in rows]
    formats = {row["pair_id"]: (row["fused_format"], row["frames"]) for row in rows}
    assert formats["photo"] == ("png", None)
    assert formats["scene"] == ("cog", None)
    assert formats["clip"] == ("mp4", 20)
    assert formats[sequence.pair_id] == ("mp4", 4)


def test_a_video_under_the_name_of_a_photograph_is_fused_as_what_it_is(
    archive: ClipArchive,
) -> None:
    archive.put(**H264)
    for side in ("ir", "vi"):
        archive.path(side).rename(archive.path(side, "clip.png"))
    row = ok(archive, archive.ref("clip.png"))
    assert (row["fused_format"], row["frames"]) == ("mp4", 20)


def test_a_clip_of_one_frame_and_an_odd_size_is_fused(archive: ClipArchive) -> None:
    row = ok(archive, archive.put(count=1, size=(47, 63)))
    assert (row["frames"], row["duration"], row["frame_rate"]) == (1, pytest.approx(0.04), 25)
    assert "its size of 63x47 is odd" in row["remark"]
    assert frames_of(row["fused_url"])[0][1].shape == (47, 63, 3)
