"""A storage whose process ends at one of its calls."""

from collections.abc import Iterator
from typing import Any

from fusion_core.storage.store import Storage


class Killed(BaseException):
    """The end of a process."""


class Mortal(Storage):
    """Dies at one of its calls, before or after it, and at all that follow."""

    def __init__(self, url: str, calls: Iterator[bool], *, after: bool):
        super().__init__(url)
        self._calls, self._after, self._dead = calls, after, False

    def call(self, *args: Any, **options: Any) -> Any:
        dies = next(self._calls)
        if self._dead or (dies and not self._after):
            self._dead = True  # also for its other threads
            raise Killed
        result = super().call(*args, **options)
        if dies:
            self._dead = True
            raise Killed
        return result
