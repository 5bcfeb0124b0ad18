import os
import pickle
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from fusion_core.errors import StorageError
from fusion_core.storage.listing import LISTING_SCHEMA
from fusion_core.storage.store import Storage
from fusion_core.storage.version import object_version

WRITERS = 32


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return Storage(str(tmp_path / "archive"))
    return Storage(f"memory://archive-{uuid.uuid4().hex}")


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_written_is_read_listed_and_found(storage: Storage) -> None:
    storage.write("ir/b.png", b"one")
    storage.write("ir/a.png", b"")
    storage.write("vi/a.png", b"three")
    assert storage.read("ir/b.png") == b"one"
    listing = storage.list()
    assert listing.schema == LISTING_SCHEMA
    assert listing["path"].to_pylist() == ["ir/a.png", "ir/b.png", "vi/a.png"]
    assert listing["bytes"].to_pylist() == [0, 3, 5]
    assert storage.exists("ir/a.png")
    assert not storage.exists("ir")
    assert not storage.exists("ir/c.png")


@pytest.mark.parametrize("body", [b"", b"abc", b"abcd", b"abcde"])
def test_no_more_is_read_than_asked_for(storage: Storage, body: bytes) -> None:
    storage.write("object", body)
    assert storage.read("object", most=4) == body[:4]
    assert storage.create("object", b"abcd") == (body == b"abcd")
    with pytest.raises(FileNotFoundError):
        storage.read("nothing", most=4)


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", ["2026/11/01/a", "2026/11/02/b", "2026/12/c", "20261/d"]),
        ("2026/", ["2026/11/01/a", "2026/11/02/b", "2026/12/c"]),
        ("2026", ["2026/11/01/a", "2026/11/02/b", "2026/12/c", "20261/d"]),
        ("2026/11/0", ["2026/11/01/a", "2026/11/02/b"]),
        ("/2026/12", ["2026/12/c"]),
        ("2026/12/c", ["2026/12/c"]),
        ("2026/13/", []),
    ],
)
def test_a_prefix_ends_anywhere_in_a_path(storage: Storage, prefix: str, found: list[str]) -> None:
    for path in ("2026/11/01/a", "2026/11/02/b", "2026/12/c", "20261/d"):
        storage.write(path, b"x")
    assert storage.list(prefix)["path"].to_pylist() == found


def test_nothing_is_an_empty_listing_and_a_missing_file(storage: Storage) -> None:
    assert storage.list("no/such").equals(LISTING_SCHEMA.empty_table())
    with pytest.raises(FileNotFoundError):
        storage.read("no/such")


def test_the_version_changes_with_the_content(storage: Storage) -> None:
    versions = []
    for body in (b"a", b"bb", b"cc"):
        storage.write("x", body)
        versions += storage.list()["version"].to_pylist()
        time.sleep(0.02)  # a file's time has the kernel's resolution, some milliseconds
    assert len(set(versions)) == 3


@pytest.mark.parametrize(
    ("info", "version"),
    [
        ({"size": 3, "ETag": '"abc"', "mtime": 1.0}, "abc"),
        ({"size": 3, "md5Hash": "q==", "etag": ""}, "q=="),
        ({"size": 3, "mtime": 1.5}, "3-1.500000"),
        ({"size": 3}, "3-0"),
    ],
)
def test_the_version_is_the_etag_else_size_and_time(info: dict[str, Any], version: str) -> None:
    assert object_version(info) == version


def test_a_second_create_loses_and_leaves_the_first(storage: Storage) -> None:
    assert storage.create("deep/er/part", b"first")
    assert not storage.create("deep/er/part", b"second")
    assert storage.read("deep/er/part") == b"first"
    assert storage.create("deep/er/part", b"first")  # its own, if an answer was lost


def test_local_and_memory_stores_are_found_exclusive_again_and_again(storage: Storage) -> None:
    assert storage.check_exclusive("runs")
    assert storage.check_exclusive("runs")
    assert storage.list()["path"].to_pylist() == ["runs/.exclusive-probe"]


def test_a_store_that_overwrites_is_noticed(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overwrite(full: str, body: bytes) -> None:
        storage.fs.makedirs(storage.fs._parent(full), exist_ok=True)
        storage.fs.pipe_file(full, body)

    monkeypatch.setattr(storage, "_create_once", overwrite)
    assert not storage.check_exclusive("runs")
    assert not storage.check_exclusive("runs")


def test_a_race_of_local_creates_has_one_winner_and_no_leftovers(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    for race in range(10):
        start = Barrier(WRITERS)

        def write(writer: int, name: str = f"race-{race}", start: Barrier = start) -> bool:
            start.wait()
            return storage.create(name, f"writer {writer}".encode() * 1000)

        with ThreadPoolExecutor(WRITERS) as pool:
            won = list(pool.map(write, range(WRITERS)))
        assert won.count(True) == 1
        assert storage.read(f"race-{race}") == f"writer {won.index(True)}".encode() * 1000
    assert files_below(tmp_path) == sorted(f"race-{race}" for race in range(10))


def test_replacing_shows_the_old_or_the_new_bytes_never_a_part(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    bodies = {bytes([value]) * 300_000 for value in b"ab"}
    storage.write("x", max(bodies))
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [storage.write("x", body) for body in [*bodies] * 50])
        seen = set()
        while not writing.done():
            seen.add(storage.read("x"))
    assert seen <= bodies
    assert files_below(tmp_path) == ["x"]


# The kernel ends the process where the file would grow beyond the limit, halfway through a write.
_DIE_WRITING = """
import resource, signal, sys
from fusion_core.storage.store import Storage
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it otherwise
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
folder, method, name = sys.argv[1:]
getattr(Storage(folder), method)(name, bytes(70_000))
"""


@pytest.mark.parametrize(("method", "name"), [("create", "new"), ("write", "old")])
def test_a_process_killed_while_writing_leaves_no_torn_file(
    tmp_path: Path, method: str, name: str
) -> None:
    storage = Storage(str(tmp_path))
    storage.write("old", b"body")
    command = [sys.executable, "-c", _DIE_WRITING, str(tmp_path), method, name]
    assert subprocess.run(command, timeout=60).returncode == -signal.SIGXFSZ
    (left,) = tmp_path.glob(".*")
    assert left.stat().st_size == 30_000
    assert [path for path in files_below(tmp_path) if path != left.name] == ["old"]
    assert storage.read("old") == b"body"
    assert storage.create("new", b"next")


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path), retry_seconds=0.1)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="can't write"):
        storage.write("folder", b"x")
    with pytest.raises(StorageError, match="can't create"):
        storage.create("n" * 300, b"x")
    (tmp_path / "file").write_bytes(b"x")
    for write in (storage.write, storage.create):
        with pytest.raises(StorageError, match=r"NotADirectoryError.*it is a file and no folder"):
            write("file/below", b"y")
    (tmp_path / "file").unlink()
    assert files_below(tmp_path) == []


def test_a_passing_failure_is_tried_again_and_a_lasting_one_named(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write("x", b"body")
    real, failures = storage.fs.info, [OSError("reset"), TimeoutError("slow")]

    def flaky(path: str) -> dict[str, Any]:
        if failures:
            raise failures.pop()
        return dict(real(path))

    monkeypatch.setattr(storage.fs, "info", flaky)
    assert storage.info("x")["size"] == 4
    failures += [OSError("reset")] * 99
    few = Storage(storage.url(""), retry_seconds=0.5)
    monkeypatch.setattr(few.fs, "info", flaky)
    with pytest.raises(StorageError, match=r"can't look up .*x: OSError: reset"):
        few.info("x")
    assert 60 < len(failures) < 98  # again and again, but not for ever


def test_links_are_listed_as_what_they_lead_to(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write("real", b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    rows = {row["path"]: row for row in storage.list().to_pylist()}
    assert rows["link"]["version"] == rows["real"]["version"]
    assert storage.is_version("link", storage.read("link"), rows["link"]["version"])
    assert set(rows) == {"real", "link", "dangling"}


def test_names_that_are_not_utf8_or_hold_anything_are_listed(tmp_path: Path) -> None:
    (tmp_path / "é ☃ %41\n#?.png").write_bytes(b"x")
    with open(os.fsencode(tmp_path) + b"/\xff.png", "wb"):
        pass
    storage = Storage(str(tmp_path))
    assert storage.list()["path"].to_pylist() == ["\\udcff.png", "é ☃ %41\n#?.png"]
    assert storage.read("é ☃ %41\n#?.png") == b"x"


def test_a_path_stays_below_the_root(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    assert storage.fs_path("/etc/passwd") == f"{tmp_path}//etc/passwd"
    assert Storage("/").fs_path("etc") == "/etc"
    assert Storage("/").url("") == "/"


def test_a_pickled_storage_opens_the_same_place(storage: Storage) -> None:
    storage.write("x", b"body")
    again = pickle.loads(pickle.dumps(storage))
    assert again.read("x") == b"body"
    assert again.url("x") == storage.url("x")


@pytest.mark.parametrize("url", ["nosuch://bucket", "s3://"])
def test_a_url_that_opens_nothing_is_refused(url: str) -> None:
    with pytest.raises(StorageError, match=r"xpected .* s3://bucket/folder"):
        Storage(url)
