"""The processes below a process, read from the process table."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def descendants(pid: int) -> set[int]:
    """Return all processes that a process started, and those that they started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _status(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: set[int] = set()
    queue = [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found.update(below)
        queue.extend(below)
    return found


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped doesn't."""
    fields = _status(pid)
    return bool(fields) and fields[0] != "Z"


def command(pid: int) -> str:
    """Return a process's command line, or nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def kill_tree(pid: int) -> None:
    """SIGKILL a process and all below it, as a power cut would."""
    for victim in [pid, *descendants(pid)]:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _status(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def wait_for(what: Callable[[], Any], seconds: float, reason: str) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError(f"{reason} within {seconds} s")
