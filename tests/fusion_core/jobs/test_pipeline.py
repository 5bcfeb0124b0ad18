import dataclasses
import gc
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pipeline_stages import Stages, named

from fusion_core.errors import DecodeError, WriteError
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.pipeline import BYTES_PER_PIXEL, FINISHING_BYTES_PER_PIXEL


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    names = [thread.name for thread in threading.enumerate()]
    assert [name for name in names if name.startswith(("load", "fuse", "finish"))] == []


@settings(max_examples=40)
@given(st.data())
def test_every_pair_has_one_outcome_and_it_is_its_own(data: st.DataObject) -> None:
    sizes = st.tuples(st.integers(1, 3), st.integers(1, 3))
    names = [f"p{index}" for index in range(data.draw(st.integers(0, 25)))]
    shapes = {name: data.draw(sizes) for name in names}
    fate = {name: data.draw(st.sampled_from(["", "", "load", "fuse", "finish"])) for name in names}
    failing = {stage: [name for name in names if fate[name] == stage] for stage in fate.values()}
    stages = Stages(shapes, failing=failing)
    outcomes = stages.run(
        batch_size=data.draw(st.integers(1, 5)),
        threads=data.draw(st.integers(1, 4)),
        memory=data.draw(st.sampled_from([1, 500, 1 << 30])),
    )
    found = {pair.ref.pair_id: outcome for pair, outcome in outcomes}
    assert len(outcomes) == len(names)
    kinds = {"load": DecodeError, "fuse": RuntimeError, "finish": WriteError}
    for name in names:
        if fate[name]:
            assert type(found[name]) is kinds[fate[name]]
        else:
            assert found[name] == {"value": hash(name) % 997}
    assert all(pair.ended and pair.started <= pair.ended for pair, _ in outcomes)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_batches_hold_equal_shapes_and_no_more_than_asked_for(batch_size: int) -> None:
    shapes = {f"p{index}": [(4, 5), (5, 4), (6, 6)][index % 3] for index in range(40)}
    stages = Stages(shapes)
    stages.run(batch_size=batch_size)
    assert all(len({shapes[name] for name in batch}) == 1 for batch in stages.batches)
    assert max(len(batch) for batch in stages.batches) <= batch_size
    # Most batches are full, or batching would be in vain.
    assert len(stages.batches) <= 40 / batch_size + 6


def test_pairs_that_all_differ_in_shape_finish() -> None:
    stages = Stages({f"p{index}": (index + 1, 3) for index in range(30)})
    assert len(stages.run(batch_size=8)) == 30
    assert all(len(batch) == 1 for batch in stages.batches)


def test_a_pair_that_fails_in_a_batch_leaves_its_neighbours_alone() -> None:
    stages = Stages(named(8), failing={"fuse": ["p2"]})
    outcomes = stages.run(batch_size=8)
    failed = [pair.ref.pair_id for pair, outcome in outcomes if isinstance(outcome, Exception)]
    assert failed == ["p2"]
    assert len(outcomes) == 8


def test_the_stages_overlap() -> None:
    stages = Stages(named(24), seconds=(0.04, 0.02, 0.04))
    begin = time.perf_counter()
    stages.run(batch_size=1, threads=2)
    spent = time.perf_counter() - begin
    # One after the other: 24 x 0.1 s. Overlapped in two threads each: 24 x 0.02 s and both ends.
    assert spent < 0.5 * 24 * (0.04 + 0.02 + 0.04)


def test_fusing_does_not_wait_for_a_slow_finish() -> None:
    stages = Stages(named(6), seconds=(0, 0, 0.3))
    begin = time.perf_counter()
    stages.run(batch_size=1, threads=6)
    assert time.perf_counter() - begin < 3 * 0.3


@pytest.mark.parametrize("room", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_no_more_pixels_are_alive_than_memory_allows(room: int, batch_size: int) -> None:
    shape = (40, 50)
    size = 40 * 50 * BYTES_PER_PIXEL
    stages = Stages(named(30, shape), seconds=(0.001, 0.002, 0.004))
    outcomes = stages.run(stages.pairs(lambda _: size // 40), batch_size, 4, room * size)
    assert len(outcomes) == 30
    assert stages.most_alive <= room * size
    assert stages.most_alive >= min(room, 2) * size  # the room is used


def test_pairs_are_let_go_of_when_done_or_failed() -> None:
    failing = {"load": ["p1"], "fuse": ["p2"], "finish": ["p3"]}
    stages = Stages(named(40), failing=failing, seconds=(0, 0, 0.001))
    outcomes = stages.run(batch_size=2, threads=1, memory=4 * 20 * BYTES_PER_PIXEL)
    gc.collect()
    assert len(outcomes) == 40
    assert stages.alive == 0


def test_a_pair_larger_than_memory_is_worked_on_alone() -> None:
    shapes = {**named(5, (10, 10)), "large": (100, 100), **{f"q{k}": (10, 10) for k in range(5)}}
    stages = Stages(shapes, seconds=(0.002, 0.002, 0.005))
    pairs = stages.pairs(lambda shape: shape[0] * shape[1] * BYTES_PER_PIXEL // 24)
    memory = 3 * 100 * BYTES_PER_PIXEL
    assert len(stages.run(pairs, batch_size=2, threads=2, memory=memory)) == 11
    assert stages.most_alive == 100 * 100 * BYTES_PER_PIXEL


def test_after_the_first_pairs_sizes_are_known_whatever_the_files_say() -> None:
    size = 40 * 50 * BYTES_PER_PIXEL
    stages = Stages(named(60, (40, 50)), seconds=(0.001, 0.001, 0.002))
    pairs = stages.pairs(lambda _: 1)  # files that hold next to nothing
    stages.run(pairs, batch_size=1, threads=1, memory=3 * size)
    assert stages.most_alive <= 3 * size


@pytest.mark.parametrize(("suffix", "at_once"), [("jpg", 1), ("png", 3)])
def test_small_files_of_a_lossy_format_are_taken_for_large_pictures(
    suffix: str, at_once: int
) -> None:
    small = {f"small{index}": (4, 5) for index in range(12)}
    stages = Stages({**small, **named(6, (80, 100))}, seconds=(0.03, 0, 0))
    pairs = stages.pairs(lambda shape: shape[0] * shape[1] // 2)
    for pair in pairs:
        pair.ref = dataclasses.replace(pair.ref, vi_path=f"{pair.ref.pair_id}.{suffix}")
    loading: set[str] = set()
    most = []

    def load(pair: PairState) -> None:
        if pair.ref.pair_id not in small:
            loading.add(pair.ref.pair_id)
        most.append(len(loading))
        stages.load(pair)
        loading.discard(pair.ref.pair_id)

    room = 1.5 * 80 * 100 * BYTES_PER_PIXEL  # as PNG, an eighth of that is reckoned with
    assert len(stages.run(pairs, load=load, batch_size=1, threads=3, memory=int(room))) == 18
    assert max(most) == at_once


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_while_fusing_ends_it_soon(kind: type[BaseException]) -> None:
    stages = Stages(named(200), seconds=(0, 0, 0.2))

    def interrupted(batch: Sequence[PairState]) -> NDArray[np.float32]:
        if len(stages.batches) == 30:  # which wait to be finished
            raise kind
        return stages.fuse(batch)

    begin = time.perf_counter()
    with pytest.raises(kind):
        stages.run(fuse=interrupted, batch_size=1)
    assert time.perf_counter() - begin < 1  # and no thread is left: the fixture looks


def test_an_interrupt_inside_a_thread_ends_it_too() -> None:
    stages = Stages(named(20))

    def interrupted(pair: PairState) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        stages.run(load=interrupted, batch_size=1)
    assert stages.batches == []


def test_a_batch_shares_its_time_among_its_pairs() -> None:
    stages = Stages(named(4), seconds=(0, 0.1, 0))
    begin = time.perf_counter()
    outcomes = stages.run(batch_size=4, threads=4)
    elapsed = time.perf_counter() - begin
    total = sum(pair.seconds["fuse"] for pair, _ in outcomes)
    assert 0.099 * len(stages.batches) <= total <= elapsed


def test_only_unforeseen_errors_are_logged_with_their_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Stages(named(2), failing={"load": ["p0"], "fuse": ["p1"]}).run()
    by_pair = {record.args[0]: record for record in caplog.records}  # type: ignore[index]
    assert by_pair["p0"].exc_info is None
    assert "Traceback" in caplog.text
    assert by_pair["p0"].getMessage() == "pair p0 failed at decode: no image"


@pytest.mark.parametrize("fusing", [True, False])
def test_no_more_is_finished_at_once_than_scoring_has_memory_for(fusing: bool) -> None:
    shape = (50, 40)
    stages = Stages({f"p{k}": shape for k in range(12)})
    busy, most = set(), []

    def finish(pair: PairState, *fused: NDArray[np.float32]) -> dict[str, Any]:
        busy.add(pair.ref.pair_id)
        most.append(len(busy))
        time.sleep(0.02)
        busy.discard(pair.ref.pair_id)
        return {}

    fuse = stages.fuse if fusing else None
    room = 2.5 * 50 * 40 * FINISHING_BYTES_PER_PIXEL
    outcomes = stages.run(fuse=fuse, finish=finish, batch_size=1, threads=8, memory=int(room))
    assert len(outcomes) == 12
    assert max(most) == 2


def test_pairs_that_need_no_fusing_go_straight_to_their_finish() -> None:
    stages = Stages(named(9), failing={"load": ["p1"], "finish": ["p2"]})

    def finish(pair: PairState) -> dict[str, Any]:
        return stages.finish(pair, np.full(pair.shape, 5, np.float32))

    outcomes = stages.run(fuse=None, finish=finish, batch_size=1)
    found = {pair.ref.pair_id: outcome for pair, outcome in outcomes}
    assert len(outcomes) == 9
    assert type(found["p1"]) is DecodeError
    assert type(found["p2"]) is WriteError
    assert found["p3"] == {"value": 5.0}
    assert not any("fuse" in pair.seconds for pair, _ in outcomes)
