"""Runs a program as in a container of so much memory, whatever else goes on on the machine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup/memory")
_ENTER = 'echo $$ > "$0/cgroup.procs" && mount --bind "$0" /sys/fs/cgroup/memory && exec "$@"'


@contextmanager
def memory_group(limit: int) -> Iterator[list[str]]:
    """Yield the beginning of a command that runs in a control group of ``limit`` bytes.

    The program sees that group as the root of all, as in a container. Where this user may make no
    group, or the system has version 2 of them, it is empty: the program has the machine.
    """
    folder = _own_group() / f"fuse-archive-{os.getpid()}"
    unshare = shutil.which("unshare")
    try:
        if unshare is None or not (GROUPS / "memory.limit_in_bytes").exists():
            raise PermissionError
        folder.mkdir()
    except OSError:
        yield []
        return
    try:
        (folder / "memory.limit_in_bytes").write_text(str(limit))
        yield [unshare, "--mount", "sh", "-c", _ENTER, str(folder)]
    finally:
        _remove(folder)


def _own_group() -> Path:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    paths = [line.split(":")[2] for line in lines if "memory" in line.split(":")[1].split(",")]
    own = GROUPS / paths[0].lstrip("/") if paths else GROUPS
    return own if own.is_dir() else GROUPS


def _remove(folder: Path) -> None:
    for _ in range(100):
        try:
            folder.rmdir()
        except OSError:  # a process of Ray's is still about to end
            time.sleep(0.1)
        else:
            return
