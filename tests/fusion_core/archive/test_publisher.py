"""What runs commit becomes rows of few files, once, whoever dies in the middle of it."""

import itertools
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from blind_publisher import StillHeart, begin, blind, commit, end, files, published
from manifest_rows import row
from tiny import TODAY

from fusion_core.archive import lease as lease_module
from fusion_core.archive import pieces, rows_file
from fusion_core.archive.layout import half_paths, part_path
from fusion_core.archive.parts import commit_part
from fusion_core.archive.publications import last_number, publications
from fusion_core.archive.publisher import Publisher
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.errors import LeaseLostError, StorageError
from fusion_core.storage.store import Storage


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "Heart", StillHeart)


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "out"))


def test_a_run_makes_one_file_however_often_it_publishes(output: Storage) -> None:
    publisher = begin(output)
    for count, name in enumerate("abc", 1):
        commit(output, publisher, name, f"{name}2", f"{name}1")
        publisher.publish()
        assert sum(published(output).values()) == 2 * count
    publisher.publish()  # nothing is new
    assert files(output) == ["rows-00000001-0001.parquet"]
    frame = pd.read_parquet(Path(output.url("manifest")))
    assert frame["pair_id"].tolist() == ["a1", "a2", "b1", "b2", "c1", "c2"]
    assert set(frame["date"].astype(str)) == {TODAY.isoformat()}
    end(publisher)


def test_who_holds_the_footer_of_before_still_reads_the_same_rows(output: Storage) -> None:
    publisher = begin(output)
    commit(output, publisher, "a", "a1")
    publisher.publish()
    (path,) = output.list("manifest/")["path"].to_pylist()
    before = output.read(path)
    reader = pq.ParquetFile(output.fs_path(path))
    commit(output, publisher, "b", "b1")
    publisher.publish()
    after = output.read(path)
    assert after.startswith(before)
    again = pq.ParquetFile(output.fs_path(path), metadata=reader.metadata)
    assert again.read(["pair_id"])["pair_id"].to_pylist() == ["a1"]
    assert len(pq.read_table(output.fs_path(path))) == 2
    end(publisher)


def test_a_file_that_is_full_is_followed_by_another(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_file, "MOST_ROW_GROUPS", 3)
    publisher = begin(output)
    for name in "0123456":
        commit(output, publisher, name, name)
        publisher.publish()
    assert files(output) == [f"rows-00000001-000{k}.parquet" for k in (1, 2, 3)]
    assert published(output) == Counter("0123456")
    end(publisher)


def test_many_parts_become_pieces_no_larger_than_a_file(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MOST_ROWS", 4)
    monkeypatch.setattr(rows_file, "MOST_ROWS", 4)
    publisher = begin(output)
    for name in "0123456":
        commit(output, publisher, name, *(f"{name}{k}" for k in range(3)))
    end(publisher)
    assert len(files(output)) == 4
    assert len(published(output)) == 21


def test_the_next_run_goes_on_with_the_days_file_where_the_one_before_ended_in_order(
    output: Storage,
) -> None:
    for name in "ab":
        publisher = begin(output, name)
        commit(output, publisher, name, name)
        end(publisher)
    assert files(output) == ["rows-00000001-0001.parquet"]
    end(begin(output, "nothing to do"))
    third = begin(output, "third")
    commit(output, third, "c", "c")
    third.publish()
    assert files(output) == ["rows-00000001-0001.parquet"]
    # It dies; the file may be written again by it, and nobody goes on with it.
    fourth = begin(output, "fourth")
    commit(output, fourth, "d", "d")
    end(fourth)
    assert files(output) == ["rows-00000001-0001.parquet", "rows-00000005-0001.parquet"]
    assert published(output) == Counter("abcd")


def test_what_a_dead_run_committed_is_published_by_the_next(output: Storage) -> None:
    first = begin(output, "first")
    commit(output, first, "a", "a")
    first.publish()
    commit(output, first, "b", "b")
    unheard = part_path(TODAY, "c")
    first.declare([unheard, part_path(TODAY, "d")])
    assert commit_part(output, unheard, [row("c")])
    second = begin(output, "second")
    assert published(output) == Counter("abc")
    # The dead one wakes up: what it commits late was closed, what it publishes is refused.
    assert not commit_part(output, part_path(TODAY, "d"), [row("d")])
    with pytest.raises(LeaseLostError, match="ended its publishing"):
        first.publish()
    assert published(output) == Counter("abc")
    end(second)
    assert begin(output, "third").take_over().unpublished == ()


def test_halves_of_a_split_chunk_are_published_once(output: Storage) -> None:
    first = begin(output, "first")
    whole = part_path(TODAY, "0b")
    left, right = half_paths(whole)
    first.declare([whole])
    assert commit_part(output, whole, [])
    assert commit_part(output, left, [row("l")])
    first.committed([left])
    first.publish()
    (record,) = (one for _, one in publications(output, 1))
    assert (record.open, record.halves) == ((whole,), (left,))
    assert commit_part(output, right, [row("r")])
    second = begin(output, "second")
    assert published(output) == Counter("lr")
    end(second)


def test_a_take_over_costs_what_was_left_open(output: Storage) -> None:
    def cost(parts: int, run: str) -> int:
        first = begin(output, f"{run} first")
        for k in range(parts):
            commit(output, first, f"{run}{k}", f"{run}{k}")
        first.publish()
        first.declare([part_path(TODAY, f"{run}open")])
        calls = itertools.count()
        counted = Counting(output, calls)
        second = blind(counted, f"{run} second")
        begun = next(calls)
        assert second.take_over().tombstones == 1
        spent = next(calls) - begun
        end(second)
        return spent

    assert cost(200, "a") <= cost(2, "b") + 2


class Counting(Storage):
    """Counts its calls."""

    def __init__(self, storage: Storage, calls: "itertools.count[int]"):
        super().__init__(storage.url(""))
        self._calls = calls

    def call(self, *args: Any, **options: Any) -> Any:
        next(self._calls)
        return super().call(*args, **options)


def test_a_record_whose_file_was_not_written_is_made_good(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin(output, "first")
    commit(output, first, "a", "a")
    first.publish()
    commit(output, first, "b", "b")
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "write", fails)
        with pytest.raises(StorageError, match="gone"):
            first.publish()
    assert last_number(output, 1) == 2
    assert published(output) == Counter("a")
    commit(output, first, "c", "c")
    first.publish()  # the same record's file first, then the next
    assert published(output) == Counter("abc")
    # The write that failed may arrive late, so its file isn't gone on with.
    assert files(output) == ["rows-00000001-0001.parquet", "rows-00000001-0002.parquet"]
    commit(output, first, "d", "d")
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "write", fails)
        with pytest.raises(StorageError):
            first.publish()
    end(begin(output, "second"))
    assert published(output) == Counter("abcd")


def fails(*_: Any) -> None:
    raise StorageError("the store is gone")


def test_a_row_is_visible_in_time(output: Storage) -> None:
    publisher = begin(output)
    publisher = Publisher(lambda: output, publisher.lease, 0.05)
    publisher.start()
    commit(output, publisher, "a", "a")
    seen = threading.Event()
    for _ in range(100):
        if published(output) == Counter("a"):
            seen.set()
            break
        seen.wait(0.05)
    assert seen.is_set()
    end(publisher)


def test_one_that_slept_writes_no_file_that_its_successor_may_have_written_anew(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = begin(output, "first")
    commit(output, sleeper, "0a", "p1")
    successor = blind(output, "second")
    monkeypatch.setattr(sleeper.lease._heart, "is_silent", True)
    with pytest.raises(LeaseLostError, match="second took the output over"):
        sleeper.publish()
    assert files(output) == []
    successor.take_over()
    assert published(output) == {"p1": 1}
    end(successor)


def test_a_file_that_a_late_write_has_replaced_by_an_earlier_one_is_made_good(
    output: Storage,
) -> None:
    first = begin(output, "first")
    bodies = []
    for name in "abc":
        commit(output, first, name, name)
        first.publish()
        (path,) = output.list("manifest/")["path"].to_pylist()
        bodies.append(output.read(path))
    output.write(path, bodies[0])
    assert published(output) == Counter("a")
    end(begin(output, "second"))
    assert published(output) == Counter("abc")


def test_a_file_of_another_make_is_not_gone_on_with(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin(output, "first")
    commit(output, first, "a", "a")
    end(first)
    fewer = PART_SCHEMA.remove(PART_SCHEMA.get_field_index("engine"))
    monkeypatch.setattr(rows_file, "part_schema", lambda path: fewer)
    second = begin(output, "second")
    commit(output, second, "b", "b")
    end(second)
    assert files(output) == ["rows-00000001-0001.parquet", "rows-00000002-0001.parquet"]
    assert published(output) == Counter("ab")


def test_whatever_fails_in_the_thread_is_tried_again(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = begin(output)
    publisher = Publisher(lambda: output, publisher.lease, 0.05)
    commit(output, publisher, "a", "a")
    real, fails_once = Publisher.publish, iter([RuntimeError("nobody foresaw this")])

    def publish(self: Publisher) -> None:
        for error in fails_once:
            raise error
        real(self)

    monkeypatch.setattr(Publisher, "publish", publish)
    publisher.start()
    pause = threading.Event()
    for _ in range(100):
        if published(output):
            break
        pause.wait(0.05)
    publisher.stop()
    assert published(output) == Counter("a")
