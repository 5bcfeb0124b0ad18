"""Moves the pairs of a chunk through their stages, overlapped, with bounded bytes in flight.

Loading runs in one pool of threads, finishing in another, and the network in a thread of its own;
where the fused images are there already, there is no network. So pixels never leave the worker's
process. What is held in memory is counted by the calling thread alone, so there is no lock to
forget.

A pair for which memory runs out is worked on once more when no other is in memory. One that takes
too long is given up, and the thread that hangs at it is abandoned. Where that is the network's, no
further pair is begun, for what hangs once is likely to do so again: the process is spoiled.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import chain
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from fusion_core.jobs.failure import deadline_error, drop_tracebacks, failed
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.pipeline_threads import PipelineThreads
from fusion_core.jobs.stages import Fuse, Outcomes, PairStages, PipelineLimits, Work
from fusion_core.jobs.warned import about
from fusion_core.models.gpu_fault import is_gpu_fault
from fusion_core.models.memory import is_out_of_memory

BYTES_PER_PIXEL = 48
"""Memory of a loaded pair: both pictures, four fp32 luminances, the fused one; 20 to 30 of it
while it is decoded (measured). A pair with a fused picture that is to be scored takes less. What
fuses takes more for its batch, which is foreseen where it is fused (``models.tiling.room``)."""

# Guesses at that memory while a pair's size isn't known: JPEG and WebP files of 2 bits a pixel, and
# other first ones likewise; later ones are like the largest yet, or larger PNG files of 8 bits.
_LOSSY = (".jpg", ".jpeg", ".webp")
_FIRST_PER_FILE_BYTE = 96
_LOADED_PER_FILE_BYTE = 24

FINISHING_BYTES_PER_PIXEL = 65
"""Memory of a pair while it is finished; measured: 31 to 40 with 8 bits, 45 to 63 with 16."""

_LOOK_AGAIN = 60.0  # seconds; a longer deadline needs no longer sleep

log = logging.getLogger(__name__)


def run_pipeline(
    pairs: Sequence[Work],
    stages: PairStages[Work],
    limits: PipelineLimits,
    stopping: threading.Event,
) -> Outcomes[Work]:
    """Load, fuse and finish pairs; an error of one pair is its outcome and no other's.

    Args:
        pairs: What to work on.
        stages: What is done to each.
        limits: What they may take.
        stopping: Set while this works, it keeps further pairs from being begun.

    Raises:
        UnreachableError: A store gives no answer, which is no pair's fault.
        GpuFaultError: The GPU failed, likewise.
    """
    with PipelineThreads(limits.threads) as threads:
        return _Pipeline(stages, limits, threads, stopping).run(pairs)


class _Task(Generic[Work]):
    """The loading or finishing of a pair, in a thread.

    Attributes:
        pair: Which pair.
        size: The pair's share of the memory, in bytes.
        earlier: Seconds that the pair's earlier stages took.
        begun: When a thread began the task, by the monotonic clock; None before.
    """

    def __init__(self, pair: Work, size: int):
        self.pair, self.size = pair, size
        self.earlier = sum(pair.seconds.values())
        self.begun: float | None = None

    def run(self, action: Callable[..., Any], *more: Any) -> Any:
        """Do the task; called by the thread that takes it."""
        self.begun = time.monotonic()
        return action(self.pair, *more)

    def spent(self) -> float:
        """Return the seconds that the pair's stages took so far."""
        return self.earlier + (0.0 if self.begun is None else time.monotonic() - self.begun)


class _Pipeline(Generic[Work]):
    def __init__(
        self,
        stages: PairStages[Work],
        limits: PipelineLimits,
        threads: PipelineThreads,
        stopping: threading.Event,
    ):
        self.stages, self.limits, self.stopping = stages, limits, stopping
        self.loaders, self.finishers = threads.loaders, threads.finishers
        self.fusers = threads.fusers
        self.held = 0
        self.largest = 0
        self.done = Outcomes[Work]()
        self.ready: dict[tuple[int, int], list[Work]] = defaultdict(list)
        self.loading: dict[Future[Any], _Task[Work]] = {}
        self.finishing: dict[Future[Any], _Task[Work]] = {}
        self.again: deque[Work] = deque()
        self.tried_again: list[Work] = []

    def run(self, pairs: Sequence[Work]) -> Outcomes[Work]:
        queue = deque(pairs)
        while queue or self.loading or self.ready or self.finishing or self.again:
            if self.stopping.is_set() or self.done.spoiled:
                self._give_back(queue)
            elif not (queue or self.loading or self.ready or self.finishing):
                queue.append(self.again.popleft())
            self._start_loading(queue)
            batch = self._next_batch()
            self._collect(block=not batch)
            if batch:
                self._fuse(batch)
        return self.done

    def _give_back(self, queue: deque[Work]) -> None:
        """Leave all that is not being finished; what is being loaded comes here once it is."""
        for pair in (*queue, *self.again, *chain(*self.ready.values())):
            if pair.loaded is not None:
                self.held -= _loaded_bytes(pair)
            pair.end()
        queue.clear()
        self.again.clear()
        self.ready.clear()

    def _start_loading(self, queue: deque[Work]) -> None:
        while queue and len(self.loading) < 2 * self.loaders.count:
            guess = self._guess(queue[0])
            if self.held and self.held + guess > self.limits.memory:
                return
            task = _Task(queue.popleft(), guess)
            self.loading[self.loaders.submit(task.run, self.stages.load)] = task
            self.held += guess

    def _guess(self, pair: Work) -> int:
        ref = pair.ref
        if not self.largest or ref.vi_path.lower().endswith(_LOSSY):
            return max(self.largest, _FIRST_PER_FILE_BYTE * ref.file_bytes)
        return max(self.largest, _LOADED_PER_FILE_BYTE * ref.file_bytes)

    def _next_batch(self) -> list[Work]:
        """Take a full batch, or one as full as it gets once waiting longer would idle.

        Nothing is taken while what is being finished leaves no memory to finish more.
        """
        if not self.ready:
            return []
        shape, bucket = max(self.ready.items(), key=lambda item: len(item[1]))
        waiting = sum(len(pairs) for pairs in self.ready.values())
        # Pairs that all differ in shape never fill a batch; two batches' worth of them is enough.
        if (
            len(bucket) < self.limits.batch_size
            and self.loading
            and waiting < 2 * self.limits.batch_size
        ):
            return []
        batch, rest = bucket[: self.limits.batch_size], bucket[self.limits.batch_size :]
        more = sum(_finishing_bytes(pair) - _loaded_bytes(pair) for pair in batch)
        if self.finishing and self.held + more > self.limits.memory:
            return []
        if rest:
            self.ready[shape] = rest
        else:
            del self.ready[shape]
        return batch

    def _collect(self, *, block: bool) -> None:
        """Take in what the threads have finished; ``block`` says whether to wait for some of it."""
        tasks = {**self.loading, **self.finishing}
        left = min(self.limits.deadline - task.spent() for task in tasks.values()) if tasks else 0.0
        done, undone = wait(
            tasks, min(max(left, 0.0), _LOOK_AGAIN) if block else 0, FIRST_COMPLETED
        )
        for future in done:
            self._take_in(future)
        for future in undone:
            if tasks[future].spent() > self.limits.deadline:
                self._give_up(future)

    def _take_in(self, future: Future[Any]) -> None:
        origin = self.loading if future in self.loading else self.finishing
        task = origin.pop(future)
        pair = task.pair
        self.held -= task.size
        error = future.exception()
        if error is not None:
            self._fail(pair, error)
        elif origin is self.loading:
            self.held += _loaded_bytes(pair)
            self.largest = max(self.largest, _loaded_bytes(pair))
            self.ready[pair.shape].append(pair)
        else:
            pair.end()
            self.done.of_pairs.append((pair, future.result()))

    def _give_up(self, future: Future[Any]) -> None:
        """Fail a pair that takes too long, and wait no longer for what is done to it."""
        loading = future in self.loading
        task = (self.loading if loading else self.finishing).pop(future)
        (self.loaders if loading else self.finishers).abandon(future)
        self.held -= task.size
        # The abandoned thread may go on one day; it keeps a pair of its own.
        pair = dataclasses.replace(task.pair, seconds=dict(task.pair.seconds))
        now = task.spent() - sum(pair.seconds.values())
        pair.seconds[pair.stage] = pair.seconds.get(pair.stage, 0.0) + now
        self._fail(pair, deadline_error(pair.stage, pair.seconds, self.limits.deadline))

    def _fuse(self, batch: list[Work]) -> None:
        if self.stages.fuse is None:
            for pair in batch:
                self._start_finishing(pair)
            return
        fusing = self.fusers.submit(self._fuse_timed, batch, self.stages.fuse)
        # Its share of the batch for each, and no more than a wait can be told.
        spent = sum(sum(pair.seconds.values()) for pair in batch)
        left = max(self.limits.deadline * len(batch) - spent, 0.0)
        ended, _ = wait([fusing], min(left, threading.TIMEOUT_MAX))
        if not ended:
            self.fusers.abandon(fusing)
            self._hung(batch, left)
        elif (error := fusing.exception()) is not None:
            self._fuse_failed(batch, error)
        else:
            share = batch[0].seconds[self.stages.name] / len(batch)  # a batch has one duration
            for pair, image in zip(batch, fusing.result(), strict=True):
                pair.seconds[self.stages.name] = share
                self._start_finishing(pair, image)

    def _fuse_timed(self, batch: list[Work], fuse: Fuse[Work]) -> list[NDArray[np.float32]]:
        alone = batch[0].ref.pair_id if len(batch) == 1 else None
        with batch[0].timed(self.stages.name), about(alone):
            return list(fuse(batch))

    def _fuse_failed(self, batch: list[Work], error: BaseException) -> None:
        if len(batch) > 1 and isinstance(error, Exception) and not is_gpu_fault(error):
            for pair in batch:  # so that one pair's failure doesn't become its neighbours'
                if self.done.spoiled:
                    self.ready[pair.shape].append(pair)  # to be given back
                else:
                    self._fuse([pair])
            return
        self.held -= sum(map(_loaded_bytes, batch))
        self._fail(batch[0], error)

    def _hung(self, batch: list[Work], waited: float) -> None:
        """Give up a batch whose fusing doesn't end, and begin no other pair in this process."""
        self.done.spoiled = True
        self.held -= sum(map(_loaded_bytes, batch))
        # The abandoned thread may go on one day; it keeps pairs of its own.
        mine = [dataclasses.replace(pair, seconds=dict(pair.seconds)) for pair in batch]
        if len(mine) > 1:
            log.warning("fusing %d pairs hangs; they are to be tried alone", len(mine))
            for pair in mine:
                pair.end()
            self.done.alone += mine
            return
        mine[0].seconds[self.stages.name] = waited
        self._fail(mine[0], deadline_error(self.stages.name, mine[0].seconds, self.limits.deadline))

    def _start_finishing(self, pair: Work, *fused: NDArray[np.float32]) -> None:
        task = _Task(pair, _finishing_bytes(pair))
        self.finishing[self.finishers.submit(task.run, self.stages.finish, *fused)] = task
        self.held += _finishing_bytes(pair) - _loaded_bytes(pair)

    def _fail(self, pair: Work, error: BaseException) -> None:
        if not isinstance(error, Exception):
            raise error
        pair.end()
        tried = any(pair is other for other in self.tried_again)
        if is_out_of_memory(error) and not tried:
            name = pair.ref.pair_id
            log.warning(
                "pair %s waits to be alone in memory: %s", name, error, extra={"pair_id": name}
            )
            drop_tracebacks(error)
            self.tried_again.append(pair)
            self.again.append(pair)
            return
        self.done.of_pairs.append((pair, failed(pair, error)))


def _loaded_bytes(pair: PairState) -> int:
    height, width = pair.shape
    return height * width * BYTES_PER_PIXEL


def _finishing_bytes(pair: PairState) -> int:
    height, width = pair.shape
    return height * width * FINISHING_BYTES_PER_PIXEL
