import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_fixture import ArchiveFixture
from PIL import Image
from tiny import listed_pair, picture_pair

from fusion_core.archive.plan import Chunk
from fusion_core.jobs.remarks import join_remarks, unused_percentiles, unused_settings
from fusion_core.settings.fuse import ImageSettings
from fusion_core.settings.scaling import ScalingSettings


@pytest.mark.parametrize(
    ("changes", "photographs", "scene"),
    [
        ({}, None, None),
        ({"precision": "fp32", "scaling": "type", "nodata": 0}, None, None),
        ({"resampling": "cubic"}, "resampling of scenes", None),
        ({"resampling": "cubic", "tile_size": 128}, "resampling and tile_size of scenes", None),
        (
            {"resampling": "cubic", "tile_size": 128, "compression": "none"},
            "resampling, compression and tile_size of scenes",
            None,
        ),
        ({"compression": "none", "format": "tiff"}, None, "format of photographs"),
        ({"quality": 80, "format": "webp"}, None, "format and quality of photographs"),
        ({"png_level": 9}, None, "png_level of photographs"),
    ],
)
def test_settings_of_the_other_kind_of_pair_are_named(
    changes: dict[str, Any], photographs: str | None, scene: str | None
) -> None:
    settings = ImageSettings(**changes)
    of_photographs = unused_settings(settings, "photographs", tiled=False)
    of_scene = unused_settings(settings, "a scene")
    for found, kind, names in (
        (of_photographs, "photographs", photographs),
        (of_scene, "a scene", scene),
    ):
        assert found == (names and f"the pair is {kind}, and {names} had no part in it")


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, None),
        ({"video_codec": "h265", "steady": False, "segment_frames": 9, "nodata": 0}, None),
        ({"png_level": 9}, "png_level of photographs"),
        ({"resampling": "cubic", "tile_size": 128}, "resampling and tile_size of scenes"),
        ({"frame_rate": 9.0}, "frame_rate of sequences"),
        (
            {"png_level": 9, "compression": "none", "frame_rate": 9.0},
            "png_level of photographs and compression of scenes and frame_rate of sequences",
        ),
    ],
)
def test_settings_that_say_nothing_of_a_clip_are_named(
    changes: dict[str, Any], names: str | None
) -> None:
    found = unused_settings(ImageSettings(**changes), "a clip", tiled=False)
    assert found == (names and f"the pair is a clip, and {names} had no part in it")


def test_a_clip_in_tiles_takes_their_size_and_one_of_images_their_rate() -> None:
    settings = ImageSettings(tile_size=128, frame_rate=9.0)
    assert unused_settings(settings, "a clip", tiled=True, sequence=True) is None
    tiled, sequence = (
        unused_settings(settings, "a clip", tiled=tiled, sequence=not tiled)
        for tiled in (True, False)
    )
    assert tiled == "the pair is a clip, and frame_rate of sequences had no part in it"
    assert sequence == "the pair is a clip, and tile_size of scenes had no part in it"


@pytest.mark.parametrize("kind", ["photographs", "a scene"])
def test_settings_of_clips_say_nothing_of_other_pairs(kind: Any) -> None:
    settings = ImageSettings(video_codec="h265", unmatched_frames="drop")
    told = f"the pair is {kind}, and video_codec and unmatched_frames of clips had no part in it"
    assert unused_settings(settings, kind) == told


def test_a_photograph_in_tiles_takes_the_size_of_tiles() -> None:
    assert unused_settings(ImageSettings(tile_size=128), "photographs") is None


def test_percentiles_are_named_where_no_image_was_scaled_by_them() -> None:
    settings = ScalingSettings(percentiles=(1, 99))
    told = "the images were scaled by {}, and the percentiles had no part in it"
    assert unused_percentiles(settings, ("type", "percentiles")) is None
    assert unused_percentiles(settings, ("type", "type")) == told.format("their type's range")
    both = "a fixed range and their type's range"
    assert unused_percentiles(settings, ("type", "range")) == told.format(both)
    assert unused_percentiles(ScalingSettings(), ("type", "type")) is None


def test_remarks_are_joined_where_there_are_any() -> None:
    assert join_remarks(None, "a", None, "b") == "a; b"
    assert join_remarks(None, None) is None


def jpeg(pixels: np.ndarray, thermal: bool = False) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG")
    body = file.getvalue()
    other, name = b"other\0" + bytes(65_000), b"FLIR\0\x01\0\0FFF\0" + bytes(60)
    segments = [(0xEA, other), (0xEA, other), (0xE1, name)] if thermal else []
    told = b"".join(
        struct.pack(">BBH", 0xFF, kind, 2 + len(part)) + part for kind, part in segments
    )
    return body[:2] + told + body[2:]


def test_rows_tell_of_thermal_files_of_missing_infrared_and_of_needless_settings(
    tmp_path: Path,
) -> None:
    archive = ArchiveFixture(str(tmp_path), resampling="nearest")
    ir, vi = picture_pair(3)
    holes = np.dstack([ir, np.full_like(ir, 255)])
    holes[:3, :5, 1] = 0
    file = io.BytesIO()
    Image.fromarray(holes).save(file, format="PNG")
    bodies = {"plain": jpeg(ir), "thermal": jpeg(ir, thermal=True), "holes": file.getvalue()}
    for name, body in bodies.items():
        archive.source.write(f"ir/{name}.x", body)
        archive.source.write(f"vi/{name}.x", jpeg(vi))
    found = {row["path"]: row for row in archive.source.list().to_pylist()}
    pairs = tuple(listed_pair(n, found[f"ir/{n}.x"], found[f"vi/{n}.x"]) for n in bodies)
    archive.worker().run(Chunk("part", pairs))
    rows = archive.rows()
    assert {row["status"] for row in rows.values()} == {"ok"}
    needless = "the pair is photographs, and resampling of scenes had no part in it"
    assert rows["plain"]["remark"] == needless
    assert rows["thermal"]["remark"] == (
        "infrared: the file is a FLIR radiometric JPEG: its palette picture was fused, not the "
        f"temperatures that it holds as well; export them as 16-bit TIFF to fuse those; {needless}"
    )
    assert (
        rows["holes"]["remark"] == f"15 pixels without infrared keep the visible values; {needless}"
    )
    assert rows["holes"]["overlap"] == 1 - 15 / (24 * 32)
