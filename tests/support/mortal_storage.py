"""A storage whose process ends at one of its calls."""

import itertools
from typing import Any

from fusion_core.storage.store import Storage


class Killed(BaseException):
    """The end of a process."""


class Mortal(Storage):
    """Dies at call number ``at``, before or after it; no thread's call gets through any more."""

    def __init__(self, url: str, at: int, *, after: bool):
        super().__init__(url)
        self.dead = False
        self._at, self._after, self._calls = at, after, itertools.count()

    def call(self, *args: Any, **options: Any) -> Any:
        dies = next(self._calls) == self._at
        if self.dead or (dies and not self._after):
            self.dead = True
            raise Killed
        try:
            return super().call(*args, **options)
        finally:
            if dies:
                self.dead = True
                raise Killed
