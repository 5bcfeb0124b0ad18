"""A pool of threads of which one that hangs can be abandoned with its task.

The threads of ``ThreadPoolExecutor`` are waited for when Python ends, so
that one call that never returns would keep the process for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self


class AbandonableThreadPool:
    """Does tasks in a number of threads; at the end of its block all of them have ended.

    Where the block ends by an exception, tasks that wait are cancelled. Those that were abandoned
    are not waited for, by the block or by Python's end.

    Attributes:
        count: How many threads there are.
    """

    def __init__(self, count: int, name: str, *, begin: Callable[[], None] | None = None):
        """Start the threads.

        Args:
            count: How many.
            name: What their names begin with.
            begin: What each of them does before its first task.
        """
        self.count = count
        self._begin = begin
        self._name, self._started = name, 0
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._running: dict[Future[Any], threading.Thread] = {}
        for _ in range(count):
            self._start()

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Wait for all threads but abandoned ones; see the class."""
        if kind is not None:
            self._cancel_waiting()
        for _thread in range(self.count):
            self._waiting.put(None)
        for thread in list(self._threads):
            thread.join()

    def submit(self, action: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have ``action(*args)`` done by the next free thread."""
        task: Future[Any] = Future()
        self._waiting.put((task, partial(action, *args)))
        return task

    def abandon(self, task: Future[Any]) -> None:
        """Abandon a task: where a thread is at it, another takes that one's place."""
        with self._lock:
            if task.cancel() or task not in self._running:
                return
            self._threads.discard(self._running.pop(task))
            self._start()

    def _start(self) -> None:
        name = f"{self._name}_{self._started}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._started += 1
        self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        if self._begin is not None:
            self._begin()
        while self._do_next():
            pass

    def _do_next(self) -> bool:
        """Do the next task; return whether this thread is to go on."""
        item = self._waiting.get()
        if item is None:
            return False
        task, action = item
        with self._lock:
            if not task.set_running_or_notify_cancel():
                return True
            self._running[task] = threading.current_thread()
        try:
            task.set_result(action())
        except BaseException as error:
            task.set_exception(error)
        with self._lock:
            return self._running.pop(task, None) is not None

    def _cancel_waiting(self) -> None:
        while True:
            try:
                item = self._waiting.get_nowait()
            except Empty:
                return
            if item is not None:
                item[0].cancel()
