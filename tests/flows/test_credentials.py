import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from outputs import Bucket
from prefect.blocks.system import Secret
from s3_servers import S3Server
from tiny import settings_for, tiny_weights, write_pairs

import flows.credentials
from flows.credentials import StorageCredentials
from flows.fuse_archive import fuse_archive
from flows.summaries.run import RunSummary
from fusion_core.errors import SettingsError

pytestmark = pytest.mark.usefixtures("prefect_api")


def keep(name: str, value: Any) -> None:
    Secret(value=value).save(name, overwrite=True)


def test_without_a_block_the_usual_chain_is_left_to_the_store() -> None:
    assert StorageCredentials(None)() == {}


def test_a_block_holds_storage_options_as_json_or_object() -> None:
    keep("as-text", json.dumps({"key": "k", "secret": "s"}))
    keep("as-object", {"key": "k"})
    assert StorageCredentials("as-text")() == {"key": "k", "secret": "s"}
    assert StorageCredentials("as-object")() == {"key": "k"}


def test_a_block_is_read_again_before_it_can_be_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    keep("rotating", {"token": "old"})
    credentials = StorageCredentials("rotating")
    assert credentials() == {"token": "old"}
    keep("rotating", {"token": "new"})
    assert credentials() == {"token": "old"}
    monkeypatch.setattr(flows.credentials, "_FRESH_SECONDS", 0.0)
    assert credentials() == {"token": "new"}


def test_threads_read_a_block_as_the_flow_does_and_only_one_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep("shared", {"token": "old"})
    credentials, read = StorageCredentials("shared"), list[str]()
    real = flows.credentials._read_block

    def counted(name: str) -> dict[str, Any]:
        read.append(name)
        return real(name)

    monkeypatch.setattr(flows.credentials, "_read_block", counted)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: credentials(), range(32)))
    assert found == [{"token": "old"}] * 32
    assert read == ["shared"]


def test_a_server_that_is_away_for_a_moment_leaves_the_options_read_before(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(name: str) -> dict[str, Any]:
        raise ConnectionError("hunter2")

    keep("kept", {"token": "old"})
    credentials = StorageCredentials("kept")
    credentials()
    monkeypatch.setattr(flows.credentials, "_FRESH_SECONDS", 0.0)
    monkeypatch.setattr(flows.credentials, "_read_block", away)
    assert credentials() == {"token": "old"}
    assert "secret/kept can't be read again (ConnectionError)" in caplog.text
    assert "hunter2" not in caplog.text
    with pytest.raises(ConnectionError):
        StorageCredentials("kept")()


@pytest.mark.parametrize("value", ["no json: hunter2", '["hunter2"]'])
def test_a_block_of_the_wrong_kind_is_named_and_not_quoted(value: str) -> None:
    keep("wrong", value)
    with pytest.raises(SettingsError, match="secret/wrong") as error:
        StorageCredentials("wrong")()
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_block_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match="there is no Prefect block secret/absent"):
        StorageCredentials("absent")()


def test_the_representation_shows_no_secret() -> None:
    keep("shown", {"secret": "hunter2"})
    credentials = StorageCredentials("shown")
    credentials()
    assert "hunter2" not in repr(credentials)


@pytest.mark.ray
@pytest.mark.s3
@pytest.mark.slow
@pytest.mark.usefixtures("ray_nodes")
def test_a_run_with_a_block_over_a_bucket_with_bad_files_leaks_nothing(
    s3: S3Server,
    s3_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    archive = f"s3://{s3_bucket}/in"
    write_pairs(archive, ["a", "b", "cut", "empty", "text", "half"])
    write_pairs(archive, ["size"], size=(10, 10))
    bucket = Bucket(s3, s3_bucket)
    bucket.put("in/vi/cut.png", bucket.read("in/vi/cut.png")[:200])
    bucket.put("in/ir/empty.png", b"")
    bucket.put("in/vi/text.png", b"this is no image")
    bucket.put("in/vi/size.png", bucket.read("in/vi/a.png"))
    bucket.client.delete_object(Bucket=s3_bucket, Key="in/ir/half.png")
    keep("archive", s3.storage_options())
    for name in s3.env():
        monkeypatch.delenv(name)
    settings = settings_for(
        archive,
        f"s3://{s3_bucket}/out",
        tiny_weights(tmp_path),
        credentials_block="archive",
        max_failed=0.7,
        contact_sheet=2,
    )
    summary = fuse_archive(settings)
    assert isinstance(summary, RunSummary)
    assert (summary.fused, summary.unpaired) == (2, ("vi/half.png",))
    assert {row["pair_id"]: row["stage"] for row in summary.failures} == {
        "cut": "decode",
        "empty": "decode",
        "text": "decode",
        "size": "pair",
    }
    assert summary.contact_sheet is not None
    written = b"".join(bucket.read(key) for key in bucket.keys("out/"))
    everything = written.decode("latin-1") + caplog.text + "".join(capfd.readouterr())
    assert s3.secret_key not in everything
    assert s3.access_key not in everything
