import hashlib
import pickle
from pathlib import Path

import pytest

from fusion_core.errors import StorageError
from fusion_core.storage.store import Storage
from fusion_core.storage.stored_file import StoredFile

BODY = b"what was written"
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(str(tmp_path))
    storage.write("fused/a.png", BODY)
    return storage


@pytest.mark.parametrize(("sha256", "size"), [(None, None), (DIGEST, None), (DIGEST, len(BODY))])
def test_what_is_as_expected_is_read(storage: Storage, sha256: str | None, size: int) -> None:
    file = StoredFile(storage, "fused/a.png", sha256, size)
    assert file.read() == BODY
    found, version = file.check()
    assert found == len(BODY)
    assert storage.is_version("fused/a.png", BODY, version)
    assert file.url == storage.url("fused/a.png")


def test_other_bytes_are_refused_with_what_was_found_and_expected(storage: Storage) -> None:
    file = StoredFile(storage, "fused/a.png", DIGEST, len(BODY))
    storage.write("fused/a.png", BODY[::-1])
    found = hashlib.sha256(BODY[::-1]).hexdigest()
    for look in (file.read, file.check):
        with pytest.raises(StorageError, match=f"{found}; expected {DIGEST}.*Somebody has replac"):
            look()


def test_a_file_of_another_size_is_never_read(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = StoredFile(storage, "fused/a.png", DIGEST, len(BODY) - 1)
    monkeypatch.setattr(Storage, "read", None)
    monkeypatch.setattr(Storage, "sha256", None)
    for look in (file.read, file.check):
        with pytest.raises(StorageError, match="has 16 bytes; expected the 15 that were written"):
            look()


def test_it_can_travel(storage: Storage) -> None:
    file = StoredFile(storage, "fused/a.png", DIGEST)
    copy = pickle.loads(pickle.dumps(file))
    assert (copy.path, copy.sha256, copy.url) == (file.path, DIGEST, file.url)
    assert copy.read() == BODY


def test_a_file_that_is_gone_is_told_apart(storage: Storage) -> None:
    for look in (StoredFile(storage, "b").read, StoredFile(storage, "b").check):
        with pytest.raises(FileNotFoundError):
            look()
