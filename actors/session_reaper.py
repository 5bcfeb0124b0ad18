"""Ends what is left of a local Ray cluster when the process that started it is killed.

Ray's servers die with that process. Its agents don't: they try for 60 s to tell the cluster's head,
which is gone too, that their node is dead. Run by its path, as a process of its own, so it imports
nothing but the standard library: with ``python -I`` this package needn't be found.
"""

from __future__ import annotations

import glob
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 1.0  # most of them end by themselves
_ROUNDS = 3  # one that is between two files isn't seen


def wait_until_orphaned(parent: int) -> None:
    """Return once the process that started this one is gone.

    Args:
        parent: Its process id, as it was found while it lived.
    """
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)


def reap(session: str) -> None:
    """Kill what is left of a Ray session.

    Args:
        session: Name of the session; it holds a time and a process id, so no other has it.
    """
    for _ in range(_ROUNDS):
        time.sleep(_GRACE_SECONDS)
        for pid in members(session):
            with suppress(OSError):  # gone meanwhile
                os.kill(pid, signal.SIGKILL)


def members(session: str) -> set[int]:
    """Return the processes that write to files of a Ray session; none where there is no /proc."""
    found = set()
    for name in glob.iglob("/proc/[0-9]*/fd/*"):
        _, _, process, _, file = name.split("/")
        with suppress(OSError):  # gone meanwhile
            # Who only reads is no member of it, but follows a log.
            if session in os.readlink(name).split("/") and _flags(process, file) & os.O_ACCMODE:
                found.add(int(process))
    return found


def _flags(process: str, file: str) -> int:
    """Return the flags that an open file was opened with."""
    lines = Path(f"/proc/{process}/fdinfo/{file}").read_text().splitlines()
    return next(int(line.partition(":")[2], 8) for line in lines if line.startswith("flags:"))


if __name__ == "__main__":
    wait_until_orphaned(int(sys.argv[1]))
    reap(sys.argv[2])
