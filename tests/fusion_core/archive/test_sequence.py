"""A sequence is found again by its path, as it was when it was planned."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from fusion_core.archive.pairing import pair_by_templates
from fusion_core.archive.sequence import list_frames
from fusion_core.errors import ReadError, SourceChangedError, StorageError
from fusion_core.storage.reading import read_listed
from fusion_core.storage.store import Storage
from fusion_core.storage.store_calls import Identity


@pytest.fixture
def archive(tmp_path: Path) -> Storage:
    for name in ("10.png", "f2.png", "x.png", "3.txt"):
        (tmp_path / "ir/c").mkdir(parents=True, exist_ok=True)
        (tmp_path / "ir/c" / name).write_bytes(name.encode())
    (tmp_path / "vi").mkdir()
    (tmp_path / "vi/c.mp4").write_bytes(b"video")
    return Storage(str(tmp_path))


def planned(archive: Storage) -> tuple[str, int, str]:
    pairs = pair_by_templates(archive.list(), "ir/{c}/{n:frame}.png", "vi/{c}.mp4").pairs
    (row,) = pairs.to_pylist()
    return row["ir_path"], row["ir_bytes"], row["ir_version"]


@pytest.mark.parametrize("identity", ["etag", "checksum"])
def test_frames_are_listed_again_by_number(archive: Storage, identity: Identity) -> None:
    archive = Storage(archive.url(""), identity=identity)
    path, size, version = planned(archive)
    frames = list_frames(archive, path, size=size, version=version)
    assert [(frame.number, frame.path) for frame in frames] == [
        (2, "ir/c/f2.png"),
        (10, "ir/c/10.png"),
    ]
    bodies = [read_listed(archive, frame.path, frame.bytes, frame.version) for frame in frames]
    assert bodies == [b"f2.png", b"10.png"]
    assert sum(map(len, bodies)) == size


@pytest.mark.parametrize("change", ["added", "gone", "written"])
def test_a_sequence_that_has_changed_since_it_was_planned_is_told(
    archive: Storage, change: str
) -> None:
    path, size, version = planned(archive)
    folder = Path(archive.url("ir/c"))
    if change == "gone":
        (folder / "10.png").unlink()
    else:
        (folder / {"added": "11.png", "written": "10.png"}[change]).write_bytes(b"other")
    with pytest.raises(SourceChangedError, match=r"frames ir/c/\{frame\}.png have .* and had 12"):
        list_frames(archive, path, size=size, version=version)


def test_a_sequence_that_is_gone_is_told(archive: Storage) -> None:
    path, size, version = planned(archive)
    shutil.rmtree(archive.url("ir"))
    with pytest.raises(SourceChangedError, match=r"ir/c/\{frame\}.png is gone"):
        list_frames(archive, path, size=size, version=version)


def test_a_sequence_that_cannot_be_listed_is_a_read_error(
    archive: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> pa.Table:
        raise StorageError("can't list")

    monkeypatch.setattr(Storage, "list", fails)
    with pytest.raises(ReadError, match="can't list"):
        list_frames(archive, "ir/c/{frame}.png", size=1, version="frames:0")
