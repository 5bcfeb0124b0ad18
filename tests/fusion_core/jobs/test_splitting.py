"""What a worker commits of a chunk that was split, and of halves of one that wasn't after all."""

from pathlib import Path
from typing import Any

import pytest
from archive_fixture import NAMES, ArchiveFixture, all_rows

from fusion_core.archive.parts import commit_part, read_part
from fusion_core.archive.plan import Chunk
from fusion_core.errors import ManifestError
from fusion_core.jobs.committed import ChunkResult, Undone, tried
from fusion_core.jobs.stages import Outcomes


@pytest.fixture
def archive(tmp_path: Path) -> ArchiveFixture:
    return ArchiveFixture(str(tmp_path))


def test_halves_of_a_chunk_that_was_committed_unheard_stand_in_its_part(
    archive: ArchiveFixture,
) -> None:
    archive.worker().run(archive.chunk())
    first, second = archive.chunk().halves()
    expected = ChunkResult((archive.part,), ok=2)
    assert archive.worker("late").run(first) == expected
    (single, _) = second.halves()
    assert archive.worker("late").give_up(single, "lost") == ChunkResult((archive.part,), ok=1)
    assert all_rows(archive) == [(name, "first") for name in NAMES]


def test_a_chunk_whose_half_was_begun_can_no_longer_be_committed_whole(
    archive: ArchiveFixture,
) -> None:
    unreachable = archive.worker("unreachable")
    outcomes = unreachable._outcomes

    def overtaken(pairs: Any, *, in_tiles: bool) -> Any:
        done = outcomes(pairs, in_tiles=in_tiles)
        archive.worker("half").run(archive.chunk().halves()[0])
        return done

    unreachable._outcomes = overtaken  # type: ignore[method-assign]
    result = unreachable.run(archive.chunk())
    assert (result.ok, result.failed, len(result.parts)) == (4, 0, 2)
    assert read_part(archive.output, archive.part).num_rows == 0
    assert sorted({name for name, _ in all_rows(archive)}) == NAMES
    assert len(all_rows(archive)) == 4


def test_a_split_that_was_left_half_done_is_ended_by_the_next_run(archive: ArchiveFixture) -> None:
    first, second = archive.chunk().halves()
    quarter = second.halves()[1]
    for chunk in (first, quarter):
        archive.worker().run(chunk)
    result = archive.worker("next").run(archive.chunk())
    assert (result.ok, result.failed, len(result.parts)) == (4, 0, 3)
    assert all_rows(archive) == [("a", "first"), ("b", "first"), ("c/d", "next"), ("e", "first")]


def test_an_empty_part_of_a_single_pair_is_no_split(archive: ArchiveFixture) -> None:
    single = Chunk("part", archive.chunk().pairs[:1])
    commit_part(archive.output, archive.part, [])
    with pytest.raises(ManifestError, match="holds no row of a; expected one"):
        archive.worker().run(single)


def test_a_half_of_a_whole_with_rows_of_others_commits_nothing_and_is_left(
    archive: ArchiveFixture,
) -> None:
    """The fence of a run that took over doesn't know of halves, and closes none."""
    first, second = archive.chunk().halves()
    archive.worker().run(Chunk("part", first.pairs))  # told to stop after those
    expected = ChunkResult((archive.part,), left=second.pairs)
    assert archive.worker("late").run(second) == expected
    assert archive.worker("late").give_up(second, "lost") == expected
    assert all_rows(archive) == [("a", "first"), ("b", "first")]
    assert archive.output.list("commits/manifest")["path"].to_pylist() == [archive.part]


def test_a_half_of_a_whole_with_some_of_its_rows_is_left_in_part(archive: ArchiveFixture) -> None:
    _, second = archive.chunk().halves()
    archive.worker().run(Chunk("part", archive.chunk().pairs[:3]))
    result = archive.worker("late").run(second)
    assert result == ChunkResult((archive.part,), ok=1, left=second.pairs[1:])
    assert all_rows(archive) == [(name, "first") for name in NAMES[:3]]


def test_a_half_finds_what_the_whole_says_of_its_undone_pairs(archive: ArchiveFixture) -> None:
    first, _ = archive.chunk().halves()
    archive.worker().give_up(archive.chunk(), "lost", cause="memory", where="n1")
    result = archive.worker("late").run(first)
    history = "memory at crash on n1"
    expected = tuple(Undone(tried(ref, history), "memory") for ref in first.pairs)
    assert result == ChunkResult((archive.part,), undone=expected)


def test_what_halves_say_of_batches_that_hang_is_not_forgotten(
    archive: ArchiveFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its chunk was split while a worker was at it, which goes on with the halves."""
    worker = archive.worker()
    outcomes = worker._outcomes
    begun: list[int] = []

    def overtaken(pairs: Any, *, in_tiles: bool) -> Any:
        begun.append(len(pairs))
        if len(pairs) == 4:
            done = outcomes(pairs, in_tiles=in_tiles)
            commit_part(archive.output, archive.part, [])
            return done
        return Outcomes(alone=list(pairs), spoiled=True)

    monkeypatch.setattr(worker, "_outcomes", overtaken)
    result = worker.run(archive.chunk())
    assert begun == [4, 2, 2]
    assert result == ChunkResult((), alone=archive.chunk().pairs, spoiled=True)
