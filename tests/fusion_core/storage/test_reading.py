"""Files are read whole, and only as they were when the archive was listed."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import empty_memory_store

from fusion_core.errors import ReadError, SourceChangedError, StorageError, UnreachableError
from fusion_core.storage.reading import read_listed
from fusion_core.storage.store import Storage

BODY = b"what an image holds"


@pytest.fixture(params=["local", "memory"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    root = str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}"
    storage = Storage(root)
    storage.write("ir/a.png", BODY)
    yield storage
    empty_memory_store()


def listed(source: Storage) -> tuple[str, int, str]:
    """Return path, size and version of the file as a listing tells them."""
    (row,) = source.list().to_pylist()
    return row["path"], row["bytes"], row["version"]


def test_a_file_is_read_whole(source: Storage) -> None:
    assert read_listed(source, *listed(source)) == BODY


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (BODY + b"!", "ir/a.png has 20 bytes and had 19 when the archive was listed"),
        (BODY[:-1], "ir/a.png has 18 bytes and had 19 when"),
        (b"", "ir/a.png has 0 bytes and had 19 when"),
        (BODY[::-1], "ir/a.png has other content than when the archive was listed"),
    ],
    ids=["longer", "shorter", "empty", "of the same size"],
)
def test_a_file_that_changed_is_refused(source: Storage, now: bytes, words: str) -> None:
    what = listed(source)
    source.write("ir/a.png", now)
    with pytest.raises(SourceChangedError, match=words):
        read_listed(source, *what)


def test_bytes_that_a_store_cuts_off_are_not_the_file(
    source: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = listed(source)
    monkeypatch.setattr(source, "read", lambda *_: BODY[:7])
    with pytest.raises(SourceChangedError, match="has 7 bytes and had 19"):
        read_listed(source, *what)


def test_a_file_that_is_gone_is_told_from_one_that_changed(source: Storage) -> None:
    what = listed(source)
    source.fs.rm_file(source.fs_path("ir/a.png"))
    with pytest.raises(SourceChangedError, match=r"ir/a\.png is gone; .* The next run looks"):
        read_listed(source, *what)


def test_a_name_that_is_not_utf_8_is_not_called_gone(source: Storage) -> None:
    with pytest.raises(ReadError, match="its name is not UTF-8") as caught:
        read_listed(source, "ir/\\udce4.png", 9, "v")
    assert not isinstance(caught.value, SourceChangedError)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StorageError("no room"), ReadError),
        (UnreachableError("no answer"), UnreachableError),
    ],
    ids=["a refusal", "silence"],
)
def test_what_the_store_raises_is_no_change_of_the_file(
    source: Storage, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]
) -> None:
    what = listed(source)

    def fail(*_: Any) -> bytes:
        raise error

    monkeypatch.setattr(source, "read", fail)
    with pytest.raises(kind) as caught:
        read_listed(source, *what)
    assert not isinstance(caught.value, SourceChangedError)


def test_a_file_that_goes_while_its_version_is_asked_for_is_gone(
    source: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = listed(source)

    def fail(*_: Any) -> bool:
        raise FileNotFoundError("ir/a.png")

    monkeypatch.setattr(source, "is_version", fail)
    with pytest.raises(SourceChangedError, match=r"ir/a\.png is gone"):
        read_listed(source, *what)
