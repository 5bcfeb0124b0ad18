"""Has faults happen inside workers and drivers of the chaos suite, when its process asks for them.

Python loads a module of this name at its start from the folders of PYTHONPATH, so the product holds
no hook for it. What is asked for lies in the folder that CHAOS_FAULTS names, see ``fault_orders``:
an order is met by the first worker that renames it, and so by one alone. Workers look for their own
kinds of orders, and drivers for theirs.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

_CGROUPS = Path("/sys/fs/cgroup/memory")
_LIMIT = 256 << 20
_WANTED = 1 << 30
_KINDS = ("gpu", "memory", "hang")


class Faults:
    """The faults of this process.

    Args:
        folder: Where the orders are.
        node: The node that this process is on, as the suite calls it.
    """

    def __init__(self, folder: Path, node: str):
        self.folder, self.node = folder, node
        self.broken = False

    def before_fusing(self) -> None:
        """Take the time that the network is to take, and meet an order if there is one."""
        if not self.broken:
            time.sleep(self._pace())
            kind = self._claim()
            if kind == "hang":
                threading.Event().wait()
            if kind == "memory":
                take_memory()
            self.broken = kind == "gpu"
        if self.broken:  # as CUDA does: whatever is called in this process from now on
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def before_starting(self) -> None:
        """Fail where this node is sick."""
        with suppress(FileNotFoundError):
            if (self.folder / "sick").read_text() == self.node:
                (self.folder / "met" / f"sick.{self.node}.{os.getpid()}").touch()
                raise OSError("libcudart.so.12: cannot open shared object file (injected)")

    def at_work(self, pair_ids: Sequence[str]) -> None:
        """Tell what this worker has begun, or with nothing that it has ended."""
        path = self.folder / "at" / self.node
        staged = path.with_suffix(f".{os.getpid()}")
        staged.write_text(" ".join(pair_ids))
        staged.rename(path)

    def _pace(self) -> float:
        try:
            return float((self.folder / "pace").read_text())
        except FileNotFoundError:
            return 0.0

    def _claim(self) -> str | None:
        for order in sorted((self.folder / "orders").iterdir()):
            kind = order.name.partition("-")[0]
            if kind not in _KINDS:
                continue
            met = self.folder / "met" / f"{order.name}.{self.node}.{os.getpid()}"
            with suppress(FileNotFoundError):  # another one was first
                order.rename(met)
                return kind
        return None


def take_memory() -> NoReturn:
    """Take more memory than this process may have, so that the kernel ends it.

    The limit is that of a cgroup of its own, which no other process is near to. Where none can be
    made, it ends as if, and nobody can tell that it was memory.
    """
    with suppress(OSError):
        group = _CGROUPS / f"chaos-{os.getpid()}"
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(_LIMIT))
        (group / "cgroup.procs").write_text(str(os.getpid()))
        b"\1" * _WANTED
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a process outlived its SIGKILL")


def _patch_network(module: ModuleType) -> None:
    original = module.NetworkFuser.__call__

    @functools.wraps(original)
    def call(self: Any, *arguments: Any, **more: Any) -> Any:
        FAULTS.before_fusing()
        return original(self, *arguments, **more)

    module.NetworkFuser.__call__ = call


def _patch_actor(module: ModuleType) -> None:
    original = module.ChunkActor.start

    @functools.wraps(original)
    def start(self: Any, *arguments: Any, **more: Any) -> Any:
        FAULTS.before_starting()
        return original(self, *arguments, **more)

    module.ChunkActor.start = start


def _patch_worker(module: ModuleType) -> None:
    original = module.ChunkWorker.run

    @functools.wraps(original)
    def run(self: Any, chunk: Any) -> Any:
        FAULTS.at_work([pair.pair_id for pair in chunk.pairs])
        try:
            return original(self, chunk)
        finally:
            FAULTS.at_work([])

    module.ChunkWorker.run = run


_PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "fusion_core.models.network_fuser": _patch_network,
    "actors.chunk_actor": _patch_actor,
    "fusion_core.jobs.worker": _patch_worker,
}


class _Patching(importlib.abc.MetaPathFinder):
    """Patches some modules as they are imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in _PATCHES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_patch(module: ModuleType) -> None:
            execute(module)
            _PATCHES[name](module)

        spec.loader.exec_module = execute_and_patch  # type: ignore[method-assign]
        return spec


if "CHAOS_FAULTS" in os.environ and "CHAOS_NODE" in os.environ:
    FAULTS = Faults(Path(os.environ["CHAOS_FAULTS"]), os.environ["CHAOS_NODE"])
    if FAULTS.node == "driver":
        from driver_faults import DriverFaults

        _PATCHES = DriverFaults(FAULTS.folder).patches
    sys.meta_path.insert(0, _Patching())
