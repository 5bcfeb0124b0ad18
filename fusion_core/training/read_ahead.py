"""Reads the pairs of the coming batches by threads, while the one before is computed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

LuminancePair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Infrared and visible luminance, each (H, W) rounded to 8 bits."""

_PER_THREAD = 2  # pairs that are begun or wait, so that no thread is idle during a step


class ReadAhead:
    """Reads pairs by number, some of them before they are asked for.

    What it holds that nobody has taken yet stays below a number of bytes. What is being decoded
    comes on top: as many pairs as there are threads.

    Args:
        read: Reads the pair of a number; called in several threads at once.
        threads: How many read.
        most_bytes: What may wait to be taken.

    Attributes:
        most_pairs: How many are begun or wait at once.
        waiting_bytes: What waits now.
    """

    def __init__(
        self, read: Callable[[int], LuminancePair], *, threads: int, most_bytes: int
    ) -> None:
        self.most_pairs = _PER_THREAD * threads
        self.waiting_bytes = 0
        self._read = read
        self._most_bytes = most_bytes
        self._largest = 1
        self._lock = threading.Lock()
        self._coming: dict[int, Future[LuminancePair | None]] = {}
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read-ahead")

    def expect(self, numbers: Iterable[int]) -> None:
        """Begin to read what will be taken next, in this order, as far as there is room.

        What was expected before and is no longer is let go.
        """
        # As if all were as large as the largest: what finds no room would be read in vain.
        room = min(self.most_pairs, self._most_bytes // self._largest)
        wanted = list(dict.fromkeys(numbers))[:room]
        for number in self._coming.keys() - set(wanted):
            self._let_go(self._coming.pop(number))
        for number in wanted:
            if number not in self._coming:
                self._coming[number] = self._pool.submit(self._read_if_room, number)

    def take(self, number: int) -> LuminancePair:
        """Return a pair: one that was read ahead, or it is read now.

        Raises:
            Exception: What ``read`` raises. What it raised ahead of time counts for nothing: the
                store may answer again by now.
        """
        coming = self._coming.pop(number, None)
        ahead = None
        if coming is not None and not coming.cancel():
            with suppress(Exception):
                ahead = coming.result()
            self._let_go(coming)
        return self._sized(self._read(number)) if ahead is None else ahead

    def close(self) -> None:
        """Begin no more reads, and wait for those that are at work."""
        self._coming.clear()
        self._pool.shutdown(cancel_futures=True)

    def _read_if_room(self, number: int) -> LuminancePair | None:
        pair = self._sized(self._read(number))
        with self._lock:
            if self.waiting_bytes + _bytes(pair) > self._most_bytes:
                return None
            self.waiting_bytes += _bytes(pair)
        return pair

    def _sized(self, pair: LuminancePair) -> LuminancePair:
        with self._lock:
            self._largest = max(self._largest, _bytes(pair))
        return pair

    def _let_go(self, coming: Future[LuminancePair | None]) -> None:
        """Count a read as waiting no longer, once it is done."""
        if not coming.cancel():
            coming.add_done_callback(self._count_out)

    def _count_out(self, done: Future[LuminancePair | None]) -> None:
        pair = None if done.exception() else done.result()
        if pair is not None:
            with self._lock:
                self.waiting_bytes -= _bytes(pair)


def _bytes(pair: LuminancePair) -> int:
    return sum(side.nbytes for side in pair)
