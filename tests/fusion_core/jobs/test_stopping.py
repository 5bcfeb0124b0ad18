"""Workers that are told to stop: what is at work is finished, and the rest is given back."""

import gc
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_fixture import ArchiveFixture, all_rows
from numpy.typing import NDArray
from pipeline_stages import Stages, named
from scene_fixture import SceneFixture
from tiny import TODAY

from fusion_core.archive.layout import part_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk
from fusion_core.jobs.committed import ChunkResult
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.scene import SceneWork
from fusion_core.jobs.stages import Outcomes

LONG = 60.0

# The pipeline


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (1, 3), (4, 2)])
def test_what_is_being_fused_is_finished_and_all_else_is_left(
    batch_size: int, threads: int
) -> None:
    stages, stopping = Stages(named(30), seconds=(0, 0, 0.01)), threading.Event()

    def fuse(batch: Sequence[PairState]) -> NDArray[np.float32]:
        if len(stages.batches) == 2:
            stopping.set()
        return stages.fuse(batch)

    pairs = stages.pairs()
    done = stages.run_all(pairs, batch_size, threads, fuse=fuse, stopping=stopping)
    found = {pair.ref.pair_id for pair, outcome in done.of_pairs if isinstance(outcome, dict)}
    assert len(stages.batches) == 3
    assert found == {name for batch in stages.batches for name in batch}
    assert len(done.of_pairs) == len(found) < 30
    assert (done.alone, done.spoiled) == ([], False)
    assert [pair for pair in pairs if pair.loaded is not None] == []
    gc.collect()
    assert stages.alive == 0


def test_told_before_its_beginning_it_loads_nothing() -> None:
    stages, stopping = Stages(named(5)), threading.Event()
    stopping.set()

    def load(pair: PairState) -> None:
        raise AssertionError(pair)

    assert stages.run_all(load=load, stopping=stopping) == Outcomes()


def test_a_pair_that_is_being_loaded_is_not_fused_and_one_that_fails_meanwhile_says_so() -> None:
    stages, stopping = Stages(named(8), failing={"load": ["p1"]}), threading.Event()
    both = threading.Barrier(2)

    def load(pair: PairState) -> None:
        both.wait(LONG)
        stopping.set()
        stages.load(pair)

    done = stages.run_all(load=load, threads=2, stopping=stopping)
    assert [(pair.ref.pair_id, str(error)) for pair, error in done.of_pairs] == [("p1", "no image")]
    assert stages.batches == []


@pytest.mark.parametrize("stage", ["load", "fuse", "finish"])
def test_a_pair_that_found_no_memory_beside_others_is_given_back(stage: str) -> None:
    """It is not known yet whether there is memory for it alone."""
    stages, stopping = Stages(named(3)), threading.Event()
    original = getattr(stages, stage)

    def narrow(work: Any, *more: Any) -> Any:
        stopping.set()
        if (work[0] if stage == "fuse" else work).ref.pair_id == "p0":
            raise MemoryError
        return original(work, *more)

    others: dict[str, Any] = {stage: narrow}
    done = stages.run_all(threads=1, batch_size=1, stopping=stopping, **others)
    assert "p0" not in [pair.ref.pair_id for pair, _ in done.of_pairs]


# Workers


def test_a_worker_commits_what_it_finished_and_another_goes_on_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = ArchiveFixture(str(tmp_path), io_threads=1)
    worker, fuse = archive.worker(), ArchiveFixture.worker(archive)._fuse

    def stopped(batch: Any, *, in_tiles: bool) -> Any:
        worker.stopping.set()
        return fuse(batch, in_tiles=in_tiles)

    monkeypatch.setattr(worker, "_fuse", stopped)
    result = worker.run(archive.chunk())
    (done,) = archive.rows()
    left = tuple(ref for ref in archive.chunk().pairs if ref.pair_id != done)
    assert result == ChunkResult((archive.part,), ok=1, left=left)
    # Whoever is given the whole chunk again hears the same, and may go on with what is left.
    assert archive.worker("late").run(archive.chunk()) == result
    assert archive.worker("late").run(Chunk("rest", result.left)).ok == 3
    expected = [
        (ref.pair_id, "first" if ref.pair_id == done else "late") for ref in archive.chunk().pairs
    ]
    assert all_rows(archive) == expected


def test_told_before_any_pair_was_begun_it_commits_nothing(tmp_path: Path) -> None:
    archive = ArchiveFixture(str(tmp_path))
    worker = archive.worker()
    worker.stopping.set()
    chunk = archive.chunk()
    assert worker.run(chunk) == ChunkResult((), left=chunk.pairs)
    assert archive.output.list()["path"].to_pylist() == []
    assert archive.worker().run(chunk) == ChunkResult((archive.part,), ok=4)


def test_archived_pairs_need_no_work_and_are_committed(tmp_path: Path) -> None:
    archive = ArchiveFixture(str(tmp_path))
    worker = archive.worker()
    worker.stopping.set()
    first, *others = archive.chunk().pairs
    result = worker.run(Chunk("part", (replace(first, archived="GLACIER"), *others)))
    assert result == ChunkResult((archive.part,), skipped=1, left=tuple(others))


def test_a_scene_at_work_is_finished_and_the_next_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = SceneFixture(tmp_path)
    for name in "abc":
        archive.put(name)
    worker, fuse_tiles = archive.worker(), SceneWork._fuse_tiles
    refs = tuple(map(archive.ref, "abc"))

    def stopped(self: SceneWork, scene: Any, *args: Any) -> Any:
        worker.stopping.set()
        return fuse_tiles(self, scene, *args)

    monkeypatch.setattr(SceneWork, "_fuse_tiles", stopped)
    part = part_path(TODAY, "part")
    assert worker.run(Chunk("part", refs)) == ChunkResult((part,), ok=1, left=refs[1:])
    assert read_part(archive.output, part)["pair_id"].to_pylist() == ["a"]
    assert len([path for path in archive.fused() if path.endswith(".tif")]) == 1
