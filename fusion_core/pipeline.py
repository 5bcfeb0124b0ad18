"""Moves the pairs of a chunk through their stages, overlapped, with bounded bytes in flight.

Loading runs in one pool of threads, finishing in another, and the network in the calling thread
(decision 1 of the design); where the fused images are there already, there is no network. What is
held in memory is counted by the calling thread alone, so there is no lock to forget.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import FuseArchiveError, PairError
from fusion_core.pair_work import PairInWork

BYTES_PER_PIXEL = 48
"""Memory of a loaded pair: both pictures, four fp32 luminances, the fp32 colour on its way back.
A pair with a fused picture that is to be scored takes less. What fuses takes more for its batch,
which is not counted: RefineFuse 1800 in fp32, the largest baseline 170 (measured on a CPU)."""

# Guesses at the same before a pair's size is known. The first pairs may be JPEG files of 2 bits a
# pixel; later ones are taken to be like the largest yet, or larger PNG files of 8 bits a pixel.
_FIRST_PER_FILE_BYTE = 96
_LOADED_PER_FILE_BYTE = 24

FINISHING_BYTES_PER_PIXEL = 125
"""The same while it is finished: encoding and scoring hold up to 74 bytes more (measured)."""

Work = TypeVar("Work", bound=PairInWork)
Outcome = tuple[Work, dict[str, Any] | Exception]
log = logging.getLogger(__name__)


def run_pipeline(
    pairs: Sequence[Work],
    load: Callable[[Work], None],
    fuse: Callable[[Sequence[Work]], NDArray[np.float32]] | None,
    finish: Callable[..., dict[str, Any]],
    batch_size: int,
    threads: int,
    memory: int,
) -> list[Outcome[Work]]:
    """Load, fuse and finish pairs; an error of one pair is its outcome and no other's.

    Args:
        pairs: What to work on.
        load: Reads and decodes a pair, in place.
        fuse: Turns loaded pairs of one shape (H, W) into their fused luminances (B, H, W); None
            where there is nothing to fuse.
        finish: Given a pair and its fused luminance (a pair alone where there is no ``fuse``),
            encodes, writes and scores one fused image; returns the row's columns.
        batch_size: At most so many pairs in one call of ``fuse``.
        threads: Threads for loading, and as many for finishing.
        memory: Bound in bytes on what is loaded and not yet finished. A pair that is larger by
            itself is worked on alone.

    Returns:
        Each pair with the columns that ``finish`` returned, or the error that stopped it.
    """
    with (
        ThreadPoolExecutor(threads, "load") as loaders,
        ThreadPoolExecutor(threads, "finish") as finishers,
    ):
        pipeline = _Pipeline(load, fuse, finish, batch_size, memory, loaders, finishers)
        try:
            return pipeline.run(pairs)
        except BaseException:
            # Cancelled: what waits is not begun any more, what runs is let finish.
            loaders.shutdown(wait=False, cancel_futures=True)
            finishers.shutdown(wait=False, cancel_futures=True)
            raise


class _Pipeline(Generic[Work]):
    def __init__(
        self,
        load: Callable[[Work], None],
        fuse: Callable[[Sequence[Work]], NDArray[np.float32]] | None,
        finish: Callable[..., dict[str, Any]],
        batch_size: int,
        memory: int,
        loaders: ThreadPoolExecutor,
        finishers: ThreadPoolExecutor,
    ):
        self.load, self.fuse, self.finish = load, fuse, finish
        self.batch_size, self.memory = batch_size, memory
        self.loaders, self.finishers = loaders, finishers
        self.held = 0
        self.largest = 0
        self.outcomes: list[Outcome[Work]] = []
        self.ready: dict[tuple[int, int], list[Work]] = defaultdict(list)
        self.loading: dict[Future[Any], tuple[Work, int]] = {}
        self.finishing: dict[Future[Any], tuple[Work, int]] = {}

    def run(self, pairs: Sequence[Work]) -> list[Outcome[Work]]:
        queue = deque(pairs)
        while queue or self.loading or self.ready or self.finishing:
            self._start_loading(queue)
            batch = self._next_batch()
            self._collect(block=not batch)
            if batch:
                self._fuse(batch)
        return self.outcomes

    def _start_loading(self, queue: deque[Work]) -> None:
        while queue and len(self.loading) < 2 * self.loaders._max_workers:
            guess = self._guess(queue[0])
            if self.held and self.held + guess > self.memory:
                return
            pair = queue.popleft()
            self.loading[self.loaders.submit(self.load, pair)] = pair, guess
            self.held += guess

    def _guess(self, pair: Work) -> int:
        size = pair.ref.file_bytes
        if not self.largest:
            return _FIRST_PER_FILE_BYTE * size
        return max(self.largest, _LOADED_PER_FILE_BYTE * size)

    def _next_batch(self) -> list[Work]:
        """Take a full batch, or one as full as it gets once waiting longer would idle.

        Nothing is taken while what is being finished leaves no memory to finish more.
        """
        if not self.ready:
            return []
        shape, bucket = max(self.ready.items(), key=lambda item: len(item[1]))
        waiting = sum(len(pairs) for pairs in self.ready.values())
        # Pairs that all differ in shape never fill a batch; two batches' worth of them is enough.
        if len(bucket) < self.batch_size and self.loading and waiting < 2 * self.batch_size:
            return []
        batch, rest = bucket[: self.batch_size], bucket[self.batch_size :]
        more = sum(_finishing_bytes(pair) - _loaded_bytes(pair) for pair in batch)
        if self.finishing and self.held + more > self.memory:
            return []
        if rest:
            self.ready[shape] = rest
        else:
            del self.ready[shape]
        return batch

    def _collect(self, block: bool) -> None:
        """Take in what the threads have finished; wait for some of it if told to."""
        done, _ = wait([*self.loading, *self.finishing], None if block else 0.0, FIRST_COMPLETED)
        for task in done:
            origin = self.loading if task in self.loading else self.finishing
            pair, size = origin.pop(task)
            self.held -= size
            error = task.exception()
            if error is not None:
                self._fail(pair, error)
            elif origin is self.loading:
                self.held += _loaded_bytes(pair)
                self.largest = max(self.largest, _loaded_bytes(pair))
                self.ready[pair.shape].append(pair)
            else:
                pair.end()
                self.outcomes.append((pair, task.result()))

    def _fuse(self, batch: list[Work]) -> None:
        if self.fuse is None:
            for pair in batch:
                self._start_finishing(pair)
            return
        try:
            with batch[0].timed("fuse"):
                fused = self.fuse(batch)
        except Exception as error:
            if len(batch) > 1:  # so that one pair's failure doesn't become its neighbours'
                for pair in batch:
                    self._fuse([pair])
                return
            self.held -= _loaded_bytes(batch[0])
            self._fail(batch[0], error)
            return
        share = batch[0].seconds["fuse"] / len(batch)  # a batch has one duration
        for pair, image in zip(batch, fused, strict=True):
            pair.seconds["fuse"] = share
            self._start_finishing(pair, image)

    def _start_finishing(self, pair: Work, *fused: NDArray[np.float32]) -> None:
        task = self.finishers.submit(self.finish, pair, *fused)
        self.finishing[task] = pair, _finishing_bytes(pair)
        self.held += _finishing_bytes(pair) - _loaded_bytes(pair)

    def _fail(self, pair: Work, error: BaseException) -> None:
        if not isinstance(error, Exception):
            raise error
        pair.end()
        self.outcomes.append((pair, failed(pair, error)))


def failed(pair: PairInWork, error: Exception) -> Exception:
    """Log the error that stopped a pair, and return it as it may wait for the chunk's commit."""
    # An error that wasn't foreseen is a bug, to be found by its traceback.
    unforeseen = None if isinstance(error, FuseArchiveError) else error
    stage = error.stage if isinstance(error, PairError) else pair.stage
    log.warning("pair %s failed at %s: %s", pair.ref.pair_id, stage, error, exc_info=unforeseen)
    _drop_tracebacks(error)
    return error


def _drop_tracebacks(error: BaseException) -> None:
    """Let go of the frames that an error passed through: they hold the pair's files and pixels."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__


def _loaded_bytes(pair: PairInWork) -> int:
    height, width = pair.shape
    return height * width * BYTES_PER_PIXEL


def _finishing_bytes(pair: PairInWork) -> int:
    height, width = pair.shape
    return height * width * FINISHING_BYTES_PER_PIXEL
