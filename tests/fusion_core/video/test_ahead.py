"""Stages of a clip in threads of their own, a few items ahead of whoever takes them."""

import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from fusion_core.video.ahead import Ahead

PLACE: ContextVar[str] = ContextVar("PLACE", default="nowhere")


class Counting:
    """Makes numbers, and notes how many, in which thread, and whether it was closed."""

    def __init__(self, count: int, fails_at: int | None = None):
        self.count, self.fails_at = count, fails_at
        self.made, self.closed, self.thread, self.place = 0, False, "", ""

    def items(self) -> Iterator[int]:
        self.thread, self.place = threading.current_thread().name, PLACE.get()
        try:
            for number in range(self.count):
                if number == self.fails_at:
                    raise ValueError("no more")
                self.made += 1
                yield number
        finally:
            self.closed = True


def wait_for(made: int, counting: Counting) -> None:
    end = time.monotonic() + 10
    while counting.made < made and time.monotonic() < end:
        time.sleep(0.005)
    assert counting.made == made


def running(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


def test_items_come_in_order_from_another_thread_with_its_context() -> None:
    token = PLACE.set("here")
    counting = Counting(50)
    with Ahead(counting.items, 3, "numbers") as numbers:
        assert list(numbers) == list(range(50))
    PLACE.reset(token)
    assert (counting.thread, counting.place, counting.closed) == ("numbers", "here", True)
    assert not running("numbers")


def test_no_more_are_made_ahead_than_allowed() -> None:
    counting = Counting(50)
    with Ahead(counting.items, 3, "numbers") as numbers:
        wait_for(4, counting)  # three wait, and one is to be handed over
        time.sleep(0.05)
        assert counting.made == 4
        taking = iter(numbers)
        assert [next(taking), next(taking)] == [0, 1]
        wait_for(6, counting)
        time.sleep(0.05)
        assert counting.made == 6


def test_an_error_comes_after_the_items_before_it() -> None:
    counting, found = Counting(9, fails_at=2), list[int]()
    with (
        pytest.raises(ValueError, match="no more"),
        Ahead(counting.items, 5, "numbers") as numbers,
    ):
        found.extend(numbers)
    assert found == [0, 1]
    assert counting.closed
    assert not running("numbers")


def test_an_error_of_whoever_begins_comes_too() -> None:
    def begin() -> Iterator[int]:
        raise KeyError("nothing to begin with")

    with pytest.raises(KeyError, match="nothing"), Ahead(begin, 1, "numbers") as numbers:
        list(numbers)


def test_leaving_in_the_middle_ends_the_thread_and_closes_what_it_reads() -> None:
    counting = Counting(10**9)
    with Ahead(counting.items, 2, "numbers") as numbers:
        assert next(iter(numbers)) == 0
    assert counting.closed
    assert not running("numbers")
    assert counting.made <= 5


def test_leaving_by_an_error_ends_all_stages_that_rest_on_each_other() -> None:
    first, seen = Counting(10**9), []

    def second(numbers: Ahead[int]) -> Iterator[int]:
        for number in numbers:
            seen.append(number)
            yield -number

    def last(numbers: Ahead[int]) -> None:
        for number in numbers:
            if number == -3:
                raise RuntimeError("the last stage")

    with (
        pytest.raises(RuntimeError, match="the last stage"),
        Ahead(first.items, 2, "first") as numbers,
        Ahead(lambda: second(numbers), 2, "second") as others,
    ):
        last(others)
    assert first.closed
    assert not running("first")
    assert not running("second")
    assert seen[:4] == [0, 1, 2, 3]


def test_an_error_of_the_first_stage_reaches_the_last() -> None:
    first = Counting(9, fails_at=4)
    found: list[int] = []
    with (
        pytest.raises(ValueError, match="no more"),
        Ahead(first.items, 1, "first") as numbers,
        Ahead(lambda: (2 * number for number in numbers), 1, "second") as doubled,
    ):
        found.extend(doubled)
    assert not running("second")
