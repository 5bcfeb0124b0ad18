import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pipeline_stages import Stages, named

from fusion_core.errors import DeadlineError, MemoryExhaustedError, UnreachableError
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.pipeline import BYTES_PER_PIXEL

LONG = 60.0
"""Seconds that nothing here takes unless it hangs."""


class Hanging(Stages):
    """Stages that hang at some pairs until the test is over; ``at`` names the stage of each."""

    def __init__(self, count: int, at: dict[str, str], **more: Any):
        super().__init__(named(count), **more)
        self.at = at
        self.over = threading.Event()
        self.hung: list[threading.Thread] = []

    def _hang(self, stage: str, pair: PairState) -> None:
        if self.at.get(pair.ref.pair_id) == stage:
            self.hung.append(threading.current_thread())
            assert self.over.wait(LONG)

    def load(self, pair: PairState) -> None:
        with pair.timed("read"):
            self._hang("read", pair)
        super().load(pair)

    def finish(self, pair: PairState, fused: NDArray[np.float32]) -> dict[str, Any]:
        with pair.timed("write"):
            self._hang("write", pair)
        return super().finish(pair, fused)

    def release(self) -> None:
        self.over.set()
        for thread in self.hung:
            thread.join(LONG)
            assert not thread.is_alive()


def alive() -> list[str]:
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith(("load", "finish"))]


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    assert alive() == []


# Pairs that take too long


@pytest.mark.parametrize("stage", ["read", "write"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_pair_that_hangs_is_given_up_and_all_others_are_fused(stage: str, threads: int) -> None:
    stages = Hanging(12, {"p1": stage, "p2": stage, "p9": stage})
    begin = time.monotonic()
    outcomes = stages.run(batch_size=2, threads=threads, deadline=0.6)
    assert 0.6 < time.monotonic() - begin < 5
    assert len(alive()) == 3
    found = {pair.ref.pair_id: outcome for pair, outcome in outcomes}
    assert len(outcomes) == len(found) == 12
    late = {name: error for name, error in found.items() if isinstance(error, DeadlineError)}
    assert sorted(late) == ["p1", "p2", "p9"]
    assert all("value" in found[name] for name in found.keys() - late.keys())
    for error in late.values():
        assert error.stage == stage
        message = f"given up in the stage {stage} .*{stage} 0.[6-9] s.*expected .* within 0.6 s"
        assert re.match(message, str(error))
    stages.release()


def test_a_pair_that_was_given_up_says_what_its_stages_took_and_holds_no_pixels() -> None:
    stages = Hanging(2, {"p1": "write"}, seconds=(0.1, 0, 0))
    outcomes = stages.run(deadline=0.5)
    pair = next(pair for pair, outcome in outcomes if isinstance(outcome, DeadlineError))
    assert 0.1 <= pair.seconds["decode"] < 0.5
    assert sum(pair.seconds.values()) == pytest.approx(0.5, abs=0.3)
    assert pair.stage == "write"
    assert pair.loaded is None
    assert pair.ended is not None
    before = dict(pair.seconds)
    stages.release()  # the thread goes on, and what it does to the pair is not seen
    assert (pair.loaded, pair.stage, pair.seconds) == (None, "write", before)
    assert "value" not in [outcome for found, outcome in outcomes if found is pair]


def test_the_memory_of_a_pair_that_hangs_is_given_to_others() -> None:
    stages = Hanging(8, {"p0": "read", "p1": "write"})
    room = 20 * BYTES_PER_PIXEL
    outcomes = stages.run(batch_size=1, threads=2, memory=room, deadline=0.5)
    assert len(outcomes) == 8
    assert Counter(type(outcome) for _, outcome in outcomes) == {DeadlineError: 2, dict: 6}
    stages.release()


def test_time_spent_in_queues_is_not_held_against_a_pair() -> None:
    """Ten pairs of 0.1 s wait for one thread, and for memory, far longer than their deadline."""
    stages = Stages(named(10), seconds=(0.05, 0, 0.05))
    outcomes = stages.run(batch_size=8, threads=1, deadline=0.4)
    assert all(isinstance(outcome, dict) for _, outcome in outcomes)
    assert max((pair.ended - pair.started).total_seconds() for pair, _ in outcomes) > 0.4


def test_stages_add_up_to_a_pairs_time() -> None:
    stages = Stages(named(1), seconds=(0.2, 0, 0))
    over = threading.Event()

    def finish(pair: PairState, fused: NDArray[np.float32]) -> dict[str, Any]:
        with pair.timed("write"):
            over.wait(0.25)
        return {}

    outcomes = stages.run(finish=finish, batch_size=1, threads=1, deadline=0.4)
    assert isinstance(outcomes[0][1], DeadlineError)
    over.set()
    time.sleep(0.05)


def test_an_interrupt_does_not_wait_for_a_pair_that_was_given_up() -> None:
    stages = Hanging(3, {"p0": "read"})

    def interrupted(batch: Sequence[PairState]) -> NDArray[np.float32]:
        assert len(alive()) == 3  # the others are loaded by the thread that took its place
        raise KeyboardInterrupt

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        stages.run(fuse=interrupted, batch_size=1, threads=1, deadline=0.5)
    assert time.monotonic() - begin < 5
    stages.release()


# Pairs that there is no memory for


class Narrow(Stages):
    """Stages that find no memory for some pairs while others are in work, or ever."""

    def __init__(self, count: int, stage: str, names: Sequence[str], hopeless: Sequence[str] = ()):
        super().__init__(named(count), seconds=(0.002, 0, 0.002))
        self.stage, self.names, self.hopeless = stage, names, hopeless
        self.at_work: set[str] = set()
        self.tries: Counter[str] = Counter()
        self.company: dict[str, set[str]] = {}

    def _take(self, stage: str, pair: PairState) -> None:
        name = pair.ref.pair_id
        self.at_work.add(name)
        if stage == self.stage and name in (*self.names, *self.hopeless):
            self.tries[name] += 1
            self.company[name] = self.at_work - {name}
            if self.tries[name] == 1 or name in self.hopeless:
                self.at_work.discard(name)
                raise MemoryError("Unable to allocate 9. GiB")

    def load(self, pair: PairState) -> None:
        with pair.timed("decode"):
            self._take("decode", pair)
        super().load(pair)

    def fuse(self, batch: Sequence[PairState]) -> NDArray[np.float32]:
        for pair in batch:
            self._take("fuse", pair)
        return super().fuse(batch)

    def finish(self, pair: PairState, fused: NDArray[np.float32]) -> dict[str, Any]:
        with pair.timed("score"):
            self._take("score", pair)
        done = super().finish(pair, fused)
        self.at_work.discard(pair.ref.pair_id)
        return done


@pytest.mark.parametrize("stage", ["decode", "fuse", "score"])
def test_a_pair_without_memory_is_tried_again_when_it_is_alone(stage: str) -> None:
    stages = Narrow(20, stage, ["p3", "p4", "p11"])
    outcomes = stages.run(batch_size=1, threads=3)
    assert sorted(pair.ref.pair_id for pair, _ in outcomes) == sorted(named(20))
    assert all("value" in outcome for _, outcome in outcomes)
    assert stages.tries == {"p3": 2, "p4": 2, "p11": 2}
    assert stages.company == {"p3": set(), "p4": set(), "p11": set()}


@pytest.mark.parametrize("stage", ["decode", "fuse", "score"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_pair_that_there_is_never_memory_for_fails_alone(stage: str, batch_size: int) -> None:
    stages = Narrow(9, stage, ["p1"], hopeless=["p2", "p7"])
    outcomes = stages.run(batch_size=batch_size, threads=2)
    found = {pair.ref.pair_id: (pair, outcome) for pair, outcome in outcomes}
    assert len(outcomes) == 9
    for name, (pair, outcome) in found.items():
        assert pair.loaded is None
        if name not in ("p2", "p7"):
            assert "value" in outcome
            continue
        assert type(outcome) is MemoryExhaustedError
        assert outcome.stage == stage
        assert "(MemoryError: Unable to allocate 9. GiB)" in str(outcome)
        assert "fewer workers" in str(outcome)


def test_an_error_of_torch_is_known_for_what_it_is() -> None:
    stages = Stages(named(1))

    def fuse(batch: Sequence[PairState]) -> NDArray[np.float32]:
        torch.empty(1 << 50)
        raise AssertionError

    outcomes = stages.run(fuse=fuse, batch_size=1, threads=1)
    assert "can't allocate memory" in str(outcomes[0][1])
    assert type(outcomes[0][1]) is MemoryExhaustedError


def test_a_store_that_gives_no_answer_stops_all_pairs() -> None:
    stages = Stages(named(30))

    def load(pair: PairState) -> None:
        if pair.ref.pair_id == "p3":
            raise UnreachableError("no answer for 120 s")
        stages.load(pair)

    with pytest.raises(UnreachableError):
        stages.run(load=load, batch_size=1)
