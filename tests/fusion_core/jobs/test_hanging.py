"""Networks that never come back: who is blamed, what is kept, and what others go on with."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_fixture import ArchiveFixture, all_rows, blamed
from numpy.typing import NDArray
from pipeline_stages import Stages, named
from scene_fixture import SceneFixture
from tiny import TODAY

from fusion_core.archive.layout import part_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk
from fusion_core.errors import DeadlineError
from fusion_core.jobs.committed import ChunkResult, Undone, tried
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.scene import _TileWriter
from fusion_core.scenes.pair import ScenePair

LONG = 60.0


class Hang:
    """Something that hangs, where ``at`` says so, until the test is over."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._hung: list[threading.Thread] = []

    def __call__(self, action: Callable[..., Any], at: Callable[..., bool]) -> Callable[..., Any]:
        """Return ``action``, which hangs first where ``at`` is true of its arguments."""

        def hanging(*args: Any, **named: Any) -> Any:
            if at(*args):
                self._hung.append(threading.current_thread())
                assert self._over.wait(LONG)
            return action(*args, **named)

        return hanging

    def release(self) -> int:
        """Let the threads go on, and return how many there were when they have ended."""
        self._over.set()
        for thread in self._hung:
            thread.join(LONG)
            assert not thread.is_alive()
        return len(self._hung)


@pytest.fixture
def hang() -> Iterator[Hang]:
    hang = Hang()
    yield hang
    hang.release()


def names(batch: Sequence[PairState]) -> list[str]:
    return [pair.ref.pair_id for pair in batch]


# The pipeline


def test_a_pair_that_hangs_alone_is_to_blame_and_spoils_the_process(hang: Hang) -> None:
    stages = Stages(named(20), seconds=(0, 0, 0.05))
    fuse = hang(stages.fuse, lambda batch: names(batch) == ["p3"])
    begin = time.monotonic()
    done = stages.run_all(
        fuse=fuse, batch_size=1, threads=1, deadline=1.0, stopping=threading.Event()
    )
    assert 1.0 <= time.monotonic() - begin < 10
    assert done.spoiled
    assert done.alone == []
    found = {pair.ref.pair_id: (pair, outcome) for pair, outcome in done.of_pairs}
    # What was fused before is finished; no other pair is begun.
    assert sorted(found) == sorted([*(name for (name,) in stages.batches), "p3"])
    assert len(found) < 20
    pair, error = found.pop("p3")
    assert isinstance(error, DeadlineError)
    assert (error.stage, pair.stage, pair.loaded) == ("fuse", "fuse", None)
    assert pair.seconds["fuse"] == pytest.approx(1.0, abs=0.5)
    assert all(isinstance(outcome, dict) for _, outcome in found.values())
    before = dict(pair.seconds)
    assert hang.release() == 1
    assert pair.seconds == before  # the thread that went on had a pair of its own


def test_of_a_batch_that_hangs_nobody_is_blamed_and_all_are_to_be_tried_alone(hang: Hang) -> None:
    stages = Stages(named(12))
    fuse = hang(stages.fuse, lambda batch: len(stages.batches) == 1)
    done = stages.run_all(
        fuse=fuse, batch_size=4, threads=4, deadline=0.5, stopping=threading.Event()
    )
    assert done.spoiled
    assert len(done.alone) > 1
    finished = [pair.ref.pair_id for pair, outcome in done.of_pairs if isinstance(outcome, dict)]
    assert sorted(finished) == sorted(stages.batches[0])
    assert len(done.of_pairs) == len(finished)
    assert not set(names(done.alone)) & set(finished)
    assert all(pair.loaded is None and pair.ended for pair in done.alone)


def test_of_a_batch_that_is_fused_one_by_one_nothing_is_begun_after_one_hangs(hang: Hang) -> None:
    stages, begun = Stages(named(4)), list[str]()
    hanging = hang(stages.fuse, lambda batch: names(batch) == ["p1"])

    def fuse(batch: Sequence[PairState]) -> NDArray[np.float32]:
        if len(batch) > 1:
            raise RuntimeError("no such kernel")
        begun.extend(names(batch))
        fused: NDArray[np.float32] = hanging(batch)
        return fused

    pairs = stages.pairs()
    done = stages.run_all(pairs, 4, 1, deadline=1.0, fuse=fuse, stopping=threading.Event())
    assert begun == ["p0", "p1"]
    found = {pair.ref.pair_id: type(outcome) for pair, outcome in done.of_pairs}
    assert found == {"p0": dict, "p1": DeadlineError}
    assert (done.alone, done.spoiled) == ([], True)
    assert [pair.loaded for pair in pairs if pair.ref.pair_id in ("p2", "p3")] == [None, None]


def test_a_batch_may_take_the_time_of_all_its_pairs() -> None:
    stages = Stages(named(4), seconds=(0, 1.5, 0))
    both = threading.Barrier(4)

    def load(pair: PairState) -> None:
        both.wait(LONG)
        stages.load(pair)

    done = stages.run_all(load=load, threads=4, deadline=1.0, stopping=threading.Event())
    assert (len(stages.batches), len(done.of_pairs)) == (1, 4)
    assert all(isinstance(outcome, dict) for _, outcome in done.of_pairs)
    assert not done.spoiled


@pytest.mark.parametrize("batch_size", [1, 4])
def test_an_error_that_tells_of_time_is_no_hanging_network(batch_size: int) -> None:
    stages = Stages(named(4))

    def fuse(batch: Sequence[PairState]) -> NDArray[np.float32]:
        if "p1" in names(batch):
            raise TimeoutError("no answer of the socket")
        return stages.fuse(batch)

    done = stages.run_all(fuse=fuse, batch_size=batch_size, stopping=threading.Event())
    failed = {pair.ref.pair_id for pair, outcome in done.of_pairs if not isinstance(outcome, dict)}
    assert (failed, len(done.of_pairs)) == ({"p1"}, 4)
    assert (done.alone, done.spoiled) == ([], False)


# Workers, photographs


def hanging_worker(archive: ArchiveFixture, hang: Hang, name: str) -> FusionWorker:
    """Return a worker whose network hangs at a pair, and is fast at others."""
    worker = archive.worker()

    def fuse(batch: Sequence[PairState], *, in_tiles: bool) -> list[NDArray[np.float32]]:
        assert not in_tiles
        return [pair.pictures.luminances()[0] for pair in batch]

    worker._fuse = hang(fuse, lambda batch: name in names(batch))  # type: ignore[method-assign]
    return worker


def test_a_photograph_that_hangs_is_one_undone_row_and_the_rest_is_left(
    tmp_path: Path, hang: Hang
) -> None:
    archive = ArchiveFixture(str(tmp_path), io_threads=1, batch_size=1, pair_deadline=2.0)
    result = hanging_worker(archive, hang, "b").run(archive.chunk())
    rows, pairs = archive.rows(), {ref.pair_id: ref for ref in archive.chunk().pairs}
    row = rows.pop("b")
    assert blamed(row) == ("undone", "time", "fuse", "DeadlineError")
    assert "given up in the stage fuse" in row["error_message"]
    assert {row["status"] for row in rows.values()} <= {"ok"}
    left = tuple(ref for name, ref in pairs.items() if name not in (*rows, "b"))
    assert result == ChunkResult(
        (archive.part,),
        ok=len(rows),
        undone=(Undone(tried(pairs["b"], row["history"]), "time"),),
        left=left,
        spoiled=True,
    )
    assert left  # at least those that were not loaded
    committed = all_rows(archive)
    hang.release()
    assert all_rows(archive) == committed
    again = (*left, result.undone[0].ref)
    assert archive.worker("next").run(Chunk("next", again)).ok == len(again)


@pytest.mark.parametrize("hanging", ["e", "a"])
def test_of_photographs_that_hang_together_none_has_a_row(
    tmp_path: Path, hang: Hang, hanging: str
) -> None:
    archive = ArchiveFixture(str(tmp_path), batch_size=2, pair_deadline=1.0)
    both = threading.Barrier(2)  # of the two threads that load: batches are a, b and c/d, e
    worker = hanging_worker(archive, hang, hanging)
    load = worker._load

    def together(pair: Any) -> None:
        load(pair)
        both.wait(LONG)

    worker._load = together  # type: ignore[method-assign]
    chunk = archive.chunk()
    result = worker.run(chunk)
    assert result.spoiled
    assert len(result.alone) == 2
    assert hanging in {ref.pair_id for ref in result.alone}
    # Which pairs were together hangs on how soon each was loaded; each is in one place in any case.
    rows = list(archive.rows()) if result.parts else []
    apart = [ref.pair_id for ref in (*result.alone, *result.left)] + rows
    assert sorted(apart) == [ref.pair_id for ref in chunk.pairs]
    assert (result.ok, archive.output.exists(archive.part)) == (len(rows), bool(rows))
    hang.release()
    for ref in result.alone:  # one by one, the one to blame is found
        single = Chunk(f"of-{ref.pair_id[0]}", (ref,))
        found = hanging_worker(archive, Hang(), "none").run(single)
        assert (found.ok, found.parts) == (1, (part_path(TODAY, single.part_id),))


# Workers, scenes


@pytest.mark.parametrize(("kind", "method"), [(_TileWriter, "write"), (ScenePair, "read")])
def test_a_scene_that_hangs_within_a_tile_is_one_undone_row_and_the_next_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hang: Hang, kind: type, method: str
) -> None:
    archive = SceneFixture(tmp_path, pair_deadline=1.0)
    for name in "ab":
        archive.put(name)
    refs = archive.ref("a"), archive.ref("b")
    monkeypatch.setattr(kind, method, hang(getattr(kind, method), lambda *_: True))
    begin = time.monotonic()
    result = archive.worker().run(Chunk("part", refs))
    assert 2.0 <= time.monotonic() - begin < 20
    part = part_path(TODAY, "part")
    (row,) = read_part(archive.output, part).to_pylist()
    assert blamed(row) == ("undone", "time", "fuse", "DeadlineError")
    assert "expected all stages within 2 s" in row["error_message"]
    assert row["seconds_fuse"] > 1
    undone = Undone(tried(refs[0], row["history"]), "time")
    assert result == ChunkResult((part,), undone=(undone,), left=refs[1:], spoiled=True)
    hang.release()
    assert archive.fused() == []


def test_a_scene_is_not_begun_in_a_process_whose_network_hangs(tmp_path: Path, hang: Hang) -> None:
    archive = SceneFixture(tmp_path, pair_deadline=1.5, batch_size=1)
    archive.put("a")
    photograph = ArchiveFixture(str(tmp_path))
    worker = archive.worker()
    worker._fuse = hang(worker._fuse, lambda batch: True)  # type: ignore[method-assign]
    scene, pair = archive.ref("a"), photograph.chunk().pairs[1]
    result = worker.run(Chunk("part", (scene, pair)))
    assert [(one.ref.pair_id, one.cause) for one in result.undone] == [("b", "time")]
    assert (result.left, result.spoiled) == ((scene,), True)
    assert archive.fused() == []
