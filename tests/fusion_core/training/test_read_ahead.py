import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import numpy as np
import pytest

from fusion_core.errors import UnreachableError
from fusion_core.training.read_ahead import LuminancePair, ReadAhead

SIDE = np.zeros((10, 10), np.uint8)
PAIR_BYTES = 200


class Store:
    """Pairs whose first pixel is their number, which tells what was read of it."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.failing: set[int] = set()
        self.sizes: dict[int, int] = {}

    def __call__(self, number: int) -> LuminancePair:
        self.read.append(number)
        if number in self.failing:
            raise UnreachableError(f"no answer for {number}")
        side = np.full((self.sizes.get(number, 10), 10), number, np.uint8)
        return side, side.copy()


@contextmanager
def reading(
    store: Callable[[int], LuminancePair], threads: int = 2, most_bytes: int = 1 << 20
) -> Iterator[ReadAhead]:
    with closing(ReadAhead(store, threads=threads, most_bytes=most_bytes)) as ahead:
        yield ahead


def settle(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_what_is_expected_is_read_before_it_is_taken_and_once() -> None:
    store = Store()
    with reading(store) as ahead:
        ahead.expect([3, 1, 3, 2])
        settle(lambda: ahead.waiting_bytes == 3 * PAIR_BYTES)
        assert sorted(store.read) == [1, 2, 3]
        assert [int(ahead.take(number)[0][0, 0]) for number in (3, 1, 2, 5)] == [3, 1, 2, 5]
        settle(lambda: ahead.waiting_bytes == 0)
        assert sorted(store.read) == [1, 2, 3, 5]


def test_no_more_are_begun_than_twice_as_many_as_threads() -> None:
    store = Store()
    with reading(store, threads=2) as ahead:
        ahead.expect(range(100))
        settle(lambda: ahead.waiting_bytes == 4 * PAIR_BYTES)
        time.sleep(0.02)
        assert sorted(store.read) == [0, 1, 2, 3]


def test_what_waits_stays_within_its_bytes() -> None:
    store = Store()
    store.sizes = dict.fromkeys(range(1, 100), 40)
    with reading(store, threads=2, most_bytes=900) as ahead:
        ahead.take(0)  # so small that four of such would fit
        ahead.expect([1, 2, 3, 4])
        settle(lambda: len(store.read) == 5)
        settle(lambda: ahead.waiting_bytes == 4 * PAIR_BYTES)
        assert int(ahead.take(2)[0][0, 0]) == 2
        # Now that their size is known, nothing is read in vain.
        store.read.clear()
        ahead.expect([5, 6, 7])
        settle(lambda: ahead.waiting_bytes == 4 * PAIR_BYTES)
        time.sleep(0.02)
        assert store.read == [5]


def test_where_nothing_fits_each_pair_is_read_when_it_is_taken() -> None:
    store = Store()
    with reading(store, most_bytes=PAIR_BYTES - 1) as ahead:
        ahead.take(0)
        ahead.expect([1, 2])
        assert [int(ahead.take(number)[0][0, 0]) for number in (1, 2)] == [1, 2]
        assert store.read == [0, 1, 2]


def test_what_is_expected_no_longer_is_let_go() -> None:
    store = Store()
    with reading(store) as ahead:
        ahead.expect([1, 2])
        settle(lambda: ahead.waiting_bytes == 2 * PAIR_BYTES)
        ahead.expect([2, 3])
        settle(lambda: sorted(store.read) == [1, 2, 3] and ahead.waiting_bytes == 2 * PAIR_BYTES)


def test_what_failed_ahead_of_time_is_tried_again_when_it_is_needed() -> None:
    store = Store()
    store.failing = {1, 2}
    with reading(store) as ahead:
        ahead.expect([1, 2])
        settle(lambda: len(store.read) == 2)
        time.sleep(0.02)
        store.failing = {2}
        assert int(ahead.take(1)[0][0, 0]) == 1
        with pytest.raises(UnreachableError, match="no answer for 2"):
            ahead.take(2)
        assert store.read.count(2) == 2


def test_closing_begins_nothing_more() -> None:
    begun, go = threading.Semaphore(0), threading.Event()
    read: list[int] = []

    def slow(number: int) -> LuminancePair:
        read.append(number)
        begun.release()
        go.wait(10)
        return SIDE, SIDE

    with reading(slow, threads=1) as ahead:
        ahead.expect([1, 2])
        assert begun.acquire(timeout=10)
        threading.Timer(0.05, go.set).start()
    assert read == [1]
