import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from losing_answers import ONE_TRY, losing_answers
from s3_servers import S3Server, moto_server

from fusion_core.errors import StorageError
from fusion_core.storage.store import Storage

pytestmark = pytest.mark.s3

WRITERS = 8
MANY = {"config_kwargs": {"max_pool_connections": WRITERS}}
BODY = bytes(range(256)) * 30_000  # 7.7 MB, of more than one part if it were sent in parts


@pytest.fixture
def storage(s3_bucket: str) -> Storage:
    return Storage(f"s3://{s3_bucket}/archive")


@pytest.fixture
def local(tmp_path: Path) -> Path:
    (tmp_path / "local").write_bytes(BODY)
    return tmp_path / "local"


@pytest.mark.parametrize("body", [b"", b"a few bytes", BODY], ids=len)
def test_a_file_is_created_summed_and_fetched(
    storage: Storage, tmp_path: Path, body: bytes
) -> None:
    (tmp_path / "local").write_bytes(body)
    assert storage.create_file("deep/a b+é.tif", tmp_path / "local")
    assert storage.read("deep/a b+é.tif") == body
    assert storage.sha256("deep/a b+é.tif") == hashlib.sha256(body).hexdigest()
    storage.download("deep/a b+é.tif", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == body


def test_a_file_is_sent_in_one_request(
    storage: Storage, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts would be put together without the condition on some servers."""
    real, asked = storage.fs.call_s3, list[str]()

    def noted(method: str, *arguments: Any, **fields: Any) -> Any:
        asked.append(method)
        return real(method, *arguments, **fields)

    monkeypatch.setattr(storage.fs, "call_s3", noted)
    storage.create_file("a.tif", local)
    storage.write_file("b.tif", local)
    assert asked == ["put_object"] * 2
    assert storage.list()["bytes"].to_pylist() == [len(BODY)] * 2


def test_a_second_create_loses_and_equal_bytes_win(
    storage: Storage, local: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").write_bytes(BODY[::-1])
    assert storage.create_file("a.tif", local)
    assert not storage.create_file("a.tif", tmp_path / "other")
    assert storage.create_file("a.tif", local)
    assert storage.read("a.tif") == BODY
    storage.write_file("a.tif", tmp_path / "other")
    assert storage.read("a.tif") == BODY[::-1]


def race(storage: Storage, folder: Path) -> list[Path]:
    """Have several writers create one object at the same moment; returns the files that won."""
    files = [folder / str(writer) for writer in range(WRITERS)]
    for file in files:
        file.write_bytes(file.name.encode() * 100_000)
    start = Barrier(WRITERS)

    def write(file: Path) -> bool:
        start.wait()
        return storage.create_file("a.tif", file)

    with ThreadPoolExecutor(WRITERS) as pool:
        won = list(pool.map(write, files))
    return [file for file, wins in zip(files, won, strict=True) if wins]


def test_a_race_has_one_winner(s3_bucket: str, tmp_path: Path) -> None:
    """It once had two on a busy machine, where moto, and not the storage, was to blame.

    moto looks whether the object is there and then writes it, with other requests in between:
    whoever has to wait there overwrites what another one was told it had created. The moto of
    these tests looks and writes in one step, see ``moto_process``.
    """
    storage = Storage(f"s3://{s3_bucket}", MANY, retry_seconds=60)
    (winner,) = race(storage, tmp_path)
    assert storage.read("a.tif") == winner.read_bytes()


@pytest.mark.parametrize(("torn", "one"), [([], True), (["torn"], False)])
def test_a_race_has_several_winners_only_where_the_server_looks_before_it_writes(
    torn: list[str], one: bool, tmp_path: Path
) -> None:
    """So the race above can be lost, and what keeps moto from losing it is one step."""
    with moto_server("0.1", *torn) as server:
        server.make_bucket("race")
        storage = Storage("s3://race", {**server.storage_options(), **MANY}, retry_seconds=60)
        winners = race(storage, tmp_path)
    assert (len(winners) == 1) == one


@pytest.mark.parametrize("client_retries", [True, False])
@pytest.mark.parametrize("method", ["create_file", "write_file"])
def test_a_repeated_request_sends_all_of_the_file_again(
    s3: S3Server, storage: Storage, local: Path, method: str, client_retries: bool
) -> None:
    """The first request has read the file to its end when its answer is lost."""
    with losing_answers(s3.url, losses=1) as url:
        options = {"endpoint_url": url} | ({} if client_retries else {"config_kwargs": ONE_TRY})
        flaky = Storage(storage.url(""), options)
        assert getattr(flaky, method)("a.tif", local) in (True, None)
    assert storage.read("a.tif") == BODY


def test_an_error_of_the_store_is_named(s3_bucket: str, local: Path) -> None:
    missing = Storage(f"s3://{s3_bucket}-missing/archive")
    for method in ("create_file", "write_file", "download"):
        with pytest.raises(StorageError, match="no such bucket"):
            getattr(missing, method)("a.tif", local)


def test_wrong_credentials_are_refused(storage: Storage, local: Path) -> None:
    stranger = Storage(storage.url(""), {"key": "nobody", "secret": uuid.uuid4().hex})
    for method in ("create_file", "write_file"):
        with pytest.raises(StorageError, match="access denied"):
            getattr(stranger, method)("a.tif", local)


def test_what_is_missing_is_a_missing_file(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.sha256("no/such")
    with pytest.raises(FileNotFoundError):
        storage.download("no/such", tmp_path / "fetched")
