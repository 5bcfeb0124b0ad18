import dataclasses
import posixpath
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from version_before import Left, restored

from fusion_core.archive.layout import fused_path, path_beside
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.plan import PairRef
from fusion_core.archive.stored_images import IMAGE_COLUMNS, image_path, stored_image
from fusion_core.models.arithmetic import Arithmetic
from fusion_core.storage.store import Storage

SHA256 = "ab" * 32
ROW = {
    "pair_id": "night/1",
    "ir_version": "v1",
    "vi_version": "w1",
    "model_hash": "m" * 64,
    "settings_hash": "0123456789abcdef",
    "device": "cpu",
    "precision": "bf16",
    "engine": "eager",
    "fused_format": "png",
    "fused_sha256": SHA256,
    "fused_bytes": 7,
    "fused_url": "s3://elsewhere/secret.png",
}
REF = PairRef("night/1", "ir/1.png", 1, "v1", "vi/1.png", 1, "w1")
HOSTILE = st.one_of(
    st.none(),
    st.text(max_size=40),
    st.sampled_from(["..", "../../etc", "/etc/passwd", "http://127.0.0.1/x", "png", "cog", SHA256]),
)


def written(arithmetic: str | None, kind: Any = "png") -> str:
    model, folder = str(ROW["model_hash"]), str(ROW["settings_hash"])
    return fused_path(REF, folder, model, kind, arithmetic=arithmetic)


def test_the_path_is_that_which_the_image_was_written_to_whatever_its_url_says() -> None:
    assert image_path(ROW) == written(Arithmetic("cpu", "bf16").key)
    gpu = ROW | {"device": "NVIDIA H100", "precision": "fp16"}
    assert image_path(gpu) == written(Arithmetic("cuda", "fp16").key)
    assert image_path(ROW | {"fused_format": "cog"}) == written("cpu-bf16-eager", "tiff")


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_a_clip_lies_where_it_was_written(kind: str, tmp_path: Path) -> None:
    row = ROW | {"fused_format": kind}
    path = written("cpu-bf16-eager", kind)
    assert path.endswith(f".{kind}")
    assert image_path(row) == path
    own = path_beside(path, SHA256)
    assert image_path(row | {"fused_url": f"/moved/to/{own}"}) == own
    stored = stored_image(Storage(str(tmp_path)), row)
    assert stored is not None
    assert (stored.path, stored.storage.root) == (path, str(tmp_path))


def test_rows_that_name_no_arithmetic_have_the_path_without_it() -> None:
    assert image_path(ROW | {"precision": None, "engine": None}) == written(None)


def test_an_image_beside_is_told_by_the_end_of_its_url_and_lies_below_the_same_output() -> None:
    own = path_beside(written("cpu-bf16-eager"), SHA256)
    for top in ("s3://bucket/out", "/moved/to", "http://127.0.0.1:5066"):
        assert image_path(ROW | {"fused_url": f"{top}/{own}"}) == own
    other = path_beside(written("cpu-bf16-eager"), "cd" * 32)
    assert image_path(ROW | {"fused_url": f"s3://bucket/{other}"}) == written("cpu-bf16-eager")


def test_an_image_that_was_written_before_long_paths_were_cut_is_told_by_its_url() -> None:
    deep = dataclasses.replace(REF, pair_id="夜間/" * 60 + "1")
    row = ROW | {"pair_id": deep.pair_id, "precision": None, "engine": None}
    names = str(ROW["settings_hash"]), str(ROW["model_hash"])
    cut, long = (fused_path(deep, *names, "png", whole=whole) for whole in (False, True))
    assert len(cut) < 800 < len(long)
    assert image_path(row) == cut
    for own in (long, path_beside(long, SHA256), path_beside(cut, SHA256)):
        assert image_path(row | {"fused_url": f"s3://bucket/{own}"}) == own


@pytest.mark.parametrize(
    "change",
    [
        {"settings_hash": "../../.."},
        {"settings_hash": "a/b"},
        {"settings_hash": ""},
        {"fused_sha256": None},
        {"fused_sha256": "../../../x"},
        {"fused_format": "svg"},
        {"fused_format": None},
    ],
)
def test_a_row_that_can_not_be_an_images_has_none(change: dict[str, Any]) -> None:
    assert image_path(ROW | change) is None
    assert stored_image(Storage(f"memory://{uuid.uuid4().hex}"), ROW | change) is None


@settings(max_examples=200)
@given(st.fixed_dictionaries(dict.fromkeys(IMAGE_COLUMNS, HOSTILE)))
def test_no_row_leads_out_of_the_folder_of_fused_images(row: dict[str, Any]) -> None:
    for one in (row, ROW | {"pair_id": row["pair_id"], "fused_url": row["fused_url"]}):
        path = image_path(one)
        if path is not None:
            assert path.startswith("fused/")
            assert posixpath.normpath(path) == path
            assert path.isprintable()


def test_the_image_must_have_the_bytes_that_the_row_vouches_for() -> None:
    output = Storage(f"memory://{uuid.uuid4().hex}")
    image = stored_image(output, ROW)
    assert image is not None
    assert (image.storage, image.sha256, image.size) == (output, SHA256, 7)


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return restored(tmp_path)


def test_every_image_that_version_0_1_0_left_is_found_and_is_the_one_of_its_row(left: Left) -> None:
    output = Storage(str(left.output))
    rows = read_manifest(
        output.url("manifest"),
        latest=False,
        columns=[*IMAGE_COLUMNS],
        filters=[("status", "=", "ok")],
    ).to_pylist()
    assert len(rows) == 10
    for row in rows:
        image = stored_image(output, row)
        assert image is not None
        assert row["fused_url"].endswith(image.path)
        assert len(image.read()) == row["fused_bytes"]
