"""What the storage code may count on from the test servers, and the errors it has to read."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import fsspec
import pytest
from s3_servers import S3Server

pytestmark = pytest.mark.s3

WRITERS = 16
# s3fs knows the lost race by a field of the answer that radosgw leaves out
LOSERS = {"moto": FileExistsError, "radosgw": OSError}


def answer(error: BaseException) -> Any:
    cause: Any = error.__cause__
    return cause.response


@pytest.fixture
def fs(s3_bucket: str) -> Any:
    # as many connections as writers, else the default of ten puts the race in a queue
    return fsspec.filesystem(
        "s3", use_listings_cache=False, config_kwargs={"max_pool_connections": WRITERS}
    )


@pytest.fixture
def stranger(s3: S3Server, s3_bucket: str) -> Any:
    return fsspec.filesystem("s3", key=s3.access_key, secret="wrong", use_listings_cache=False)


def test_exclusive_create_has_one_winner_among_sixteen(
    fs: Any, s3: S3Server, s3_bucket: str
) -> None:
    path = f"{s3_bucket}/manifest/entry.json"
    start = Barrier(WRITERS)

    def write(writer: int) -> Exception | None:
        start.wait()
        try:
            fs.pipe_file(path, f"writer {writer}".encode(), mode="create")
        except OSError as error:
            return error
        return None

    with ThreadPoolExecutor(WRITERS) as pool:
        outcomes = list(pool.map(write, range(WRITERS)))
    winners = [writer for writer, outcome in enumerate(outcomes) if outcome is None]
    losses = [outcome for outcome in outcomes if outcome is not None]

    assert len(winners) == 1
    assert fs.cat_file(path) == f"writer {winners[0]}".encode()
    assert {type(loss) for loss in losses} == {LOSERS[s3.name]}
    assert {answer(loss)["Error"]["Code"] for loss in losses} == {"PreconditionFailed"}


def test_exclusive_create_refuses_an_empty_body_too(fs: Any, s3: S3Server, s3_bucket: str) -> None:
    path = f"{s3_bucket}/empty"
    fs.pipe_file(path, b"", mode="create")
    with pytest.raises(LOSERS[s3.name]):
        fs.pipe_file(path, b"", mode="create")


def test_listing_shows_etags_that_change_with_the_body(fs: Any, s3_bucket: str) -> None:
    path = f"{s3_bucket}/date=2026-01-02/part.json"
    etags = []
    for body in (b"first", b"second", b"first"):
        fs.pipe_file(path, body)
        listing = fs.find(f"{s3_bucket}/date=2026-01-02", detail=True)
        assert list(listing) == [path]
        assert listing[path]["size"] == len(body)
        etags.append(listing[path]["ETag"])
    assert etags[0] == etags[2] != etags[1]


def test_a_wrong_secret_is_refused(fs: Any, stranger: Any, s3_bucket: str) -> None:
    path = f"{s3_bucket}/object"
    fs.pipe_file(path, b"body")
    with pytest.raises(PermissionError) as refused:
        stranger.pipe_file(path, b"other")
    assert answer(refused.value)["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer(refused.value)["Error"]["Code"] == "SignatureDoesNotMatch"
    with pytest.raises(PermissionError):
        stranger.cat_file(path)
    with pytest.raises(PermissionError):
        stranger.find(s3_bucket)
    assert fs.cat_file(path) == b"body"


def test_a_missing_bucket_is_a_missing_file(fs: Any, s3_bucket: str) -> None:
    missing = f"{s3_bucket}-missing"
    with pytest.raises(FileNotFoundError) as absent:
        fs.pipe_file(f"{missing}/object", b"", mode="create")
    assert answer(absent.value)["Error"]["Code"] == "NoSuchBucket"
    with pytest.raises(FileNotFoundError):
        fs.cat_file(f"{missing}/object")
    with pytest.raises(FileNotFoundError):
        fs.find(missing)
    assert not fs.exists(missing)


def test_plain_urls_reach_the_bucket(s3: S3Server, s3_bucket: str) -> None:
    url = f"s3://{s3_bucket}/object"
    with fsspec.open(url, "wb") as file:
        file.write(b"body")
    with fsspec.open(url, "rb", **s3.storage_options()) as file:
        assert file.read() == b"body"
