"""Threads that load and finish compute alone, and the one that fuses on all cores."""

import threading
from collections.abc import Iterator

import pytest
import torch

from fusion_core.jobs.pipeline_threads import PipelineThreads
from fusion_core.jobs.thread_pool import AbandonableThreadPool


@pytest.fixture(autouse=True)
def _three_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def counts(pool: AbandonableThreadPool) -> set[int]:
    """Ask every thread of a pool for its share, all at once so that each answers."""
    together = threading.Barrier(pool.count)

    def count() -> int:
        together.wait(10)
        torch.ones(300_000).add_(1)  # enough for several threads
        return torch.get_num_threads()

    return {task.result(10) for task in [pool.submit(count) for _ in range(pool.count)]}


def test_each_thread_has_its_share_of_the_cores() -> None:
    with PipelineThreads(4) as threads:
        assert counts(threads.finishers) == counts(threads.loaders) == {1}
        assert counts(threads.fusers) == {3}
    assert torch.get_num_threads() == 3


def test_threads_that_come_later_have_all_cores_again() -> None:
    with PipelineThreads(4) as threads:
        assert counts(threads.finishers) == {1}
        with AbandonableThreadPool(1, "later") as later:
            assert counts(later) == {3}


def test_a_thread_in_place_of_an_abandoned_one_computes_alone_too() -> None:
    hanging, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        hanging.set()
        go_on.wait(10)

    with PipelineThreads(1) as threads:
        task = threads.finishers.submit(hang)
        assert hanging.wait(10)
        threads.finishers.abandon(task)
        assert counts(threads.finishers) == {1}
        go_on.set()


def test_what_waits_is_not_begun_after_an_error() -> None:
    done: list[int] = []
    holding = threading.Event()
    with pytest.raises(RuntimeError), PipelineThreads(1) as threads:  # noqa: PT012
        threads.loaders.submit(holding.wait, 10)
        waiting = threads.loaders.submit(done.append, 1)
        threading.Timer(0.1, holding.set).start()
        raise RuntimeError
    assert waiting.cancelled()
    assert not done
