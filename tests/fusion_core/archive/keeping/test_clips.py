"""Clips, what lies beside them, and their segments, when an output is checked and cleaned."""

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest
from blind_publisher import begin, end
from clips import ClipArchive

from fusion_core.archive.keeping.check import check
from fusion_core.archive.keeping.clean import plan_clean
from fusion_core.archive.keeping.forget import forget
from fusion_core.archive.layout import fused_path, is_image_of, path_beside
from fusion_core.archive.parts import commit_part
from fusion_core.archive.plan import PairRef
from fusion_core.storage.store import Storage
from fusion_core.video.segments import SegmentStore

PART = "manifest/date=2026-07-19/part-0a.parquet"
pytestmark = pytest.mark.usefixtures("still")


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An output with two clips, of which one's segments were never removed."""
    folder = tmp_path_factory.mktemp("clips")
    archive = ClipArchive(folder, segment_frames=5)
    how = {"codec": "libx264", "key_every": 5, "count": 10}
    refs = [archive.put(name, **how) for name in ("clip.mp4", "other.mp4")]
    rows = archive.fuse(refs[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentStore, "remove", lambda *_: None)
        rows += archive.fuse(refs[1])
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert commit_part(archive.output, PART, rows)
    shutil.rmtree(folder / "output/commits")
    return folder / "output", rows[0]


@pytest.fixture
def output(fused: tuple[Path, dict[str, Any]], tmp_path: Path) -> Storage:
    shutil.copytree(fused[0], tmp_path / "output")
    return Storage(str(tmp_path / "output"))


def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def below_fused(output: Storage) -> set[str]:
    return {path for path in output.list()["path"].to_pylist() if path.startswith("fused/")}


def segments(output: Storage) -> set[str]:
    return {path for path in below_fused(output) if ".segment-" in path}


def test_the_parts_of_a_clip_are_called_after_it(output: Storage) -> None:
    names = below_fused(output)
    assert len(names) == 2 * 3 + 4
    assert len(segments(output)) == 4
    endings = {path.rpartition("/")[2].split(".", 2)[2] for path in names - segments(output)}
    assert endings == {"mp4", "frames.parquet", "quicklook.png"}


def test_leftover_segments_of_a_committed_clip_may_go_and_nothing_else(
    output: Storage, tmp_path: Path
) -> None:
    plan = plan_clean(output, scratch(tmp_path), kinds=["images"], now=dt.datetime.now(dt.UTC))
    assert {*plan.objects.read()["path"].to_pylist()} == segments(output)


def test_a_check_finds_segments_alone(output: Storage, tmp_path: Path) -> None:
    found = check(output, scratch(tmp_path), deep=True, tell=lambda _: None)
    assert [one.count for one in found if "image" in one.kind] == [4]
    for path in segments(output):
        output.remove(path)
    assert check(output, scratch(tmp_path), deep=True, tell=lambda _: None) == []


def test_a_check_misses_a_clip_that_is_gone(output: Storage, tmp_path: Path) -> None:
    for path in segments(output):
        output.remove(path)
    clip = next(path for path in below_fused(output) if path.endswith(".mp4"))
    output.remove(clip)
    (found,) = check(output, scratch(tmp_path), deep=True, tell=lambda _: None)
    assert clip in f"{found}"


@pytest.mark.parametrize("name", ["clip", "other"])
def test_all_that_is_of_a_clip_goes_with_it(name: str, output: Storage, tmp_path: Path) -> None:
    before = below_fused(output)
    own = {path for path in before if path.rpartition("/")[2].startswith(f"{name}.")}
    publisher = begin(output, "forget")
    found = forget(output, [name], scratch(tmp_path), publisher.lease, lambda _: None)
    end(publisher)
    assert found.left == ()
    assert below_fused(output) == before - own
    assert len(own) == {"clip": 3, "other": 7}[name]


def test_what_lies_beside_a_clip_whose_name_was_taken_is_called_so_too() -> None:
    ref = PairRef("night/7", "ir/7.mp4", 1, "v", "vi/7.mp4", 1, "w")
    path = fused_path(ref, "0123456789abcdef", "m" * 64, "mp4", arithmetic="cpu-fp32-eager")
    for clip in (path, path_beside(path, "ab" * 32)):
        stem = clip.removesuffix(".mp4")
        for end_of_name in (".mp4", ".frames.parquet", ".quicklook.png"):
            assert is_image_of(stem + end_of_name, ["night/7"])
            assert not is_image_of(stem + end_of_name, ["night/70", "7"])
    stem = path.removesuffix(".mp4")
    assert is_image_of(f"{stem}.segment-00012.safetensors", ["night/7"])
    assert is_image_of(path_beside(f"{stem}.segment-00012.nut", "cd" * 32), ["night/7"])
