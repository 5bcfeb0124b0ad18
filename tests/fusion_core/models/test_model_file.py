"""Models on stores that fail."""

from collections.abc import Iterator

import pytest
from s3_servers import S3Server
from tiny import empty_memory_store, tiny_model

from fusion_core.errors import StorageError, UnreachableError, WeightsError
from fusion_core.models.fuser import read_model
from fusion_core.models.weights_file import load_weights, save_weights
from fusion_core.storage.store import Storage

URL = "memory://models/tiny.safetensors"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("fusion_core.storage.retry._LONGEST_WAIT", 0.01)
    yield
    empty_memory_store()


def fail_at(monkeypatch: pytest.MonkeyPatch, method: str, failures: list[Exception]) -> None:
    files = Storage(URL).fs
    real = getattr(files, method)

    def flaky(path: str, *args: object, **kwargs: object) -> object:
        if failures:
            raise failures.pop()
        return real(path, *args, **kwargs)

    monkeypatch.setattr(files, method, flaky)


def test_a_model_is_read_from_a_store_that_fails_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = save_weights(URL, tiny_model(), {})
    failures: list[Exception] = [OSError("reset"), TimeoutError("slow")]
    fail_at(monkeypatch, "cat_file", failures)
    assert read_model(URL, sha256).model_hash == sha256
    assert not failures


def test_weights_are_written_to_a_store_that_fails_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[Exception] = [OSError("reset"), TimeoutError("slow")]
    fail_at(monkeypatch, "pipe_file", failures)
    sha256 = save_weights(URL, tiny_model(), {})
    assert not failures
    assert load_weights(URL, sha256)[1].sha256 == sha256


def test_a_store_that_keeps_failing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at(monkeypatch, "cat_file", [OSError("reset")] * 99)
    with pytest.raises(StorageError, match=r"can't read .*tiny\.safetensors: OSError: reset"):
        read_model(URL)


def test_a_store_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusion_core.storage.retry.RetryPolicy._is_over", lambda *_: True)
    fail_at(monkeypatch, "cat_file", [ConnectionError("refused")])
    with pytest.raises(UnreachableError, match=r"can't read .*tiny\.safetensors: the store of "):
        read_model(URL)


def test_a_protocol_that_is_unknown_is_named() -> None:
    with pytest.raises(StorageError, match=r"can.t open nosuch://models/a\.onnx"):
        read_model("nosuch://models/a.onnx")


def test_what_is_gone_is_no_fault_of_the_store() -> None:
    with pytest.raises(WeightsError, match=f"No model at {URL}"):
        read_model(URL)


@pytest.mark.s3
def test_weights_on_s3_are_written_and_read(s3: S3Server, s3_bucket: str) -> None:
    url = f"s3://{s3_bucket}/models/tiny.safetensors"
    sha256 = save_weights(url, tiny_model(), {})
    assert read_model(url, sha256).model_hash == sha256
    with pytest.raises(WeightsError, match=f"No model at {url}x"):
        read_model(f"{url}x")
    with pytest.raises(StorageError, match="there is no such bucket"):
        read_model("s3://no-such-bucket-of-ours/tiny.safetensors")
