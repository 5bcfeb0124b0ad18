"""Ends a flow run when the Prefect worker that started it is gone.

A worker that is killed leaves its runs behind. They would go on where nobody can cancel them.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import cache

from actors.session_reaper import wait_until_orphaned

_GRACE_SECONDS = 3.0
_STARTED_BY_WORKER = "PREFECT__FLOW_RUN_ID"


def end_with_worker() -> None:
    """Watch the worker from now on; at its end this process is sent SIGTERM, then SIGKILL.

    A run that was started by hand has no worker, and goes on when its terminal is closed.
    """
    if _STARTED_BY_WORKER in os.environ:
        _watch(os.getppid())


@cache  # flows call flows
def _watch(parent: int) -> None:
    watchdog = threading.Thread(
        target=_end_after, args=(parent,), name="parent-watchdog", daemon=True
    )
    watchdog.start()


def _end_after(parent: int) -> None:
    wait_until_orphaned(parent)
    # Nothing is said here: what a run prints went to the worker, and fails now.
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
