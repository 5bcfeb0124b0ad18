from pathlib import Path

import pytest

from flows.links import browsable


@pytest.fixture(autouse=True)
def amazon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


def test_a_local_folder_is_a_file_url(tmp_path: Path) -> None:
    assert browsable(str(tmp_path / "a b")) == f"file://{tmp_path}/a%20b"


def test_a_bucket_of_amazon_opens_in_its_console() -> None:
    console = "https://s3.console.aws.amazon.com/s3"
    assert browsable("s3://b/out/") == f"{console}/buckets/b?prefix=out/"
    assert browsable("s3://b/out/a b.png") == f"{console}/object/b?prefix=out/a%20b.png"


def test_a_bucket_of_another_server_opens_there(monkeypatch: pytest.MonkeyPatch) -> None:
    of_options = {"client_kwargs": {"endpoint_url": "http://minio:9000/"}}
    assert browsable("s3://b/out/", of_options) == "http://minio:9000/b/out/"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:7480")
    assert browsable("s3a://b/x.png") == "http://127.0.0.1:7480/b/x.png"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.local")
    assert browsable("s3://b/x.png") == "http://s3.local/b/x.png"


def test_no_link_holds_a_key_or_a_signature() -> None:
    options = {
        "key": "AKIA-planted",
        "secret": "planted",
        "endpoint_url": "https://planted:planted@minio:9000?planted=1#planted",
    }
    assert browsable("s3://b/out/", options) == "https://minio:9000/b/out/"


def test_a_bucket_of_google_opens_in_its_console_and_others_stay() -> None:
    console = "https://console.cloud.google.com/storage/browser"
    assert browsable("gs://b/out/") == f"{console}/b/out/"
    assert browsable("abfs://b/out/") == "abfs://b/out/"
