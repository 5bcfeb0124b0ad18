"""Every setting of images acts on photographs and on scenes, or is refused, or a row says so."""

import ast
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from generated_scenes import PLACE, collar, scene_bands
from pydantic import ValidationError
from rasterio.transform import Affine
from scene_fixture import SIZE, SceneFixture
from setting_acts import (
    JPEG,
    NO_PNG_LEVEL,
    NO_QUALITY,
    NO_VIDEO_QUALITY,
    TIFF,
    WEBP,
    Act,
    says_unused,
)
from tiny import TODAY, picture_pair, png, tiny_model

from fusion_core.archive.layout import part_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk
from fusion_core.errors import SettingsError
from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.models.baselines import BaselineFuser
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.settings.fuse import FuseArchiveSettings, ImageSettings
from fusion_core.settings.registration import RegistrationSettings

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

Kind = Literal["photographs", "scene"]

RESIZED = {"size_mismatch": "resize_ir"}
OF_CLIPS = {
    "video_codec": [Act("h265", "remark")],
    "video_quality": [Act(30, "remark"), NO_VIDEO_QUALITY],
    "steady": [Act(False, "remark")],
    "frame_rate": [Act(10.0, "remark")],
    "frame_clock": [Act("start", "remark")],
    "frame_offset": [Act(0.5, "remark")],
    "frame_tolerance": [Act(0.5, "remark")],
    "unmatched_frames": [Act("drop", "remark")],
    "segment_frames": [Act(10, "remark")],
}
ACTS: dict[Kind, dict[str, list[Act]]] = {
    "photographs": {
        "size_mismatch": [Act("resize_ir", "fate", "sizes")],
        "scaling": [Act("type")],
        "percentiles": [Act((5, 80)), Act((5, 80), "remark", "bytes")],
        "ir_range": [Act((7000, 9000)), Act((20, 90), pair="bytes")],
        "vi_range": [Act((20, 90))],
        "nodata": [Act(0)],
        "resampling": [Act("cubic", "remark", "sizes", RESIZED)],
        "compression": [Act("none", beside=TIFF), Act("none", "remark")],
        "tile_size": [Act(128, pair="large", in_tiles=True), Act(128, "remark", "large")],
        "format": [Act("webp")],
        "quality": [*(Act(50, beside=kind) for kind in (JPEG, WEBP)), *NO_QUALITY],
        "png_level": [Act(9), *NO_PNG_LEVEL],
        "precision": [Act("bf16")],
        **OF_CLIPS,
    },
    "scene": {
        "size_mismatch": [Act("resize_ir", "fate", "sizes")],
        "scaling": [Act("type")],
        "percentiles": [Act((5, 80)), Act((5, 80), "remark", "bytes")],
        "ir_range": [Act((7000, 9000)), Act((20, 90), pair="bytes")],
        "vi_range": [Act((3000, 5000))],
        "nodata": [Act(0), Act("none", pair="framed")],
        "resampling": [Act("cubic", pair="shifted")],
        "compression": [Act("none")],
        "tile_size": [Act(128, pair="large")],
        "format": [Act("webp", "remark")],
        "quality": [Act(50, "remark", beside=JPEG), *NO_QUALITY],
        "png_level": [Act(9, "remark"), *NO_PNG_LEVEL],
        "precision": [Act("bf16")],
        **OF_CLIPS,
    },
}
CASES = [
    (kind, name, act)
    for kind, acts in ACTS.items()
    for name in ImageSettings.model_fields
    for act in acts.get(name, [])
]


def photographs(pair: str) -> tuple[bytes, bytes]:
    ir, vi = picture_pair(5, {"large": (150, 200)}.get(pair, (24, 32)))
    if pair == "sizes":
        return png(ir[::2, ::2]), png(vi)
    if pair == "large":  # in 16 bits, which show the least difference
        return png(ir), png(257 * vi[..., 0].astype(np.uint16))
    counts = 7000 + 20 * ir.astype(np.uint16)
    counts[:4] = 0
    return png(ir if pair == "bytes" else counts), png(vi)


def put_scene(archive: SceneFixture, pair: str) -> None:
    size = {"large": (150, 200)}.get(pair, SIZE)
    ir, vi = scene_bands(3, size, bands=1, nodata=None)
    if pair == "framed":
        ir[~collar(size)] = vi[:, ~collar(size)] = 0
    elif pair == "bytes":
        ir, vi = (ir >> 8).astype(np.uint8), (vi >> 8).astype(np.uint8)
    elif pair == "sizes":
        nowhere = {"crs": None, "transform": Affine.identity()}
        floats = ir[::2, ::2].astype(np.float32), vi.astype(np.float32)
        archive.put("pair", *floats, ir_profile=nowhere, **nowhere)
        return
    ir_place = PLACE @ Affine.translation(0.4, 0.3) if pair == "shifted" else PLACE
    archive.put("pair", ir, vi, ir_profile={"transform": ir_place})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("acts")
    fused.cache_clear()


@cache  # the pairs with the defaults are asked for again and again
def fused(folder: Path, kind: Kind, pair: str, in_tiles: bool, *changes: Any) -> dict[str, Any]:
    """Fuse a pair by settings that are changed so; return its row."""
    own = {"precision": "fp32", **dict(changes)}
    fuser = NetworkFuser(tiny_model(), "cpu", own["precision"])
    archive = SceneFixture(folder / uuid.uuid4().hex, fuser=fuser, **own)
    if kind == "scene":
        put_scene(archive, pair)
    else:
        for side, body in zip(("ir", "vi"), photographs(pair), strict=True):
            archive.put_bytes(side, "pair", body)  # whose name says scene, which decides nothing
    archive.worker().run(Chunk("part", (archive.ref("pair"),), in_tiles=in_tiles))
    (row,) = read_part(archive.output, part_path(TODAY, "part")).to_pylist()
    return dict(row)


@pytest.mark.parametrize("kind", [*ACTS])
def test_every_setting_of_images_is_gone_through(kind: Kind) -> None:
    elsewhere = {*RegistrationSettings.model_fields}  # in test_registering.py
    assert {*ACTS[kind]} == {*ImageSettings.model_fields} - elsewhere
    assert all(ACTS[kind].values())


@pytest.mark.parametrize(
    ("kind", "name", "act"), CASES, ids=[f"{k}-{n}-{a.how}" for k, n, a in CASES]
)
def test_a_setting_acts_or_is_refused_or_the_row_says_that_it_had_no_part(
    kind: Kind, name: str, act: Act, folder: Path
) -> None:
    changed = {**act.beside, name: act.value}
    if act.how == "refused":
        assert ImageSettings(**act.beside)
        with pytest.raises(ValidationError, match=f"{name} is {act.value} and .* is .* Leave"):
            FuseArchiveSettings(source="in", output="out", **changed)
        return
    before = fused(folder, kind, act.pair, act.in_tiles, *act.beside.items())
    after = fused(folder, kind, act.pair, act.in_tiles, *changed.items())
    assert after["status"] == "ok", after["error_message"]
    assert (after["fused_format"] == "cog") == (kind == "scene")
    if act.how == "fate":
        assert before["error_type"] == "SizeMismatchError"
        return
    assert before["status"] == "ok", before["error_message"]
    same = before["fused_sha256"] == after["fused_sha256"]
    needless = act.how == "remark"
    assert (same, says_unused(after, name)) == (needless, needless), after["remark"]
    assert not says_unused(before, name)


@pytest.mark.parametrize("name", ["mean", "maximum", "laplacian", "guided"])
def test_a_method_of_one_precision_takes_no_other(name: str) -> None:
    with pytest.raises(SettingsError, match="computes in fp32 only"):
        BaselineFuser(name, "cpu", "bf16")


def read_settings() -> set[str]:
    """Names of the settings that the code reads: of settings, or by settings of themselves."""
    found = set()
    for path in (
        one for room in ("fusion_core", "flows", "actors") for one in ROOT.glob(f"{room}/**/*.py")
    ):
        of_settings = path.parent.name == "settings" or path.name.endswith("_settings.py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                owner = node.value
                name = getattr(owner, "attr", getattr(owner, "id", ""))
                if name == "settings" or (of_settings and name == "self"):
                    found.add(node.attr)
    return found


def test_no_setting_is_read_by_nothing() -> None:
    """Of runs as a whole: where it acts, the tests of what reads it show it."""
    fields = {
        name
        for settings in (FuseArchiveSettings, ScoreArchiveSettings, EvaluateSettings)
        for name in settings.model_fields
    }
    assert fields - read_settings() == set()
