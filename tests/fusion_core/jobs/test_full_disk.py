"""What a run does whose disk is full or can only be read: on real file systems of 2 MB."""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import NAMES, Desk
from generated_scenes import scene_bands
from scene_desk import SceneDesk
from tiny import pair_refs, write_pairs

from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.plan import Chunk
from fusion_core.errors import StorageError
from fusion_core.jobs.worker import ChunkResult

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


def desk_on(disk: SmallDisk, tmp_path: Path) -> Desk:
    """Four small pairs and two whose fused images are of 0.2 MB; the output is on the disk."""
    desk = Desk(str(tmp_path), output=str(disk.path / "output"))
    write_pairs(desk.settings.source, LARGE, (240, 300))
    return desk


def chunk_of(desk: Desk, part: str, *names: str) -> Chunk:
    return Chunk(part, pair_refs(desk.settings.source, names))


def ok_rows(desk: Desk) -> list[str]:
    rows = read_manifest(desk.output.url("manifest"), latest=False).to_pylist()
    return sorted(row["pair_id"] for row in rows if row["status"] == "ok")


# Photographs


def test_an_image_that_does_not_fit_fails_its_pair_and_small_ones_are_written(
    disk: SmallDisk, tmp_path: Path
) -> None:
    desk = desk_on(disk, tmp_path)
    disk.fill(left=120_000)
    result = desk.worker().run(chunk_of(desk, "part", *NAMES, *LARGE))
    assert result == ChunkResult((desk.part,), ok=4, failed=2)
    for name in LARGE:
        row = desk.rows()[name]
        assert (row["stage"], row["error_type"]) == ("write", "WriteError")
        assert "no space left on device" in row["error_message"].lower()
        assert row["fused_url"] is None
    for name in NAMES:
        desk.check_image(desk.rows()[name])
    assert len(desk.images()) == 4
    assert not [name for name in disk.files() if name.endswith(".tmp")]


@pytest.mark.parametrize("reason", ["full", "read-only"])
def test_where_no_part_can_be_written_the_chunk_is_an_error_and_the_next_run_ends_it(
    disk: SmallDisk, tmp_path: Path, reason: str
) -> None:
    desk = desk_on(disk, tmp_path)
    desk.worker().run(chunk_of(desk, "before", "a", "large"))
    committed = disk.files()
    if reason == "full":
        disk.fill()
    else:
        disk.read_only(True)
    with pytest.raises(StorageError) as raised:
        desk.worker().run(chunk_of(desk, "part", "b", "c/d", "larger"))
    said = {"full": "No space left on device", "read-only": "Read-only file system"}[reason]
    assert said in str(raised.value)
    assert desk.part in str(raised.value)
    assert [name for name in disk.files() if name != "ballast"] == committed
    assert ok_rows(desk) == ["a", "large"]  # which stays readable
    if reason == "full":
        disk.make_room()
    else:
        disk.read_only(False)
    result = desk.worker("second").run(chunk_of(desk, "part", "b", "c/d", "larger"))
    assert result == ChunkResult((desk.part,), ok=3, failed=0)
    assert ok_rows(desk) == ["a", "b", "c/d", "large", "larger"]
    for row in desk.rows().values():
        desk.check_image(row)


def test_images_written_before_the_disk_was_full_are_taken_by_the_next_run(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_on(disk, tmp_path)
    worker = desk.worker()
    commit = worker._commit

    def full(*args: Any) -> Any:
        disk.fill()
        return commit(*args)

    monkeypatch.setattr(worker, "_commit", full)
    with pytest.raises(StorageError, match="No space left on device"):
        worker.run(desk.chunk())
    images = desk.images()
    assert len(images) == 4
    disk.make_room()
    assert desk.worker("second").run(desk.chunk()).ok == 4
    assert desk.images() == images
    assert ok_rows(desk) == NAMES


# Scenes


def scene_desk_on(disk: SmallDisk, tmp_path: Path) -> SceneDesk:
    desk = SceneDesk(tmp_path, output=str(disk.path / "output"), tile_size=256)
    desk.put("a", *scene_bands(5, (300, 340), bands=1, nodata=None))
    return desk


def test_a_full_output_fails_the_scene_and_leaves_no_part_of_it(
    disk: SmallDisk, tmp_path: Path
) -> None:
    desk = scene_desk_on(disk, tmp_path)
    disk.fill(left=100_000)
    (row,) = desk.fuse(desk.ref("a"))
    assert (row["stage"], row["error_type"]) == ("write", "WriteError")
    assert "No space left on device" in row["error_message"]
    assert desk.fused() == []
    assert not [name for name in disk.files() if name.endswith(".tmp")]
    disk.make_room()
    desk.fuse_one("a")


@pytest.mark.parametrize("left", [0, 60_000, 400_000, 900_000])
def test_a_full_temporary_folder_fails_the_scene_and_is_left_empty(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """From no room at all to room for the working file and not for what is made of it."""
    desk = SceneDesk(tmp_path, tile_size=256)
    desk.put("a", *scene_bands(5, (300, 340), bands=1, nodata=None))
    monkeypatch.setattr("tempfile.tempdir", str(disk.path))
    # As if the room had been taken by others after it was looked for.
    monkeypatch.setattr("fusion_core.jobs.scene.check_room", lambda *_: None)
    disk.fill(left=left)
    (row,) = desk.fuse(desk.ref("a"))
    assert (row["status"], row["fused_url"]) == ("failed", None)
    assert row["error_type"] == "EncodeError", (row["stage"], row["error_message"])
    assert "TMPDIR" in row["error_message"]
    assert desk.fused() == []
    assert disk.files() == ["ballast"]
    disk.make_room()
    desk.fuse_one("a")
    assert disk.files() == []


def test_a_temporary_folder_that_is_too_small_is_seen_before_anything_is_fused(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = SceneDesk(tmp_path)
    desk.put("a", *scene_bands(5, (800, 900), bands=3, nodata=None))
    monkeypatch.setattr("tempfile.tempdir", str(disk.path))
    (row,) = desk.fuse(desk.ref("a"))
    assert row["error_type"] == "EncodeError"
    assert "0.0 GB free; expected 0.0" in row["error_message"]
    assert row["seconds_fuse"] < 5
    assert disk.files() == []


def test_a_temporary_folder_that_can_only_be_read_fails_the_scene_by_name(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = SceneDesk(tmp_path)
    desk.put("a")
    monkeypatch.setattr("tempfile.tempdir", str(disk.path))
    disk.read_only(True)
    (row,) = desk.fuse(desk.ref("a"))
    assert row["error_type"] == "EncodeError"
    assert "Read-only file system" in row["error_message"]
    assert "TMPDIR" in row["error_message"]
