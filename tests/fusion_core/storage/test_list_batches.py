"""A listing by several threads, page by page, holds each object once."""

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.errors import StorageError
from fusion_core.storage.listing import LISTING_SCHEMA
from fusion_core.storage.pages import Page
from fusion_core.storage.parallel_listing import list_parallel
from fusion_core.storage.retry import RetryCount, counted_by
from fusion_core.storage.store import Storage

PART = st.sampled_from(["a", "b", "a.png", "é", "0"])
NAMES = st.lists(st.lists(PART, min_size=1, max_size=8).map("/".join), unique=True, max_size=30)


def in_a_row(batches: Iterator[pa.Table]) -> pa.Table:
    return pa.concat_tables([LISTING_SCHEMA.empty_table(), *batches]).sort_by("path")


def pages_of(names: list[str], size: int) -> Any:
    """Lists names as S3 does, a few at a time."""

    def pages(start: str, *, deep: bool) -> Iterator[Page]:
        found, folders = [], []
        for name in sorted(names):
            rest = name.removeprefix(start)
            if not name.startswith(start):
                continue
            if deep or "/" not in rest:
                found.append(name)
            elif (folder := start + rest.split("/")[0] + "/") not in folders:
                folders.append(folder)
        entries = sorted([*found, *folders])
        for k in range(0, len(entries), size):
            some = entries[k : k + size]
            below = tuple(one for one in some if one in folders)
            last = k + size >= len(entries)
            yield Page([(one, {}) for one in some if one not in folders], below, last)

    return pages


@settings(max_examples=60)
@given(names=NAMES, size=st.integers(1, 5), threads=st.integers(1, 9), start=st.sampled_from("ab"))
def test_no_object_is_lost_or_listed_twice(
    names: list[str], size: int, threads: int, start: str
) -> None:
    for prefix in ("", start, f"{start}/"):
        listed = list_parallel(pages_of(names, size), prefix, threads)
        found = sorted(name for page in listed for name, _ in page.found)
        assert found == sorted(name for name in names if name.startswith(prefix))


@settings(max_examples=25)
@given(names=NAMES)
def test_folders_are_listed_as_a_plain_walk_lists_them(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder, name)
            if not any(parent.is_file() for parent in path.parents) and not path.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(name)
        storage = Storage(folder)
        walked = sorted(
            str(one.relative_to(folder)) for one in Path(folder).rglob("*") if one.is_file()
        )
        for prefix in ("", "a", "a/", "b/0"):
            wanted = [name for name in walked if name.startswith(prefix)]
            listing = storage.list(prefix)
            assert listing["path"].to_pylist() == wanted
            assert in_a_row(storage.list_batches(prefix, 4)).equals(listing)


def test_a_large_folder_comes_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pages", "list_batches"):
        monkeypatch.setattr(f"fusion_core.storage.{module}.PAGE", 7)
    for k in range(40):
        (tmp_path / f"{k:02}").write_bytes(b"x")
    batches = list(Storage(str(tmp_path)).list_batches())
    assert [len(batch) for batch in batches] == [7] * 5 + [5]
    assert in_a_row(iter(batches))["path"].to_pylist() == [f"{k:02}" for k in range(40)]


def test_small_folders_are_put_together(tmp_path: Path) -> None:
    for k in range(50):
        (tmp_path / f"{k}").mkdir()
        (tmp_path / f"{k}" / "x").write_bytes(b"x")
    (batch,) = Storage(str(tmp_path)).list_batches()
    assert len(batch) == 50


def test_links_that_lead_back_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "x").write_bytes(b"x")
    assert Storage(str(tmp_path)).list()["path"].to_pylist() == ["a/b/up", "a/x"]


def test_parts_are_listed_at_the_same_time_and_counted() -> None:
    """Each of two threads waits for the other's page."""
    together, count = threading.Barrier(2, timeout=30), RetryCount()

    def pages(start: str, *, deep: bool) -> Iterator[Page]:
        if not deep:
            yield Page([], ("a/", "b/") if not start else ())
            return
        together.wait()
        yield Page([(f"{start}1", {})])

    with counted_by(count):
        listed = list(list_parallel(pages, "", 2))
    assert sorted(name for page in listed for name, _ in page.found) == ["a/1", "b/1"]


def test_an_error_in_one_part_ends_the_listing() -> None:
    def pages(start: str, *, deep: bool) -> Iterator[Page]:
        if not deep:
            yield Page([], tuple(f"{k}/" for k in range(9)))
        elif start == "5/":
            raise StorageError("refused")
        else:
            yield from (Page([(f"{start}{k}", {})]) for k in range(99))

    with pytest.raises(StorageError, match="refused"):
        list(list_parallel(pages, "", 3))


def test_whoever_stops_early_leaves_no_thread_behind() -> None:
    def pages(start: str, *, deep: bool) -> Iterator[Page]:
        yield from (Page([(f"{start}{k}", {})], ("a/", "b/")) for k in range(10_000))

    before = threading.active_count()
    listed = list_parallel(lambda start, deep: pages(start, deep=deep), "", 4)
    for _ in range(2):
        next(listed)
    listed.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_folders_without_end_that_hold_one_each_are_listed_in_one_go() -> None:
    asked: list[tuple[str, bool]] = []
    whole = pages_of(["a/" * 30 + "x"], 5)

    def pages(start: str, *, deep: bool) -> Iterator[Page]:
        asked.append((start, deep))
        return whole(start, deep=deep)  # type: ignore[no-any-return]

    (page,) = (page for page in list_parallel(pages, "", 8) if page.found)
    assert [name for name, _ in page.found] == ["a/" * 30 + "x"]
    assert len(asked) < 9


@pytest.mark.s3
def test_a_bucket_is_listed_by_prefix_as_in_one_go(
    s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(f"s3://{s3_bucket}/in")
    names = [f"2026/{day:02}/{side}/{k}" for day in (1, 2, 3) for side in "iv" for k in range(3)]
    for name in [*names, "2026/top", "2027/1", "readme"]:
        storage.write(name, name.encode())
    listing = storage.list()
    assert len(listing) == len(names) + 3
    fs, whole = storage.fs, storage.fs.call_s3

    def few_at_a_time(method: str, **asked: Any) -> Any:
        return whole(method, **asked, **({"MaxKeys": 4} if "list" in method else {}))

    monkeypatch.setattr(fs, "call_s3", few_at_a_time)
    for prefix in ("", "2026/0", "2026/02/"):
        assert in_a_row(storage.list_batches(prefix, 3)).equals(storage.list(prefix))
    assert in_a_row(storage.list_batches()).equals(listing)
