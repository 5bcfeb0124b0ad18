"""Runs a stage of a clip in a thread of its own, a few items ahead of whoever takes them."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")
_LOOK_AGAIN = 0.2  # seconds


class Ahead(Generic[Item]):
    """An iterator whose items are made by a thread, at most so many ahead.

    Used as a context, so that the thread has ended, and what it reads is closed, when that is left.

    Args:
        items: Makes what is iterated over; called, and gone through, by the thread.
        most: So many items wait at most.
        name: Of the thread.
        begin: Called by the thread at its beginning.
    """

    def __init__(
        self,
        items: Callable[[], Iterator[Item]],
        most: int,
        name: str,
        *,
        begin: Callable[[], object] = bool,
    ):
        self._items, self._begin = items, begin
        self._queue: queue.Queue[tuple[str, object]] = queue.Queue(most)
        self._left = threading.Event()
        context = contextvars.copy_context()
        # A daemon: where it hangs in a library for good, the process can end all the same.
        self._thread = threading.Thread(
            target=lambda: context.run(self._run), name=name, daemon=True
        )

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread after the item that it makes."""
        self._left.set()
        self._thread.join()

    def __iter__(self) -> Iterator[Item]:
        """Yield the items; raises what making them raised."""
        while True:
            kind, value = self._queue.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(value, BaseException)
                raise value
            yield value  # type: ignore[misc]

    def _run(self) -> None:
        try:
            self._begin()
            items = self._items()
            try:
                for item in items:
                    if not self._put("item", item):
                        return
            finally:
                if hasattr(items, "close"):
                    items.close()
        except BaseException as error:
            self._put("error", error)
        else:
            self._put("end", None)

    def _put(self, kind: str, value: object) -> bool:
        """Hand over, unless nobody takes any more."""
        while not self._left.is_set():
            try:
                self._queue.put((kind, value), timeout=_LOOK_AGAIN)
            except queue.Full:
                continue
            return True
        return False
