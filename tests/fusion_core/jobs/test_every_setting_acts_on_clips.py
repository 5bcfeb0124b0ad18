"""Every setting of images acts on clips, or is refused, or a row says that it had no part."""

import uuid
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import ClipArchive, moving, write_sequence, write_video
from pydantic import ValidationError
from setting_acts import FFV1, JPEG, NO_PNG_LEVEL, NO_QUALITY, NO_VIDEO_QUALITY, Act, says_unused
from tiny import TODAY, tiny_model

from fusion_core.archive.layout import part_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.settings.fuse import FuseArchiveSettings, ImageSettings
from fusion_core.settings.registration import RegistrationSettings

COUNT = 8
ACTS: dict[str, list[Act]] = {
    "size_mismatch": [Act("resize_ir", "fate", "sizes")],
    "scaling": [Act("type")],
    "percentiles": [Act((5, 80)), Act((5, 80), "remark", "bytes")],
    "ir_range": [Act((7000, 9000)), Act((20, 90), pair="bytes")],
    "vi_range": [Act((20, 90))],
    "nodata": [Act(0)],
    "resampling": [Act("cubic", "remark")],
    "compression": [Act("none", "remark")],
    "tile_size": [Act(128, pair="large", beside=FFV1, in_tiles=True), Act(128, "remark")],
    "format": [Act("webp", "remark")],
    "quality": [Act(50, "remark", beside=JPEG), *NO_QUALITY],
    "png_level": [Act(9, "remark"), *NO_PNG_LEVEL],
    "precision": [Act("bf16")],
    "video_codec": [Act("h265"), Act("ffv1")],
    "video_quality": [Act(30), NO_VIDEO_QUALITY],
    "steady": [Act(False)],
    "frame_rate": [Act(10.0, pair="sequence"), Act(10.0, "remark")],
    "frame_clock": [Act("start", pair="late")],
    "frame_offset": [Act(-0.08, pair="late")],
    "frame_tolerance": [Act(0.05, pair="late")],
    "unmatched_frames": [Act("drop", pair="late"), Act("fail", "end", "late")],
    "segment_frames": [Act(3)],
}
CASES = [(name, act) for name in ImageSettings.model_fields for act in ACTS.get(name, [])]


def put(archive: ClipArchive, pair: str) -> PairRef:
    """Write a clip whose infrared side holds counts of 16 bits, unless it is called otherwise."""
    size = (150, 300) if pair == "large" else (48, 64)
    infrared = [frame[..., 0].copy() for frame in moving(COUNT, size, infrared=True)]
    if pair == "sizes":
        infrared = [frame[::2, ::2].copy() for frame in infrared]
    if pair == "sequence":
        write_sequence(archive.path("ir", "clip"), infrared)
        write_sequence(archive.path("vi", "clip"), moving(COUNT))
        template = "{}/{{c}}/{{n:frame}}.png"
        return archive.sequences(template.format("ir"), template.format("vi"))[0]
    kind = "gray"
    if pair != "bytes":
        infrared, kind = [7000 + 20 * frame.astype(np.uint16) for frame in infrared], "gray16le"
        for frame in infrared:
            frame[:4] = 0
    late = Fraction(2, 25) if pair == "late" else 0
    times = [Fraction(k, 25) + late for k in range(COUNT)]
    path = archive.path("ir", "clip.mkv")
    write_video(path, infrared, codec="ffv1", pixel_format=kind, times=times)
    write_video(archive.path("vi"), moving(COUNT, size), codec="libx264", key_every=3)
    return archive.ref("clip.mkv", "clip.mp4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("acts")
    fused.cache_clear()


@cache  # the pairs with the defaults are asked for again and again
def fused(folder: Path, pair: str, in_tiles: bool, *changes: Any) -> dict[str, Any]:
    """Fuse a clip by settings that are changed so; return its row."""
    own = {"precision": "fp32", **dict(changes)}
    fuser = NetworkFuser(tiny_model(), "cpu", own["precision"])
    archive = ClipArchive(folder / uuid.uuid4().hex, fuser=fuser, **own)
    archive.worker().run(Chunk("part", (put(archive, pair),), in_tiles=in_tiles))
    (row,) = read_part(archive.output, part_path(TODAY, "part")).to_pylist()
    return dict(row)


def test_every_setting_of_images_is_gone_through() -> None:
    of_registration = {*RegistrationSettings.model_fields}  # whose own tests show clips
    assert {*ACTS} == {*ImageSettings.model_fields} - of_registration
    assert all(ACTS.values())


@pytest.mark.parametrize(("name", "act"), CASES, ids=[f"{n}-{a.how}" for n, a in CASES])
def test_a_setting_acts_or_is_refused_or_the_row_says_that_it_had_no_part(
    name: str, act: Act, folder: Path
) -> None:
    changed = {**act.beside, name: act.value}
    if act.how == "refused":
        assert ImageSettings(**act.beside)
        with pytest.raises(ValidationError, match=f"{name} is {act.value} and .* is .* Leave"):
            FuseArchiveSettings(source="in", output="out", **changed)
        return
    before = fused(folder, act.pair, act.in_tiles, *act.beside.items())
    after = fused(folder, act.pair, act.in_tiles, *changed.items())
    if act.how == "end":
        assert (before["status"], after["error_type"]) == ("ok", "OverlapError")
        return
    assert after["status"] == "ok", after["error_message"]
    lossless = "ffv1" in (act.value, act.beside.get("video_codec"))
    assert after["fused_format"] == ("mkv" if lossless else "mp4")
    if act.how == "fate":
        assert before["error_type"] == "SizeMismatchError"
        return
    assert before["status"] == "ok", before["error_message"]
    same = before["fused_sha256"] == after["fused_sha256"]
    needless = act.how == "remark"
    assert (same, says_unused(after, name)) == (needless, needless), after["remark"]
    assert not says_unused(before, name)
