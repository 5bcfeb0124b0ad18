"""Where a fused scene goes, and what happens to what lies there already."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import rasterio
from archive_fixture import blamed
from generated_scenes import scene_bands
from scene_fixture import SIZE, SceneFixture, path_of

from fusion_core.archive.layout import fused_path, path_beside
from fusion_core.archive.plan import Chunk
from fusion_core.errors import UnreachableError
from fusion_core.metrics import METRIC_NAMES

GREY = scene_bands(3, SIZE, bands=1, nodata=None)[1]


@pytest.fixture
def archive(tmp_path: Path) -> SceneFixture:
    return SceneFixture(tmp_path)


def test_the_path_is_known_beforehand_and_holds_the_arithmetic(archive: SceneFixture) -> None:
    archive.put("a")
    digest = archive.settings.image_settings().settings_hash()
    expected = fused_path(
        archive.ref("a"), digest, archive.fuser.model_hash, "tiff", arithmetic="cpu-fp32-eager"
    )
    row = archive.fuse_one("a")
    assert path_of(archive, row) == expected
    assert (row["precision"], row["engine"]) == ("fp32", "eager")


def test_a_second_run_finds_the_same_and_changes_nothing(archive: SceneFixture) -> None:
    archive.put("a")
    first = archive.fuse_one("a")
    versions = archive.output.list("fused").to_pylist()
    second = archive.fuse_one("a")
    again = {row["path"]: row["version"] for row in archive.output.list("fused").to_pylist()}
    scene = path_of(archive, first)
    assert again[scene] == {row["path"]: row["version"] for row in versions}[scene]
    assert list(again) == [row["path"] for row in versions]
    for name in ("fused_sha256", "quicklook_url", "overlap", *METRIC_NAMES):
        assert second[name] == first[name], name


@pytest.mark.parametrize("where", ["local", "memory"])
@pytest.mark.parametrize("theirs", ["another scene", "text", "empty", "half"])
def test_other_bytes_at_the_path_stay_and_the_scene_lies_beside_them(
    tmp_path: Path, where: str, theirs: str
) -> None:
    """Also where they are a scene of the same grid and place: no row of ours vouches for it."""
    output = "" if where == "local" else f"memory://out-{uuid.uuid4().hex}"
    archive = SceneFixture(tmp_path, output=output)
    archive.put("a")
    first = archive.fuse_one("a")
    path = path_of(archive, first)
    whole = archive.output.read(path)
    if theirs == "another scene":
        local = tmp_path / "other.tif"
        local.write_bytes(whole)
        with rasterio.open(local, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
            dataset.write(GREY[0] // 2 + 900, 1)
        body = local.read_bytes()
    else:
        body = {"text": b"hello", "empty": b"", "half": whole[: len(whole) // 2]}[theirs]
    archive.output.write(path, body)
    row = archive.fuse_one("a")
    beside = path_beside(path, first["fused_sha256"])
    assert archive.output.read(path) == body
    assert path_of(archive, row) == beside
    assert archive.output.read(beside) == whole
    for name in ("fused_sha256", "fused_bytes", *METRIC_NAMES):
        assert row[name] == first[name], name
    stem = beside.removesuffix(".tif")
    assert path_of(archive, row, "quicklook_url") == f"{stem}.quicklook.png"
    item = json.loads(archive.output.read(path_of(archive, row, "item_url")))
    named = {asset["href"].rpartition("/")[2] for asset in item["assets"].values()}
    assert beside.rpartition("/")[2] in named
    assert path.rpartition("/")[2] not in named


def test_a_name_that_holds_another_scene_than_it_says_is_an_error(archive: SceneFixture) -> None:
    archive.put("a")
    first = archive.fuse_one("a")
    path = path_of(archive, first)
    for taken in (path, path_beside(path, first["fused_sha256"])):
        archive.output.write(taken, b"theirs")
    (row,) = archive.fuse(archive.ref("a"))
    assert blamed(row) == ("undone", "store", "write", "WriteError")
    assert "holds other bytes than its name says; expected those of this" in row["error_message"]


def test_a_store_that_gives_no_answer_to_a_scene_stops_the_chunk(
    archive: SceneFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.put("a")
    worker = archive.worker()

    def silent(*_: Any) -> None:
        raise UnreachableError("no answer for 120 s")

    monkeypatch.setattr(worker.output, "create_file", silent)
    with pytest.raises(UnreachableError):
        worker.run(Chunk("part", (archive.ref("a"),)))
    assert not archive.output.list("commits/manifest").num_rows
