"""What is suspected of a chunk, death by death, without any cluster."""

import dataclasses

import pytest

from actors.chunk_task import ChunkTask
from fusion_core.archive.plan import Chunk, PairRef


def task_of(count: int) -> ChunkTask:
    pairs = tuple(PairRef(f"p{k}", "ir", 1, "v", "vi", 1, "v") for k in range(count))
    return ChunkTask(Chunk("part", pairs))


def test_a_chunk_runs_alone_after_one_death_and_is_halved_at_the_second() -> None:
    task = task_of(8)
    assert not task.alone
    assert task.suspects("worker", "a") == [task]
    assert task.alone
    halves = task.suspects("worker", "b")
    assert [half.chunk.part_id for half in halves] == ["parta", "partb"]
    assert [len(half.chunk.pairs) for half in halves] == [4, 4]
    assert all(half.alone and half.chunk.split_from == ("part",) for half in halves)


def test_a_pair_is_given_up_for_this_run_once_it_was_alone_at_two_deaths() -> None:
    task = task_of(1)
    for host in ("a", "b"):
        assert task.suspects("worker", host) == [task]
        assert not task.hopeless
    task.suspects("worker", "c")
    assert task.hopeless
    assert "alone died, 2 times" in task.reason()


def test_every_death_beside_a_single_pair_is_an_attempt_at_it() -> None:
    task = task_of(1)
    task.suspects("worker", "a")  # others were on the process
    (pair,) = task.chunk.pairs
    assert (pair.attempt, pair.tries, pair.history) == (1, 0, None)
    task.suspects("memory", "b")
    (pair,) = task.chunk.pairs
    assert (pair.attempt, pair.tries, pair.history) == (2, 1, "memory on b")
    task.suspects("time", "c")  # of this one the row tells
    (pair,) = task.chunk.pairs
    assert (pair.attempt, task.cause, task.where) == (2, "time", "c")


def test_whoever_ran_out_of_memory_is_tried_in_tiles_from_then_on() -> None:
    task = task_of(4)
    task.suspects("worker", "a")
    assert not task.chunk.in_tiles
    halves = task.suspects("memory", "a")
    assert all(half.chunk.in_tiles for half in halves)
    halves[0].suspects("worker", "a")
    assert halves[0].chunk.in_tiles


@pytest.mark.parametrize(
    ("cause", "told"),
    [("memory", "want of memory"), ("time", "no answer"), ("gpu", "more than one GPU")],
)
def test_the_reason_says_how_it_ended(cause: str, told: str) -> None:
    task = dataclasses.replace(task_of(1), deaths=3, cause=cause)  # type: ignore[arg-type]
    assert told in task.reason()


def test_halves_share_no_state() -> None:
    task = task_of(2)
    task.avoid.add("gpu")
    task.suspects("gpu", "a")
    first, second = task.suspects("gpu", "b")
    first.avoid.add("other")
    first.faulty.add("other")
    assert second.avoid == {"gpu"}
    assert second.faulty == set()
