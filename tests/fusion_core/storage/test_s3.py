import socket
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from losing_answers import ONE_TRY, losing_answers
from s3_servers import S3Server

from fusion_core.errors import StorageError
from fusion_core.storage.store import Storage

pytestmark = pytest.mark.s3

WRITERS = 16

OPERATIONS: list[Callable[[Storage], Any]] = [
    lambda storage: storage.list(),
    lambda storage: storage.list("deep/er"),
    lambda storage: storage.read("object"),
    lambda storage: storage.exists("object"),
    lambda storage: storage.write("object", b"body"),
    lambda storage: storage.create("object", b"body"),
    lambda storage: storage.check_exclusive("runs"),
]


@pytest.fixture
def storage(s3_bucket: str) -> Storage:
    return Storage(f"s3://{s3_bucket}/archive")


def test_what_is_written_is_read_and_listed_under_its_etag(storage: Storage) -> None:
    versions = []
    for body in (b"first", b"second", b"first"):
        storage.write("ir/a b+é%41.png", body)
        listing = storage.list("ir/")
        assert listing["path"].to_pylist() == ["ir/a b+é%41.png"]
        assert listing["bytes"].to_pylist() == [len(body)]
        versions += listing["version"].to_pylist()
        assert storage.read("ir/a b+é%41.png") == body
    assert versions[0] == versions[2] == "8b04d5e3775d298e78455efc5ca404d5"  # md5sum of "first"
    assert versions[1] == "a9f0e61a137d86aa9db53465e0801612"


@pytest.mark.parametrize("body", [b"", b"abc", b"abcd", b"abcde"])
def test_no_more_is_read_than_asked_for(storage: Storage, body: bytes) -> None:
    storage.write("object", body)
    assert storage.read("object", most=4) == body[:4]
    assert storage.create("object", b"abcd") == (body == b"abcd")
    with pytest.raises(FileNotFoundError):
        storage.read("nothing", most=4)


def test_folder_marks_of_a_console_are_no_files(s3_bucket: str, storage: Storage) -> None:
    for key in ("archive/", "archive/ir/", "archive/ir/a.png", "archive-2/b.png"):
        storage.fs.call_s3("put_object", Bucket=s3_bucket, Key=key, Body=b"")
    assert storage.list()["path"].to_pylist() == ["ir/a.png"]
    assert not storage.exists("ir")
    assert storage.exists("ir/a.png")


def test_nothing_below_a_prefix_is_an_empty_listing(storage: Storage) -> None:
    assert storage.list().num_rows == 0
    with pytest.raises(FileNotFoundError):
        storage.read("object")


def test_a_race_of_creates_has_one_winner(s3_bucket: str) -> None:
    storage = Storage(
        f"s3://{s3_bucket}", {"config_kwargs": {"max_pool_connections": WRITERS}}, retry_seconds=60
    )
    start = Barrier(WRITERS)

    def write(writer: int) -> bool:
        start.wait()
        return storage.create("manifest/part", f"writer {writer}".encode())

    with ThreadPoolExecutor(WRITERS) as pool:
        won = list(pool.map(write, range(WRITERS)))
    assert won.count(True) == 1
    assert storage.read("manifest/part") == f"writer {won.index(True)}".encode()
    assert storage.list()["path"].to_pylist() == ["manifest/part"]


@pytest.mark.parametrize("client_retries", [True, False])
def test_an_own_success_whose_answer_was_lost_counts_as_won(
    s3: S3Server, storage: Storage, client_retries: bool
) -> None:
    with losing_answers(s3.url, losses=1) as url:
        options = {"endpoint_url": url} | ({} if client_retries else {"config_kwargs": ONE_TRY})
        assert Storage(storage.url(""), options).create("part", b"mine")
    assert storage.read("part") == b"mine"
    assert not storage.create("part", b"other")


def test_the_probe_survives_a_lost_answer_and_leaves_one_object(
    s3: S3Server, storage: Storage
) -> None:
    with losing_answers(s3.url, losses=2) as url:
        assert Storage(storage.url(""), {"endpoint_url": url}).check_exclusive("runs")
    assert storage.check_exclusive("runs")
    assert storage.list()["path"].to_pylist() == ["runs/.exclusive-probe"]


def test_a_missing_bucket_is_named(s3_bucket: str) -> None:
    missing = f"s3://{s3_bucket}-missing/archive"
    storage = Storage(missing)
    for operation in OPERATIONS:
        with pytest.raises(StorageError, match=f"{missing}.*no such bucket"):
            operation(storage)


def test_a_wrong_secret_is_refused_at_once_and_told_nowhere(s3: S3Server, storage: Storage) -> None:
    storage.write("object", b"kept")
    secret = uuid.uuid4().hex
    stranger = Storage(storage.url(""), {"key": s3.access_key, "secret": secret})
    began = time.monotonic()
    for operation in OPERATIONS:
        with pytest.raises(StorageError, match="access denied") as refused:
            operation(stranger)
        shown: BaseException | None = refused.value
        while shown is not None:
            assert secret not in str(shown)
            shown = shown.__cause__ or shown.__context__
    assert time.monotonic() - began < 10
    assert secret not in repr(stranger)
    assert storage.read("object") == b"kept"


def test_a_dead_endpoint_is_named_in_bounded_time(s3_bucket: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    # s3fs and botocore try again by themselves, and Storage on top of both
    options = {"endpoint_url": f"http://{address}", "config_kwargs": ONE_TRY}
    storage = Storage(f"s3://{s3_bucket}", options, retry_seconds=1)
    began = time.monotonic()
    for operation in OPERATIONS:
        with pytest.raises(StorageError, match=address):
            operation(storage)
    assert time.monotonic() - began < 60
