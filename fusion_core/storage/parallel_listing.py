"""Lists by several threads, each another part of what lies below a prefix."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Full, Queue
from threading import Event

from fusion_core.storage.pages import Page, Pages
from fusion_core.storage.retry import counted_by, current_count

_LEVELS = 6  # of folders that are looked into for parts to divide the work by
_MOST_PARTS = 256  # of one folder; more of them, and each may be tiny: a request for little
_POLL = 0.1


def list_parallel(pages: Pages, start: str, threads: int) -> Iterator[Page]:
    """Yield every page below ``start`` once, in any order.

    Args:
        pages: Lists what begins with some text; several threads call it.
        start: The beginning of the names.
        threads: How many list at once; one goes from the first page to the last.

    Raises:
        StorageError: The store failed for good.
    """
    if threads == 1:
        yield from pages(start, deep=True)
        return
    listed, parts = _divide(pages, start, threads)
    yield from listed
    if len(parts) == 1:
        yield from pages(parts[0], deep=True)
    elif parts:
        yield from _by_threads(pages, parts, min(threads, len(parts)))


def _divide(pages: Pages, start: str, wanted: int) -> tuple[list[Page], list[str]]:
    """Find parts to be listed on their own.

    Returns:
        Pages of what lies beside them, and the beginnings of their names. There may be one part,
        which is all: where there are no folders, or folders without end that hold one each.
    """
    listed: list[Page] = []
    whole: list[str] = []
    closed = [start]
    for _ in range(_LEVELS):
        if not closed or len(whole) + len(closed) >= wanted:
            break
        below: list[str] = []
        for folder in closed:
            page = next(pages(folder, deep=False), Page([]))
            if not page.last or len(page.folders) > _MOST_PARTS:
                whole.append(folder)
            else:
                listed.append(page)
                below += page.folders
        closed = below
    return listed, whole + closed


def _by_threads(pages: Pages, parts: list[str], threads: int) -> Iterator[Page]:
    waiting, stop, count = deque(parts), Event(), current_count()
    # Whoever takes the pages may be slower than the store: no more than these wait for it.
    queue: Queue[Page | BaseException | None] = Queue(2 * threads)

    def put(item: Page | BaseException | None) -> None:
        while not stop.is_set():
            with suppress(Full):
                queue.put(item, timeout=_POLL)
                return

    def work() -> None:
        try:
            with counted_by(count):
                while (part := _next(waiting)) is not None:
                    for page in pages(part, deep=True):
                        put(page)
                        if stop.is_set():
                            return
        except BaseException as error:
            put(error)
        put(None)

    with ThreadPoolExecutor(threads) as pool:
        try:
            for _ in range(threads):
                pool.submit(work)
            working = threads
            while working:
                item = queue.get()
                if isinstance(item, BaseException):
                    raise item
                if item is None:
                    working -= 1
                else:
                    yield item
        finally:
            stop.set()


def _next(waiting: deque[str]) -> str | None:
    with suppress(IndexError):
        return waiting.popleft()
    return None
