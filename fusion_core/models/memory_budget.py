"""Finds out how much memory this process may still take, before it is taken.

Linux grants memory that it doesn't have and kills later, so that no allocation fails on a CPU. What
is free is read from the kernel's files instead: of every control group that this process is in, and
of the whole machine. Ray ends workers where the container, or else the machine, is in use beyond a
share of it, the threshold. Of the others 5 % are left alone.

Workers of one node look at any moment, while others are anywhere in their work. Were each to take
what is free, all of them would take the same bytes. So each has an equal share of what the workers
of the node have together, which doesn't depend on who holds how much of it just now:

    share = (threshold * total - what others than these workers use) / number of workers

and may take what it hasn't yet of its share, or what is free if that is less, because another
worker is over its own.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

_OF_OTHERS = 0.95  # of what Ray doesn't look at

MARGIN = 0.15
"""Share by which a fusion may take more than is predicted for it."""


@dataclass(frozen=True, kw_only=True)
class MemoryBudget:
    """The memory that this process may still take, on the host and on its GPU.

    Attributes:
        threshold: Share of a machine's or container's memory beyond which processes are ended.
        sharers: Number of workers on this node, this one among them; each may have as much.
        gpu_share: Share of the GPU that this process was given.
        proc: Folder of the kernel's files on processes.
        cgroups: Folder of its files on control groups.
    """

    threshold: float = 0.95
    sharers: int = 1
    gpu_share: float = 1.0
    proc: Path = Path("/proc")
    cgroups: Path = Path("/sys/fs/cgroup")

    def holds(self, needed: float, device: str, *, beside: float = 0.0) -> bool:
        """Tell whether so many bytes may be taken, and ``MARGIN`` more.

        Args:
            needed: What is predicted, in bytes.
            device: Where, as torch names it.
            beside: What this process may take on the host meanwhile, in bytes.
        """
        on_host = not device.startswith("cuda")
        wanted = needed * (1 + MARGIN) + (beside if on_host else 0.0)
        if wanted <= self.free(device):
            return True
        if on_host and give_back_freed():
            return wanted <= self.free(device)
        return False

    def free(self, device: str = "cpu") -> float:
        """Return the bytes that this process may still take; infinite where nothing tells."""
        return self._free_on_gpu(device) if device.startswith("cuda") else self._free_on_host()

    def _free_on_gpu(self, device: str) -> float:
        """Return what is free of this process' share, and what torch keeps for it already."""
        free, total = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device)
        idle = kept - torch.cuda.memory_allocated(device)
        return max(0.0, min(total * self.gpu_share - kept, free)) + idle

    def _free_on_host(self) -> float:
        own = _anonymous(self.proc / "self")
        ours = own
        if self.sharers > 1:
            # More of them than that are another run's; the largest count as such, to be safe.
            ours += sum(sorted(self._siblings())[: self.sharers - 1])
        found = math.inf
        for limit, used in self._limits():
            share = (limit - (used - ours)) / self.sharers
            found = min(found, share - own, limit - used)
        return max(0.0, found)

    def _limits(self) -> Iterator[tuple[float, int]]:
        """Yield up to which use nobody is ended, and what is in use, in bytes."""
        machine = _machine(self.proc)
        groups = dict(_groups(self.proc, self.cgroups))
        # Ray looks at the group that it sees as the root, unless that may use more than there is.
        roots = [groups[root] for root in (self.cgroups, self.cgroups / "memory") if root in groups]
        watched = min([*roots, *machine], default=None)
        for total, used in (*machine, *groups.values()):
            looked_at = (total, used) == watched
            yield (self.threshold if looked_at else max(self.threshold, _OF_OTHERS)) * total, used

    def _siblings(self) -> Iterator[int]:
        """Yield the bytes of the other processes of the same parent and the same name.

        Ray names its workers by class and method, such as ``ray::FusionActor.run``.
        """
        me = self.proc / "self"
        parent, name = _parent(me), _name(me)
        own = os.path.realpath(me)
        for process in self.proc.glob("[0-9]*"):
            try:
                alike = _parent(process) == parent and _name(process) == name
                if alike and os.path.realpath(process) != own:
                    yield _anonymous(process)
            except OSError:
                continue  # it has ended meanwhile


def give_back_freed() -> bool:
    """Have the C library return what was freed to the system; tell whether it knows how to.

    Of buffers below 32 MiB it keeps what was freed: up to half a gigabyte after a fusion.
    """
    if not sys.platform.startswith("linux"):
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is None:
        return False
    trim(0)
    return True


def _machine(proc: Path) -> list[tuple[int, int]]:
    """Return the total and the used bytes of the machine, if the system tells."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
    except OSError:
        return []
    found = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines if ":" in line}
    if not {"MemTotal", "MemAvailable"} <= found.keys():
        return []
    return [(found["MemTotal"], found["MemTotal"] - found["MemAvailable"])]


def _groups(proc: Path, cgroups: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Yield each control group of this process that has a limit: folder, limit and used bytes.

    A container sees its own group as the root of the tree, or under the path that it has outside.
    """
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, files, prefix = cgroups, ("memory.max", "memory.current"), ""
        elif "memory" in controllers.split(","):
            root = cgroups / "memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes")
            prefix = "total_"
        else:
            continue
        below = Path(path.lstrip("/"))
        for group in (root / below, *(root / above for above in below.parents)):
            for found in _group(group, files, prefix):
                yield group, found


def _group(group: Path, files: tuple[str, str], prefix: str) -> Iterator[tuple[int, int]]:
    """Yield limit and used bytes of a control group; cached files don't count, as with Ray."""
    try:
        limit, used = ((group / name).read_text().strip() for name in files)
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:
        return
    if limit.isdigit():  # or "max"
        cached = sum(int(stat.get(f"{prefix}{kind}_file", 0)) for kind in ("inactive", "active"))
        yield int(limit), max(0, int(used) - cached)


def _anonymous(process: Path) -> int:
    """Return the bytes that a process holds for itself; of a program's files others may be rid."""
    try:
        lines = (process / "status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    found = (int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))
    return next(found, 0)


def _parent(process: Path) -> int:
    # The name, in brackets, may hold anything; what follows it is state and parent.
    return int((process / "stat").read_text().rpartition(")")[2].split()[1])


def _name(process: Path) -> str:
    return (process / "cmdline").read_bytes().decode(errors="replace").split("\0")[0].split(".")[0]
