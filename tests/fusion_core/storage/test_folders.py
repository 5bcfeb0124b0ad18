from pathlib import Path

import pytest
from s3_servers import S3Server

from fusion_core.storage import Storage, folders


def check(storage: Storage) -> None:
    assert folders(storage, "runs") == []
    for path in ("runs/b/summary.json", "runs/a/x/y.png", "runs/.lease", "other/c/d"):
        storage.write(path, b"1")
    assert folders(storage, "runs") == ["a", "b"]
    storage.write("runs/c/summary.json", b"1")
    assert folders(storage, "runs") == ["a", "b", "c"]
    assert folders(storage, "runs/b") == []


def test_folders_of_a_disk_are_named(tmp_path: Path) -> None:
    check(Storage(str(tmp_path / "out")))


@pytest.mark.s3
def test_folders_of_a_bucket_are_named(s3: S3Server) -> None:
    s3.make_bucket("folders")
    check(Storage("s3://folders/out", s3.storage_options))
