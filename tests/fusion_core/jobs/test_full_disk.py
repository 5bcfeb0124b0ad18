"""What a run does whose disk is full or can only be read: on real file systems of 2 MB."""

import ctypes
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_fixture import NAMES, ArchiveFixture, blamed
from generated_scenes import scene_bands
from PIL import Image
from scene_fixture import SceneFixture
from tiny import pair_refs, write_pairs

from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.plan import Chunk
from fusion_core.errors import StorageError
from fusion_core.jobs.worker import ChunkResult
from fusion_core.scenes.raster import gdal_settings

MS_RDONLY, MS_REMOUNT, MNT_DETACH = 1, 32, 2
ROOM = 2 << 20
LARGE = ["large", "larger"]


class SmallDisk:
    """A file system of its own, in memory.

    Attributes:
        path: Where it is mounted.
    """

    def __init__(self, path: Path):
        path.mkdir()
        self.path = path
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._mount(0)

    def _mount(self, flags: int) -> None:
        where = os.fsencode(self.path)
        if self._libc.mount(b"none", where, b"tmpfs", flags, f"size={ROOM}".encode()):
            reason = os.strerror(ctypes.get_errno())
            pytest.skip(f"can't mount a small file system here: {reason}")

    def unmount(self) -> None:
        self._libc.umount2(os.fsencode(self.path), MNT_DETACH)

    def fill(self, left: int = 0) -> None:
        """Leave so many bytes free."""
        state = os.statvfs(self.path)
        with (self.path / "ballast").open("wb") as file:
            file.write(bytes(max(0, state.f_bavail * state.f_bsize - left)))

    def make_room(self) -> None:
        (self.path / "ballast").unlink()

    def read_only(self, yes: bool) -> None:
        self._mount(MS_REMOUNT | (MS_RDONLY if yes else 0))

    def files(self) -> list[str]:
        found = (path for path in self.path.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.path)) for path in found)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if not hasattr(ctypes.CDLL(None), "umount2"):
        pytest.skip("mounts file systems as Linux does")
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.unmount()


def archive_on(disk: SmallDisk, tmp_path: Path) -> ArchiveFixture:
    """Four small pairs and two whose fused images are of 0.2 MB; the output is on the disk.

    One image is written at a time: half of a large one leaves no room for a small one beside it.
    """
    archive = ArchiveFixture(str(tmp_path), output=str(disk.path / "output"), io_threads=1)
    write_pairs(archive.settings.source, LARGE, (240, 300))
    return archive


def chunk_of(archive: ArchiveFixture, part: str, *names: str) -> Chunk:
    return Chunk(part, pair_refs(archive.settings.source, names))


def ok_rows(archive: ArchiveFixture) -> list[str]:
    rows = read_manifest(archive.output.url("commits/manifest"), latest=False).to_pylist()
    return sorted(row["pair_id"] for row in rows if row["status"] == "ok")


# Photographs


def test_an_image_that_does_not_fit_stops_its_pair_and_small_ones_are_written(
    disk: SmallDisk, tmp_path: Path
) -> None:
    archive = archive_on(disk, tmp_path)
    disk.fill(left=120_000)
    result = archive.worker().run(chunk_of(archive, "part", *NAMES, *LARGE))
    assert (result.parts, result.ok, result.failed) == ((archive.part,), 4, 0)
    assert [(one.ref.pair_id, one.cause) for one in result.undone] == [
        (name, "store") for name in LARGE
    ]
    for name in LARGE:
        row = archive.rows()[name]
        assert blamed(row) == ("undone", "store", "write", "WriteError")
        assert "no space left on device" in row["error_message"].lower()
        assert row["fused_url"] is None
    for name in NAMES:
        archive.check_image(archive.rows()[name])
    assert len(archive.images()) == 4
    assert not [name for name in disk.files() if name.endswith(".tmp")]


@pytest.mark.parametrize("reason", ["full", "read-only"])
def test_where_no_part_can_be_written_the_chunk_is_an_error_and_the_next_run_ends_it(
    disk: SmallDisk, tmp_path: Path, reason: str
) -> None:
    archive = archive_on(disk, tmp_path)
    archive.worker().run(chunk_of(archive, "before", "a", "large"))
    committed = disk.files()
    if reason == "full":
        disk.fill()
    else:
        disk.read_only(True)
    with pytest.raises(StorageError) as raised:
        archive.worker().run(chunk_of(archive, "part", "b", "c/d", "larger"))
    said = {"full": "No space left on device", "read-only": "Read-only file system"}[reason]
    assert said in str(raised.value)
    assert archive.part in str(raised.value)
    assert [name for name in disk.files() if name != "ballast"] == committed
    assert ok_rows(archive) == ["a", "large"]  # which stays readable
    if reason == "full":
        disk.make_room()
    else:
        disk.read_only(False)
    result = archive.worker("second").run(chunk_of(archive, "part", "b", "c/d", "larger"))
    assert result == ChunkResult((archive.part,), ok=3, failed=0)
    assert ok_rows(archive) == ["a", "b", "c/d", "large", "larger"]
    for row in archive.rows().values():
        archive.check_image(row)


def test_images_written_before_the_disk_was_full_are_taken_by_the_next_run(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_on(disk, tmp_path)
    worker = archive.worker()
    commit = worker._commit

    def full(*args: Any) -> Any:
        disk.fill()
        return commit(*args)

    monkeypatch.setattr(worker, "_commit", full)
    with pytest.raises(StorageError, match="No space left on device"):
        worker.run(archive.chunk())
    images = archive.images()
    assert len(images) == 4
    disk.make_room()
    assert archive.worker("second").run(archive.chunk()).ok == 4
    assert archive.images() == images
    assert ok_rows(archive) == NAMES


# Scenes


def scenes_on(disk: SmallDisk, tmp_path: Path) -> SceneFixture:
    archive = SceneFixture(tmp_path, output=str(disk.path / "output"), tile_size=256)
    archive.put("a", *scene_bands(5, (300, 340), bands=1, nodata=None))
    return archive


def test_a_full_output_stops_the_scene_and_leaves_no_part_of_it(
    disk: SmallDisk, tmp_path: Path
) -> None:
    archive = scenes_on(disk, tmp_path)
    disk.fill(left=100_000)
    (row,) = archive.fuse(archive.ref("a"))
    assert blamed(row) == ("undone", "store", "write", "WriteError")
    assert "No space left on device" in row["error_message"]
    assert archive.fused() == []
    assert not [name for name in disk.files() if name.endswith(".tmp")]
    disk.make_room()
    archive.fuse_one("a")


@pytest.mark.parametrize("left", [0, 60_000, 400_000, 900_000])
def test_a_full_temporary_folder_blames_the_worker_and_is_left_empty(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """From no room at all to room for the working file and not for what is made of it."""
    archive = SceneFixture(tmp_path, tile_size=256)
    archive.put("a", *scene_bands(5, (300, 340), bands=1, nodata=None))
    monkeypatch.setattr("tempfile.tempdir", str(disk.path))
    # As if the room had been taken by others after it was looked for.
    monkeypatch.setattr("fusion_core.jobs.scene.check_room", lambda *_: None)
    disk.fill(left=left)
    (row,) = archive.fuse(archive.ref("a"))
    assert (row["status"], row["cause"], row["fused_url"]) == ("undone", "worker", None)
    assert row["error_type"] == "ScratchError", (row["stage"], row["error_message"])
    assert "TMPDIR" in row["error_message"]
    assert archive.fused() == []
    assert disk.files() == ["ballast"]
    disk.make_room()
    archive.fuse_one("a")
    assert disk.files() == []


def striped_scene(tmp_path: Path) -> SceneFixture:
    """A pair of 1.6 MB a file, in strips that tiles cross, so that it is copied."""
    archive = SceneFixture(tmp_path, tile_size=256)
    rng = np.random.default_rng(1)
    ir, vi = (rng.integers(1, 9999, (1, 270, 3000), np.uint16) for _ in range(2))
    archive.put("a", ir, vi, {"blockysize": 8}, blockysize=8)
    return archive


def with_small_cache(megabytes: int) -> Any:
    """Settings of GDAL that let it hold so little that it writes while it reads."""
    settings = gdal_settings(megabytes)
    settings.options["GDAL_CACHEMAX"] = 200_000
    return settings


@pytest.mark.parametrize("piece", [20_000, 100_000])
@pytest.mark.parametrize("cache", ["as it is", "small"])
@pytest.mark.parametrize("left", [70_000, 1_000_000, 1_900_000])
def test_a_folder_that_is_full_in_the_middle_of_a_copy_is_no_fault_of_the_scene(
    disk: SmallDisk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    left: int,
    cache: str,
    piece: int,
) -> None:
    archive = striped_scene(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(disk.path))
    # As if the room had been taken by others after it was looked for.
    monkeypatch.setattr("fusion_core.scenes.local_copy.check_room", lambda *_: None)
    monkeypatch.setattr("fusion_core.scenes.local_copy._PIECE", piece)
    if cache == "small":
        monkeypatch.setattr("fusion_core.jobs.scene.gdal_settings", with_small_cache)
    disk.fill(left=left)
    (row,) = archive.fuse(archive.ref("a"))
    assert blamed(row) == ("undone", "worker", "encode", "ScratchError")
    assert row["error_message"].startswith("a copy of a scene can't be written")
    assert "TMPDIR" in row["error_message"]
    assert disk.files() == ["ballast"]


@pytest.mark.parametrize("kind", ["scene", "photograph"])
def test_room_for_a_copy_is_looked_for_before_it_is_made(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    archive = striped_scene(tmp_path)
    if kind == "photograph":
        file = io.BytesIO()
        Image.fromarray(np.zeros((1000, 1500), np.uint8)).save(file, "PNG")
        archive.put_bytes("vi", "a", file.getvalue())
    monkeypatch.setattr("tempfile.tempdir", str(disk.path))
    disk.fill(left=1_000_000)
    (row,) = archive.fuse(archive.ref("a"))
    assert blamed(row) == ("undone", "worker", "encode", "ScratchError")
    assert "0.0 GB free; expected 0.0 GB for a copy of an image" in row["error_message"]
    assert disk.files() == ["ballast"]


def test_a_temporary_folder_that_is_too_small_is_seen_before_anything_is_fused(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = SceneFixture(tmp_path)
    archive.put("a", *scene_bands(5, (800, 900), bands=3, nodata=None))
    monkeypatch.setattr("tempfile.tempdir", str(disk.path))
    (row,) = archive.fuse(archive.ref("a"))
    assert blamed(row) == ("undone", "worker", "encode", "ScratchError")
    assert "0.0 GB free; expected 0.0" in row["error_message"]
    assert row["seconds_fuse"] < 5
    assert disk.files() == []


def test_a_temporary_folder_that_can_only_be_read_blames_the_worker(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = SceneFixture(tmp_path)
    archive.put("a")
    monkeypatch.setattr("tempfile.tempdir", str(disk.path))
    disk.read_only(True)
    (row,) = archive.fuse(archive.ref("a"))
    assert blamed(row) == ("undone", "worker", "encode", "ScratchError")
    assert "Read-only file system" in row["error_message"]
    assert "TMPDIR" in row["error_message"]
