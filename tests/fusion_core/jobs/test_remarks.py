"""What a row says to whoever reads its fused image."""

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
from fusion_core.jobs.remarks import join_remarks, unused_settings
from fusion_core.settings.fuse import ImageSettings

SCENE_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"resampling": "nearest"}, "resampling"),
    ({"compression": "zstd"}, "compression"),
    ({"resampling": "nearest", "compression": "zstd"}, "resampling and compression"),
]
PHOTOGRAPH_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"format": "jpeg"}, "format"),
    ({"quality": 80}, "quality"),
    ({"png_level": 9}, "png_level"),
    ({"format": "webp", "quality": 80}, "format and quality"),
]


@pytest.mark.parametrize(("changes", "names"), SCENE_SETTINGS)
def test_settings_of_scenes_say_nothing_of_photographs(changes: dict[str, Any], names: str) -> None:
    found = unused_settings(ImageSettings(**changes), "photographs")
    assert found == f"the pair is photographs, and {names} of scenes had no part in it"
    assert unused_settings(ImageSettings(**changes), "a scene") is None


@pytest.mark.parametrize(("changes", "names"), PHOTOGRAPH_SETTINGS)
def test_settings_of_photographs_say_nothing_of_a_scene(
    changes: dict[str, Any], names: str
) -> None:
    found = unused_settings(ImageSettings(**changes), "a scene")
    assert found == f"the pair is a scene, and {names} of photographs had no part in it"
    assert unused_settings(ImageSettings(**changes), "photographs") is None


def test_the_compression_of_a_photograph_that_becomes_tiff_is_used() -> None:
    settings = ImageSettings(format="tiff", compression="zstd", resampling="nearest")
    found = unused_settings(settings, "photographs")
    assert found == "the pair is photographs, and resampling of scenes had no part in it"


@pytest.mark.parametrize("kind", ["photographs", "a scene"])
def test_settings_that_were_left_alone_are_not_mentioned(kind: Any) -> None:
    assert unused_settings(ImageSettings(), kind) is None


@pytest.mark.parametrize(
    ("remarks", "joined"),
    [
        ((), None),
        ((None, None), None),
        ((None, "", "b"), "b"),
        (("a", None, "b", "c"), "a; b; c"),
    ],
)
def test_remarks_are_joined_to_one(remarks: tuple[str | None, ...], joined: str | None) -> None:
    assert join_remarks(*remarks) == joined


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
