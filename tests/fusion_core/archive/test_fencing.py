"""Whoever takes an output over writes tombstones, so that no pair is committed twice."""

import collections
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archive_fixture import NAMES, ArchiveFixture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import TODAY, empty_memory_store

from fusion_core.archive.fencing import with_intents
from fusion_core.archive.layout import part_path
from fusion_core.archive.lease import Lease, acquire
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.parts import read_part_or_tombstone
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.archive.publisher import Publisher
from fusion_core.errors import LeaseLostError
from fusion_core.storage.store import Storage

SECONDS = 1.0


@pytest.fixture
def archive(tmp_path: Path) -> ArchiveFixture:
    return ArchiveFixture(str(tmp_path))


def take(output: Storage, run_id: str) -> Lease:
    return acquire(lambda: output, run_id, seconds=SECONDS, wait=True)


def dead(output: Storage, run_id: str) -> Lease:
    """Take the lease without a heartbeat, as who is stopped in the next moment."""
    lease = take(output, run_id)
    lease.abandon()
    return lease


def path_of(chunk: Chunk) -> str:
    return part_path(TODAY, chunk.part_id)


def chunks_of(run_id: str, pairs: tuple[PairRef, ...], size: int) -> list[Chunk]:
    return [
        Chunk(f"{run_id}{start}", pairs[start : start + size])
        for start in range(0, len(pairs), size)
    ]


def rows(output: Storage) -> collections.Counter[str]:
    table = read_manifest(output.url("commits/manifest"), latest=False)
    assert set(table["status"].to_pylist()) <= {"ok"}
    return collections.Counter(table["pair_id"].to_pylist())


def test_intents_that_were_not_committed_become_tombstones(archive: ArchiveFixture) -> None:
    first = dead(archive.output, "first")
    chunks = list(
        with_intents(chunks_of("first", archive.chunk().pairs, 1), first.declare_intents, path_of)
    )
    archive.worker("first").run(chunks[0])
    second = take(archive.output, "second")
    assert Publisher(lambda: archive.output, second).take_over().tombstones == 3
    assert rows(archive.output) == {"a": 1}
    table, closed_by = read_part_or_tombstone(archive.output, path_of(chunks[1]))
    assert (len(table), closed_by) == (0, "second")
    for chunk in chunks[1:]:
        with pytest.raises(LeaseLostError, match=r"second has taken the output over from first"):
            archive.worker("first").run(chunk)
        with pytest.raises(LeaseLostError):
            archive.worker("first").give_up(chunk, "reason")
    # What it committed before, it may hear of again.
    assert archive.worker("first").run(chunks[0]).ok == 1
    second.release()


def test_halves_of_a_split_chunk_become_tombstones_too(archive: ArchiveFixture) -> None:
    first = dead(archive.output, "first")
    (whole,) = with_intents([Chunk("first", archive.chunk().pairs)], first.declare_intents, path_of)
    left, right = whole.halves()
    archive.worker("first").run(left.halves()[0])
    second = take(archive.output, "second")
    # The left half was split, so its second half gets a tombstone, and so does the right half.
    assert Publisher(lambda: archive.output, second).take_over().tombstones == 2
    for chunk in (whole, left, left.halves()[1], right, *right.halves()):
        with pytest.raises(LeaseLostError):
            archive.worker("first").run(chunk)
    assert rows(archive.output) == {"a": 1}
    second.release()


def test_nothing_is_looked_at_twice(
    archive: ArchiveFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = dead(archive.output, "first")
    list(with_intents(chunks_of("first", archive.chunk().pairs, 2), first.declare_intents, path_of))
    second = take(archive.output, "second")
    publisher = Publisher(lambda: archive.output, second)
    assert publisher.take_over().tombstones == 2
    publisher.finish()
    second.release()
    third = take(archive.output, "third")

    def unexpected(*_: Any) -> bool:
        raise AssertionError("a part was looked at")

    monkeypatch.setattr(Storage, "exists", unexpected)
    assert Publisher(lambda: archive.output, third).take_over().tombstones == 0
    third.release()


def test_who_dies_while_writing_tombstones_leaves_the_rest_to_the_next(
    archive: ArchiveFixture,
) -> None:
    first = dead(archive.output, "first")
    list(with_intents(chunks_of("first", archive.chunk().pairs, 1), first.declare_intents, path_of))
    dead(archive.output, "second")  # before it wrote any tombstone
    third = take(archive.output, "third")
    assert Publisher(lambda: archive.output, third).take_over().tombstones == 4
    third.release()


def test_who_lost_the_lease_is_told_before_it_begins_more(archive: ArchiveFixture) -> None:
    first = dead(archive.output, "first")
    second = take(archive.output, "second")
    with pytest.raises(LeaseLostError):
        list(with_intents([archive.chunk()], first.declare_intents, path_of))
    second.release()


@given(data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_pair_is_committed_twice_or_lost_though_both_runs_believe_that_they_hold_the_output(
    data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run never learns of the second; their steps come in any order."""
    empty_memory_store()
    archive = ArchiveFixture("memory://fence")
    first = dead(archive.output, "first")
    size = data.draw(st.integers(1, 4))
    mine = list(
        with_intents(
            chunks_of("first", archive.chunk().pairs, size), first.declare_intents, path_of
        )
    )
    monkeypatch.setattr(Lease, "check", lambda _: None)
    split = data.draw(st.booleans())
    todo = [half for chunk in mine for half in (chunk.halves() if split else [chunk])]
    work = iter([chunk for chunk in todo if chunk.pairs])
    second = Lease(
        lambda: archive.output, 2, first._heart.record.model_copy(update={"run_id": "second"})
    )
    second.abandon()

    def steps() -> Iterator[None]:
        Publisher(lambda: archive.output, second).take_over()
        yield
        done = rows(archive.output)
        left = tuple(pair for pair in archive.chunk().pairs if pair.pair_id not in done)
        yield
        for chunk in with_intents(chunks_of("second", left, 2), second.declare_intents, path_of):
            archive.worker("second").run(chunk)
            yield

    theirs, ends = steps(), [False, False]
    while not all(ends):
        who = data.draw(st.sampled_from([k for k in (0, 1) if not ends[k]]))
        if who == 0:
            chunk = next(work, None)
            ends[0] = chunk is None
            if chunk is not None:
                try:
                    archive.worker("first").run(chunk)
                except LeaseLostError:
                    ends[0] = True
        else:
            ends[1] = next(theirs, "end") == "end"
    assert rows(archive.output) == dict.fromkeys(NAMES, 1)
