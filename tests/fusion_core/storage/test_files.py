"""What Storage does with local files, which may be larger than memory."""

import hashlib
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from fusion_core.errors import StorageError
from fusion_core.storage.store import Storage

WRITERS = 16


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return Storage(str(tmp_path / "archive"))
    return Storage(f"memory://archive-{uuid.uuid4().hex}")


def local_file(folder: Path, body: bytes) -> Path:
    path = folder / f"{uuid.uuid4().hex}.bin"
    path.write_bytes(body)
    return path


@pytest.mark.parametrize("body", [b"", b"a few bytes", bytes(range(256)) * 20_000])
def test_a_file_is_created_read_summed_and_fetched(
    storage: Storage, tmp_path: Path, body: bytes
) -> None:
    local = local_file(tmp_path, body)
    assert storage.create_file("deep/er/scene.tif", local)
    assert storage.read("deep/er/scene.tif") == local.read_bytes() == body
    assert storage.sha256("deep/er/scene.tif") == hashlib.sha256(body).hexdigest()
    storage.download("deep/er/scene.tif", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == body


def test_a_second_create_loses_and_leaves_the_first(storage: Storage, tmp_path: Path) -> None:
    assert storage.create_file("scene.tif", local_file(tmp_path, b"first"))
    assert not storage.create_file("scene.tif", local_file(tmp_path, b"other"))
    assert not storage.create_file("scene.tif", local_file(tmp_path, b"another length"))
    assert storage.read("scene.tif") == b"first"
    assert storage.create_file("scene.tif", local_file(tmp_path, b"first"))


def test_creating_meets_what_was_created_from_bytes(storage: Storage, tmp_path: Path) -> None:
    assert storage.create("scene.tif", b"first")
    assert storage.create_file("scene.tif", local_file(tmp_path, b"first"))
    assert not storage.create_file("scene.tif", local_file(tmp_path, b"other"))


def test_writing_replaces(storage: Storage, tmp_path: Path) -> None:
    for body in (b"a" * 300_000, b"short", b""):
        storage.write_file("deep/scene.tif", local_file(tmp_path, body))
        assert storage.read("deep/scene.tif") == body
    assert storage.list()["path"].to_pylist() == ["deep/scene.tif"]


def test_what_is_missing_is_a_missing_file(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.sha256("no/such")
    with pytest.raises(FileNotFoundError):
        storage.download("no/such", tmp_path / "fetched")


def test_a_missing_local_file_creates_nothing(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.create_file("scene.tif", tmp_path / "missing")
    assert not storage.exists("scene.tif")


def test_a_race_of_local_creates_has_one_winner_and_no_leftovers(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "archive"))
    files = [local_file(tmp_path, f"writer {k}".encode() * 50_000) for k in range(WRITERS)]
    start = Barrier(WRITERS)

    def write(writer: int) -> bool:
        start.wait()
        return storage.create_file("scene.tif", files[writer])

    with ThreadPoolExecutor(WRITERS) as pool:
        won = list(pool.map(write, range(WRITERS)))
    assert won.count(True) == 1
    assert storage.read("scene.tif") == files[won.index(True)].read_bytes()
    assert [path.name for path in (tmp_path / "archive").iterdir()] == ["scene.tif"]


def test_a_race_of_equal_files_is_won_by_all(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "archive"))
    local = local_file(tmp_path, b"the same" * 50_000)
    start = Barrier(WRITERS)

    def write(_: int) -> bool:
        start.wait()
        return storage.create_file("scene.tif", local)

    with ThreadPoolExecutor(WRITERS) as pool:
        assert all(pool.map(write, range(WRITERS)))


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "archive"), retry_seconds=0.1)
    local = local_file(tmp_path, b"x")
    (tmp_path / "archive" / "folder").mkdir(parents=True)
    with pytest.raises(StorageError, match="can't write"):
        storage.write_file("folder", local)
    with pytest.raises(StorageError, match="can't create"):
        storage.create_file("n" * 300, local)
    assert [path.name for path in (tmp_path / "archive").iterdir()] == ["folder"]


_COPY = """
import sys
from pathlib import Path
from peak_memory import peak_bytes
from fusion_core.storage.store import Storage
folder, size = sys.argv[1], int(sys.argv[2])
local = Path(folder) / "large.bin"
with local.open("wb") as file:
    file.truncate(size)
storage = Storage(folder + "/archive")
before = peak_bytes()
storage.create_file("a", local)
storage.create_file("a", local)
storage.write_file("b", local)
storage.sha256("a")
storage.download("a", Path(folder) / "fetched")
print(peak_bytes() - before)
"""


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _COPY, str(tmp_path), str(200 << 20)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) < 50 << 20
