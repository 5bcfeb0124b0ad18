"""Connects to a Ray cluster and lets go of it, leaving the process as it was."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import ray

from actors import session_reaper
from actors.ray_internals import node_on_loopback

_OBJECT_STORE_BYTES = 128 << 20  # only references and summaries pass through it


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to a Ray cluster during the block.

    Args:
        address: ``auto`` or ``host:port`` of a cluster that this machine is a node of; None
            starts a local cluster that ends with the block, or with this process if that is
            killed. Where this process is connected already, that connection is used and kept.
    """
    if ray.is_initialized():
        yield
        return
    with _signal_handlers_kept():
        if address is None:
            # An explicit "local": a plain init may join a stale cluster of somebody else.
            with node_on_loopback():
                ray.init(
                    address="local",
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.WARNING,
                    object_store_memory=_OBJECT_STORE_BYTES,
                )
        else:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    try:
        with _reaped_if_killed() if address is None else nullcontext():
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
