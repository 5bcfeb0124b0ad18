import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from s3_accounts import Account, short_lived_account
from s3fs import S3FileSystem

from fusion_core.archive.manifest import read_manifest
from fusion_core.errors import StorageError
from fusion_core.storage.store import Storage


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with short_lived_account() as account:
        account.server.make_bucket("archive")
        yield account


class Rotating:
    """A block whose credentials are new ones from the n-th call on, the old ones refused."""

    def __init__(self, account: Account, calls: int):
        self.account, self.left, self.calls = account, calls, 0
        self.held = account.options()

    def __call__(self) -> dict[str, Any]:
        self.calls += 1
        self.left -= 1
        if self.left == 0:
            self.account.rotate()
            self.held = self.account.options()
        return self.held


def filled(account: Account, count: int) -> None:
    admin = Storage("s3://archive/in", account.server.storage_options())
    for number in range(count):
        admin.write(f"{number}", b"body")


@pytest.mark.s3
def test_a_listing_of_many_pages_goes_on_with_new_credentials(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(account, 7)
    asked = small_pages(monkeypatch)
    old = account.options()
    given = Rotating(account, calls=5)
    assert len(Storage("s3://archive/in", given).list()) == 7
    assert len(asked) == 4
    assert len(set(asked)) == 2, "both pairs of credentials were used"
    with pytest.raises(StorageError, match="access denied"):
        Storage("s3://archive/in", old).list()


@pytest.mark.s3
def test_a_listing_with_the_credentials_of_its_beginning_fails(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the one above would, if the function were called once."""
    filled(account, 7)
    asked = small_pages(monkeypatch, at_third=account.rotate)
    with pytest.raises(StorageError, match="access denied"):
        Storage("s3://archive/in", account.options()).list()
    assert len(asked) == 3


@pytest.mark.s3
def test_reads_go_on_with_new_credentials(account: Account) -> None:
    filled(account, 5)
    storage = Storage("s3://archive/in", Rotating(account, calls=4))
    first = storage.fs
    assert [storage.read(f"{number}") for number in range(5)] == [b"body"] * 5
    assert storage.fs is not first
    assert storage.options == account.options()
    assert pickle.loads(pickle.dumps(storage)).read("0") == b"body"


@pytest.mark.s3
def test_a_manifest_is_read_with_new_credentials(account: Account) -> None:
    given = Rotating(account, calls=2)
    assert len(read_manifest("s3://archive/out/manifest", storage_options=given)) == 0
    assert given.calls > 2


def test_options_that_stay_open_nothing_anew() -> None:
    asked = 0

    def options() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"auto_mkdir": True}

    storage = Storage("memory://fresh", options)
    assert {id(storage.fs) for _ in range(3)} == {id(storage.fs)}
    assert asked == 5
    assert storage.given_options is options


def small_pages(monkeypatch: pytest.MonkeyPatch, at_third: Any = None) -> list[str]:
    """Have every page of a listing hold two objects; returns the keys that asked for pages."""
    real, asked = S3FileSystem.call_s3, list[str]()

    def two(self: Any, method: str, *arguments: Any, **fields: Any) -> Any:
        if method == "list_objects_v2":
            asked.append(self.key)
            if at_third is not None and len(asked) == 3:
                at_third()
            fields["MaxKeys"] = 2
        return real(self, method, *arguments, **fields)

    monkeypatch.setattr(S3FileSystem, "call_s3", two)
    return asked
