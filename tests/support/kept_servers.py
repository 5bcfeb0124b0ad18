"""Servers that tests share, each up from the first test that asks for it to the last one's file."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from typing import Generic, TypeVar

import pytest

T = TypeVar("T")


class KeptServer(Generic[T]):
    """A server that is started when it is first asked for.

    Args:
        name: The fixture that tests have it by.
        start: Returns what has it up for as long as a block lasts.
    """

    def __init__(self, name: str, start: Callable[[], AbstractContextManager[T]]):
        self.name = name
        self._start = start
        self._stack = ExitStack()
        self._up: list[T] = []

    def get(self) -> T:
        """Return what tests talk to."""
        if not self._up:
            self._up.append(self._stack.enter_context(self._start()))
        return self._up[0]

    def end_before(self, item: pytest.Item | None, items: Iterable[pytest.Item]) -> None:
        """End it, unless a test of the next one's file asks for it.

        Three nodes of Ray and an API, idle, take a tenth of a core from the tests after them.

        Args:
            item: The test that comes next; None behind the last one.
            items: All tests.
        """
        if self._up and not (item and any(asks(one, self.name) for one in beside(item, items))):
            self._up.clear()
            self._stack.close()


def asks(item: pytest.Item, name: str) -> bool:
    """Return whether a test has a fixture, by itself or by another one."""
    return name in getattr(item, "fixturenames", ())


def beside(item: pytest.Item, items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests of a test's file."""
    return [one for one in items if one.path == item.path]
