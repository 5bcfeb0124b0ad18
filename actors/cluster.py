"""Connects to a Ray cluster and lets go of it, leaving the process as it was."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import ray

from actors import session_reaper
from actors.ray_internals import lean_node

_LAST_SECONDS = 3.0
_OBJECT_STORE_BYTES = 128 << 20  # only references and summaries pass through it

_starting: Future[None] | None = None
"""A local cluster that this process has begun to start."""

log = logging.getLogger(__name__)


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to a Ray cluster during the block.

    Args:
        address: ``auto`` or ``host:port`` of a cluster that this machine is a node of; None
            starts a local cluster that ends with the block, or with this process if that is
            killed. Where this process is connected already, or is about to be (``starting``), that
            connection is used and kept.
    """
    if _starting is not None and (error := _starting.exception()) is not None:
        # Beside all else that starts, Ray's own patience of 30 s may be too short.
        log.warning("Ray didn't start beside Prefect (%s); it is started again", error)
    if ray.is_initialized():
        yield
    elif address is None:
        with _local():
            yield
    else:
        with _signal_handlers_kept():
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def starting(address: str | None, modules: Sequence[str]) -> Iterator[None]:
    """Have a local cluster during the block, which goes on while that starts.

    Args:
        address: As for ``connected``. Nothing is asked of a cluster that is there already: it may
            grow by what is asked, and nobody knows yet whether there is work.
        modules: What workers load before they are asked for anything; one is started at once.
    """
    global _starting
    if address is not None or ray.is_initialized():
        yield
        return
    _starting, over = Future[None](), threading.Event()
    # Ray has the system end its servers with the thread that started them, so it stays.
    host = threading.Thread(target=_host, args=(_starting, modules, over), name="ray", daemon=True)
    host.start()
    try:
        yield
    except BaseException:
        # Whoever ends this process doesn't wait for Ray to have started; what did ends with it.
        over.set()
        host.join(_LAST_SECONDS)
        raise
    else:
        over.set()
        host.join()
    finally:
        _starting = None


def _host(started: Future[None], modules: Sequence[str], over: threading.Event) -> None:
    try:
        with _local(modules):
            started.set_result(None)
            over.wait()
    except BaseException as error:
        if not started.done():
            started.set_exception(error)


@contextmanager
def _local(modules: Sequence[str] = ()) -> Iterator[None]:
    with _signal_handlers_kept(), lean_node():
        # An explicit "local": a plain init may join a stale cluster of somebody else.
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=_OBJECT_STORE_BYTES,
            _system_config={"preload_python_modules": list(modules)},
        )
    try:
        with _reaped_if_killed():
            yield
    finally:
        ray.shutdown()


@contextmanager
def _reaped_if_killed() -> Iterator[None]:
    """Have another process end the local cluster if this one is killed inside the block."""
    session = ray.get_runtime_context().get_session_name()
    command = [sys.executable, "-I", session_reaper.__file__, str(os.getpid()), session]
    # In a session of its own: what kills this process may kill all of its process group.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Put back the handlers that ``ray.init`` replaces, on which cancelling a flow depends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
