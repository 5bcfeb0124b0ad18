"""Storage through a proxy on which one request in five goes wrong."""

import socket
import time
import uuid
from collections.abc import Iterator

import pytest
from faulty_proxy import FAULTS, faulty_proxy
from s3_servers import S3Server

from fusion_core.errors import StorageError, UnreachableError
from fusion_core.storage.retry import RetryCount, counted_by
from fusion_core.storage.store import Storage

pytestmark = pytest.mark.s3


def through(url: str, bucket: str, retry_seconds: float = 40.0) -> Storage:
    return Storage(f"s3://{bucket}/archive", {"endpoint_url": url}, retry_seconds)


@pytest.mark.parametrize("fault", [*FAULTS, "mixed"])
def test_every_operation_ends_as_if_nothing_had_gone_wrong(
    fault: str, s3: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that faults cost less time here, and yet more than what a busy machine takes by itself.
    monkeypatch.setattr("fusion_core.storage.s3._STALL_SECONDS", 1.5)
    monkeypatch.setattr("fusion_core.storage.retry._LONGEST_WAIT", 0.1)
    count = RetryCount()
    with faulty_proxy(s3, fault, 0.2, seed=5) as proxy, counted_by(count):
        storage = through(proxy.url, s3_bucket)
        # Each stall costs its 1.5 s, so there are fewer of them.
        objects = 5 if fault == "stall" else 10
        bodies = {f"{k}/o": uuid.uuid4().bytes * 40 for k in range(objects)}
        for path, body in bodies.items():
            assert storage.create(path, body), path
            assert not storage.create(path, b"other")
            assert storage.read(path) == body
            storage.write(path, body[::-1])
        assert storage.list()["path"].to_pylist() == sorted(bodies)
        assert {path: storage.read(path)[::-1] for path in bodies} == bodies
        made = proxy.made()
    assert sum(made.values()) > 3
    # A lie about an exclusive write is met by looking, the others by trying again. The HTTP client
    # repeats by itself what met a reset on a connection that it had used before.
    lied = made.get("lying_412", 0)
    unseen = sum(made.get(kind, 0) for kind in ("reset", "lost_answer"))
    assert sum(made.values()) - lied - unseen <= count.value <= sum(made.values()) - lied


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_stalls_for_ever_is_named_in_bounded_time(
    silent: str, s3_bucket: str
) -> None:
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=f"the store at {silent} gave no whole answer for 2"):
        through(silent, s3_bucket, retry_seconds=2.0).read("object")
    assert time.monotonic() - began < 5


def test_a_server_that_only_ever_answers_errors_is_given_up_after_a_number_of_them(
    s3: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusion_core.storage.retry._LONGEST_WAIT", 0.05)
    with faulty_proxy(s3, "slow_down_503", 1.0) as proxy:
        with pytest.raises(StorageError, match=r"can't read .*object: .*SlowDown") as told:
            through(proxy.url, s3_bucket).read("object")
        assert not isinstance(told.value, UnreachableError)
        assert proxy.made() == {"slow_down_503": 12}


def test_a_server_that_ignores_conditions_is_noticed(s3: S3Server, s3_bucket: str) -> None:
    with faulty_proxy(s3, "unconditional", 1.0) as proxy:
        assert not through(proxy.url, s3_bucket).check_exclusive("runs")
    assert through(s3.url, s3_bucket).check_exclusive("runs")
