"""The threads of a pipeline, and how they share the cores.

The network computes on all cores that the worker has. Pairs are loaded and finished side by side,
and torch computes in each of those threads alone: teams of threads for each pair would be more
than there are cores and mostly wait for one another (measured: a third of the pairs' CPU time).
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Self

import torch

from fusion_core.jobs.thread_pool import AbandonableThreadPool


class PipelineThreads:
    """Threads for loading, one for fusing and threads for finishing.

    At the end of its block all of them have ended; where it ends by an exception, what waits is not
    begun any more, and what runs is let finish.

    Attributes:
        loaders: Those for loading.
        fusers: The one for fusing.
        finishers: Those for finishing.
    """

    def __init__(self, count: int):
        """Start the threads.

        Args:
            count: Threads for loading, and as many for finishing.
        """
        cores = torch.get_num_threads()
        alone = partial(compute_alone, cores)
        together = partial(compute_on, cores)
        self.loaders = AbandonableThreadPool(count, "load", begin=alone)
        self.fusers = AbandonableThreadPool(1, "fuse", begin=together)
        self.finishers = AbandonableThreadPool(count, "finish", begin=alone)
        self._pools = ExitStack()

    def __enter__(self) -> Self:
        """Return the threads."""
        for pool in (self.loaders, self.fusers, self.finishers):
            self._pools.enter_context(pool)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for all threads but abandoned ones."""
        self._pools.__exit__(kind, error, trace)


_changing = threading.Lock()


def compute_on(cores: int) -> None:
    """Have torch compute on so many cores for this thread."""
    # A thread's first call of torch takes over the process' number; it must not do so afterwards.
    torch.get_num_threads()
    torch.set_num_threads(cores)


def compute_alone(cores: int) -> None:
    """Have torch compute in this thread alone, and in others on all cores as before."""
    with _changing:
        compute_on(1)
        # Threads to come would begin with that as well, and only another thread can undo it.
        other = threading.Thread(target=compute_on, args=(cores,))
        other.start()
        other.join()
