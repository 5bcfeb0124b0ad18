import gc
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import CancelledError, Future, wait
from typing import Any

import pytest

from fusion_core.jobs.thread_pool import AbandonableThreadPool

LONG = 30.0


def running(name: str) -> int:
    return sum(thread.name.startswith(name) for thread in threading.enumerate())


def test_tasks_are_done_by_so_many_threads_and_those_end() -> None:
    together = threading.Barrier(3, timeout=LONG)
    with AbandonableThreadPool(3, "some") as threads:
        tasks = [threads.submit(together.wait) for _ in range(9)]
        squares = [threads.submit(pow, k, 2) for k in range(20)]
        assert sorted(task.result() for task in tasks) == sorted([0, 1, 2] * 3)
        assert [task.result() for task in squares] == [k * k for k in range(20)]
        assert running("some") == 3
    assert running("some") == 0


def test_an_error_is_that_of_its_task() -> None:
    with AbandonableThreadPool(1, "some") as threads:
        bad = [threads.submit(int, "x"), threads.submit(sys.exit, 3)]
        assert threads.submit(int, "7").result() == 7
    assert isinstance(bad[0].exception(), ValueError)
    assert isinstance(bad[1].exception(), SystemExit)


def test_what_waits_is_done_at_the_end_of_the_block() -> None:
    with AbandonableThreadPool(1, "some") as threads:
        tasks = [threads.submit(time.sleep, 0.01) for _ in range(5)]
    assert all(task.done() and not task.cancelled() for task in tasks)


def test_an_exception_cancels_what_waits_and_lets_finish_what_runs() -> None:
    begun, over = threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        over.wait(LONG)
        return 5

    def fail() -> tuple[Future[Any], Future[Any]]:
        with AbandonableThreadPool(1, "some") as threads:
            tasks.extend((threads.submit(slow), threads.submit(int, "1")))
            assert begun.wait(LONG)
            threading.Timer(0.05, over.set).start()
            raise KeyError

    tasks: list[Future[Any]] = []
    with pytest.raises(KeyError):
        fail()
    assert tasks[0].result() == 5
    with pytest.raises(CancelledError):
        tasks[1].result()
    assert running("some") == 0


def test_another_thread_takes_the_place_of_one_that_is_abandoned() -> None:
    over = threading.Event()
    with AbandonableThreadPool(1, "some") as threads:
        hanging = [threads.submit(over.wait, LONG) for _ in range(3)]
        last = threads.submit(int, "7")
        for task in hanging:
            while not task.running():
                time.sleep(0.001)
            threads.abandon(task)
            threads.abandon(task)  # once more does nothing
        assert last.result(LONG) == 7
        assert running("some") == 4
    assert running("some") == 3  # the block didn't wait for them
    over.set()
    wait(hanging, LONG)
    time.sleep(0.05)
    assert running("some") == 0


def test_a_task_that_waits_or_is_done_is_abandoned_without_a_new_thread() -> None:
    over = threading.Event()
    with AbandonableThreadPool(1, "some") as threads:
        done = threads.submit(int, "1")
        assert done.result() == 1
        held = threads.submit(over.wait, LONG)
        waiting = threads.submit(int, "2")
        threads.abandon(done)
        threads.abandon(waiting)
        assert waiting.cancelled()
        assert running("some") == 1
        over.set()
    assert held.result()


def test_a_thread_keeps_nothing_of_what_it_has_done() -> None:
    class Large:
        pass

    def use(large: Large) -> Large:
        return large

    with AbandonableThreadPool(1, "some") as threads:
        large = Large()
        alive = weakref.ref(large)
        task = threads.submit(use, large)
        task.result()
        threads.submit(int, "1").result()
        del large, task
        gc.collect()
        assert alive() is None


def test_python_ends_though_a_thread_was_abandoned() -> None:
    program = (
        "import threading\n"
        "from fusion_core.jobs.thread_pool import AbandonableThreadPool\n"
        "with AbandonableThreadPool(1, 'some') as threads:\n"
        "    task = threads.submit(threading.Event().wait)\n"
        "    while not task.running(): pass\n"
        "    threads.abandon(task)\n"
        "print('ended')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], timeout=LONG, capture_output=True)
    assert (ended.returncode, ended.stdout) == (0, b"ended\n")
